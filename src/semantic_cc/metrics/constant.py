"""The best that one constant answer can reach: the floor under every CIDEr."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from semantic_cc.errors import DataError
from semantic_cc.metrics.words import reference_words

if TYPE_CHECKING:
    import numpy as np

Ngram = tuple[str, ...]
_ORDERS, _SIGMA = 4, 6.0  # pycocoevalcap's


def best_constant_sentence(
    references: Mapping[str, Sequence[str]], candidates: int = 200
) -> tuple[str, float]:
    """The reference sentence that, as the answer to every image, has the highest CIDEr on this set.

    Candidates are the `candidates` most frequent reference sentences (all of them where there are fewer);
    of equals, the more frequent one wins. The scores equal pycocoevalcap's; an index over the distinct
    references makes one candidate cost a millisecond instead of half a second.

    Args:
        references: name -> reference sentences.

    Returns:
        The sentence in the `word` protocol, and its CIDEr in percent.

    Raises:
        DataError: as in `reference_words`, or `candidates` is below 1.
    """
    if candidates < 1:
        raise DataError(f"candidates is {candidates}; give at least 1")
    truth = list(reference_words(references).values())
    frequency = Counter(sentence for sentences in truth for sentence in sentences)
    index = _ReferenceIndex(truth)
    scored = [(index.cider(sentence), sentence) for sentence, _ in frequency.most_common(candidates)]
    cider, sentence = max(scored, key=lambda pair: pair[0])
    return sentence, cider


class _ReferenceIndex:
    """CIDEr-D of a constant sentence against a whole set (Vedantam et al., CVPR 2015; as in pycocoevalcap).

    The score is a mean over images of means over references, so each distinct reference sentence is compared
    once and weighted.
    """

    def __init__(self, truth: list[list[str]]) -> None:
        import numpy as np
        from pycocoevalcap.cider.cider_scorer import CiderScorer

        scorer = CiderScorer(n=_ORDERS)
        weights: dict[str, float] = defaultdict(float)
        for sentences in truth:
            scorer.cook_append("", sentences)
            for sentence in sentences:
                weights[sentence] += 1 / (len(sentences) * len(truth))
        scorer.compute_doc_freq()
        self._frequency: dict[Ngram, float] = scorer.document_frequency
        self._log_count = float(np.log(len(truth)))
        self._weight = np.array(list(weights.values()))
        self._norm = np.zeros((_ORDERS, len(weights)))
        self._length = np.zeros(len(weights))
        postings: dict[Ngram, list[tuple[int, float]]] = defaultdict(list)
        for position, sentence in enumerate(weights):
            vector, self._norm[:, position], self._length[position] = self._vector(sentence)
            for ngram, value in vector.items():
                postings[ngram].append((position, value))
        self._postings = {
            ngram: (np.array([place for place, _ in entries]), np.array([value for _, value in entries]))
            for ngram, entries in postings.items()
        }

    def cider(self, sentence: str) -> float:
        """CIDEr in percent of this sentence given for every image."""
        import numpy as np

        vector, norm, length = self._vector(sentence)
        product = np.zeros_like(self._norm)
        for ngram, value in vector.items():
            positions, values = self._postings[ngram]
            product[len(ngram) - 1, positions] += np.minimum(value, values) * values
        scale = norm[:, None] * self._norm
        cosine = np.divide(product, scale, out=np.zeros_like(product), where=scale > 0)
        penalty = np.exp(-((length - self._length) ** 2) / (2 * _SIGMA**2))
        return 100 * 10 * float((cosine.mean(axis=0) * penalty) @ self._weight)

    def _vector(self, sentence: str) -> tuple[dict[Ngram, float], np.ndarray, int]:
        """tf-idf by n-gram, its norm by order, and the length; pycocoevalcap counts bigrams as length."""
        import numpy as np
        from pycocoevalcap.cider.cider_scorer import precook

        counts: dict[Ngram, int] = precook(sentence, _ORDERS)
        vector = {
            ngram: count * (self._log_count - float(np.log(max(1.0, self._frequency[ngram]))))
            for ngram, count in counts.items()
        }
        square = np.zeros(_ORDERS)
        for ngram, value in vector.items():
            square[len(ngram) - 1] += value**2
        return vector, np.sqrt(square), sum(count for ngram, count in counts.items() if len(ngram) == 2)

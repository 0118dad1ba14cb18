"""CIDEr of constant, image-free answers, and the best of them: the baseline for each CIDEr score."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from semantic_cc.errors import DataError
from semantic_cc.metrics.tokenisation import reference_words

if TYPE_CHECKING:
    import numpy as np

Ngram = tuple[str, ...]
_ORDERS, _SIGMA = 4, 6.0  # pycocoevalcap's

CANDIDATES = 200
"""Number of most frequent sentences in the search for the best one."""


def best_constant_sentence(
    references: Mapping[str, Sequence[str]], candidates: int = CANDIDATES
) -> tuple[str, float]:
    """The reference sentence with the highest CIDEr as the answer to all images.

    Candidates are the `candidates` most frequent reference sentences. The more frequent one wins a tie.

    Args:
        references: name -> reference sentences.

    Returns:
        The sentence in words, and its CIDEr in percent in the `word` protocol.

    Raises:
        DataError: as in `reference_words`, or `candidates` is below 1.
    """
    if candidates < 1:
        raise DataError(f"candidates is {candidates}; give at least 1")
    truth = reference_words(references)
    cider = ConstantCider(truth)
    sentence = best_of(frequent(truth.values(), candidates), cider)
    return sentence, cider(sentence)


def frequent(references: Iterable[Sequence[str]], count: int = CANDIDATES) -> list[str]:
    """The `count` most frequent sentences, most frequent first; ties in order of first occurrence."""
    counts = Counter(sentence for sentences in references for sentence in sentences)
    return [sentence for sentence, _ in counts.most_common(count)]


def best_of(
    candidates: Sequence[str], cider: ConstantCider, encode: Callable[[str], str] = lambda sentence: sentence
) -> str:
    """The candidate with the highest CIDEr after `encode`; the first one on ties."""
    return max(candidates, key=lambda sentence: cider(encode(sentence)))


class ConstantCider:
    """CIDEr-D of a constant sentence on a whole set (Vedantam et al., CVPR 2015; as in pycocoevalcap).

    The score is a mean over images of means over references. Each distinct reference sentence is therefore compared
    once, with a weight: a millisecond per sentence instead of half a second. The scores equal pycocoevalcap's up to
    rounding.

    Args:
        truth: name -> references, their tokens joined by blanks; at least one each.
        changed: name -> true change flag, for answers that depend on it.
    """

    def __init__(self, truth: Mapping[str, list[str]], changed: Mapping[str, bool] | None = None) -> None:
        import numpy as np
        from pycocoevalcap.cider.cider_scorer import CiderScorer

        scorer = CiderScorer(n=_ORDERS)
        weights: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])  # in unchanged, changed images
        for name, sentences in truth.items():
            scorer.cook_append("", sentences)
            flag = changed is not None and changed[name]
            for sentence in sentences:
                weights[sentence][flag] += 1 / (len(sentences) * len(truth))
        scorer.compute_doc_freq()
        self._frequency: dict[Ngram, float] = scorer.document_frequency
        self._log_count = float(np.log(len(truth)))
        self._weight = np.array(list(weights.values())).T
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

    def __call__(self, sentence: str) -> float:
        """CIDEr in percent of the sentence as the answer to all images."""
        return sum(self.shares(sentence))

    def shares(self, sentence: str) -> tuple[float, float]:
        """Contribution to CIDEr in percent as the answer to all unchanged, and to all changed images.

        CIDEr of two sentences, one per flag, is the sum of their respective contributions.
        """
        import numpy as np

        vector, norm, length = self._vector(sentence)
        product = np.zeros_like(self._norm)
        for ngram, value in vector.items():
            if ngram in self._postings:
                positions, values = self._postings[ngram]
                product[len(ngram) - 1, positions] += np.minimum(value, values) * values
        scale = norm[:, None] * self._norm
        cosine = np.divide(product, scale, out=np.zeros_like(product), where=scale > 0)
        penalty = np.exp(-((length - self._length) ** 2) / (2 * _SIGMA**2))
        unchanged, changed = 100 * 10 * self._weight @ (cosine.mean(axis=0) * penalty)
        return float(unchanged), float(changed)

    def _vector(self, sentence: str) -> tuple[dict[Ngram, float], np.ndarray, int]:
        """tf-idf by n-gram, its norm by order, and the length (pycocoevalcap: number of bigrams)."""
        import numpy as np
        from pycocoevalcap.cider.cider_scorer import precook

        counts: dict[Ngram, int] = precook(sentence, _ORDERS)
        vector = {
            ngram: count * (self._log_count - float(np.log(max(1.0, self._frequency.get(ngram, 0.0)))))
            for ngram, count in counts.items()
        }
        square = np.zeros(_ORDERS)
        for ngram, value in vector.items():
            square[len(ngram) - 1] += value**2
        return vector, np.sqrt(square), sum(count for ngram, count in counts.items() if len(ngram) == 2)

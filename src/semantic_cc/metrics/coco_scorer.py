"""Per-image caption metrics from pycocoevalcap, the code behind all published LEVIR-CC scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from semantic_cc.metrics.meteor import Meteor

if TYPE_CHECKING:
    import numpy as np

METRICS = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr")
"""Metrics in the order of most papers' tables; pycocoevalcap's CIDEr is CIDEr-D."""

ORDERS = 4
"""Largest n-gram order of BLEU and CIDEr."""

Texts = dict[str, list[str]]
"""Name -> sentences, tokens joined by blanks; a prediction is one sentence, possibly empty."""


@dataclass(frozen=True)
class ImageScores:
    """Contributions of each of n images to the scores of the set.

    Attributes:
        bleu: ``(n, 10)``: length of the sentence, length of the closest reference, n-grams of the sentence by order
            (4), and matched n-grams by order (4). The set's BLEU comes from the sums.
        rouge, cider: ``(n,)`` in percent; the set's scores are their means.
        meteor: ``(n, k)`` counts, None if METEOR was not run. The set's METEOR comes from the sums.
    """

    bleu: np.ndarray
    rouge: np.ndarray
    cider: np.ndarray
    meteor: np.ndarray | None


class Scorer:
    """Scores sets of sentences against references; caches what depends on a single image.

    Args:
        meteor: METEOR's process; None = skip METEOR.
    """

    def __init__(self, meteor: Meteor | None = None) -> None:
        self.meteor = meteor
        self._references: dict[tuple[str, ...], Any] = {}
        self._pairs: dict[tuple[str, tuple[str, ...]], tuple[dict[str, Any], float]] = {}

    def score(self, given: Texts, truth: Texts) -> tuple[dict[str, float | None], ImageScores]:
        """The `METRICS` of a set, in percent as published (CIDEr up to 1000), and the images' contributions.

        BLEU is the corpus score with the closest reference length; ROUGE-L and CIDEr are means over the images. CIDEr
        uses the document frequencies of `truth`: scores of a subset and of the whole set are not comparable, and a
        single image scores 0. METEOR is None if skipped.

        Args:
            given: name -> a list of one sentence.
            truth: name -> references, at least one and not empty, with the same names in the same order.

        Raises:
            ScoringError: METEOR's process failed.
        """
        import numpy as np
        from pycocoevalcap.cider.cider import Cider

        cider, by_image = Cider().compute_score(truth, given)
        counts, rouge = self._counted(given, truth)
        meteor = None if self.meteor is None else np.array(self.meteor.counts(truth, given))
        bleu = [[part["testlen"], _closest(part), *part["guess"], *part["correct"]] for part in counts]
        return self.score_without_cider(given, truth) | {"CIDEr": 100 * float(cider)}, ImageScores(
            np.array(bleu), 100 * np.array(rouge), 100 * by_image, meteor
        )

    def score_without_cider(self, given: Texts, truth: Texts) -> dict[str, float | None]:
        """Like `score`, without CIDEr, which takes most of the time."""
        import numpy as np
        from pycocoevalcap.bleu.bleu_scorer import BleuScorer

        counts, rouge = self._counted(given, truth)
        scorer = BleuScorer(n=ORDERS)
        scorer.ctest = counts
        bleu, _ = scorer.compute_score(option="closest", verbose=0)  # verbose=1 prints
        return {
            **{f"BLEU-{order}": 100 * float(value) for order, value in enumerate(bleu, start=1)},
            "METEOR": None if self.meteor is None else _meteor(self.meteor, given, truth),
            "ROUGE-L": 100 * float(np.mean(rouge)),
        }

    def _counted(self, given: Texts, truth: Texts) -> tuple[list[dict[str, Any]], list[float]]:
        """BLEU counts and ROUGE-L of each image."""
        pairs = [self._pair(given[name][0], tuple(references)) for name, references in truth.items()]
        return [counts for counts, _ in pairs], [rouge for _, rouge in pairs]

    def _pair(self, sentence: str, references: tuple[str, ...]) -> tuple[dict[str, Any], float]:
        from pycocoevalcap.bleu.bleu_scorer import cook_refs, cook_test
        from pycocoevalcap.rouge.rouge import Rouge

        if (sentence, references) not in self._pairs:
            if references not in self._references:
                self._references[references] = cook_refs(references, n=ORDERS)
            counts = cook_test(sentence, self._references[references], n=ORDERS)
            self._pairs[sentence, references] = counts, Rouge().calc_score([sentence], references)
        return self._pairs[sentence, references]


def _meteor(process: Meteor, given: Texts, truth: Texts) -> float:
    """METEOR of a set in percent."""
    sums = [sum(column) for column in zip(*process.counts(truth, given), strict=True)]
    return 100 * process.of_counts([sums])[0]


def _closest(counts: dict[str, Any]) -> int:
    """Length of the reference closest in length to the sentence; the shorter one on ties."""
    given = counts["testlen"]
    return min((abs(length - given), length) for length in counts["reflen"])[1]

"""The caption metrics by pycocoevalcap, the code behind all published LEVIR-CC numbers, kept image by image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from semantic_cc.metrics.meteor import Meteor

if TYPE_CHECKING:
    import numpy as np

METRICS = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr")
"""The scores of a set, in the order of most papers' tables; pycocoevalcap's CIDEr is CIDEr-D."""

ORDERS = 4
"""BLEU's and CIDEr's n-grams have one to so many tokens."""


@dataclass(frozen=True)
class ImageScores:
    """What each of n images adds to the scores of its set.

    Attributes:
        bleu: ``(n, 10)`` int64: tokens of the sentence, tokens of the closest reference, n-grams of the sentence
            by order (4), and how many of them are in the references (4).
        rouge, cider: ``(n,)`` in percent; the set's scores are their means.
        meteor: ``(n,)`` in percent, or None where METEOR was not run; the set's score is not their mean.
    """

    bleu: np.ndarray
    rouge: np.ndarray
    cider: np.ndarray
    meteor: np.ndarray | None


class Scorer:
    """Scores sets of sentences that share references; what depends on one image alone is computed once.

    Args:
        meteor: METEOR's process, or None to leave METEOR out.
    """

    def __init__(self, meteor: Meteor | None = None) -> None:
        from pycocoevalcap.rouge.rouge import Rouge

        self._meteor, self._rouge_of = meteor, Rouge().calc_score
        self._rouge: dict[tuple[str, tuple[str, ...]], float] = {}

    def score(
        self, given: dict[str, list[str]], truth: dict[str, list[str]]
    ) -> tuple[dict[str, float | None], ImageScores]:
        """The `METRICS` of a set, in percent as published (CIDEr goes up to 1000), and what each image adds.

        BLEU is of the whole set with the closest reference length; ROUGE-L and CIDEr are means over the images.
        CIDEr's document frequencies are those of `truth`: a subset is on another scale than the whole, and one
        image alone scores 0. METEOR is None where it was left out.

        Args:
            given: name -> a list of one sentence, its tokens joined by blanks; may be empty.
            truth: name -> references, of the same names in the same order; at least one each, not empty.

        Raises:
            ScoringError: METEOR's process has failed.
        """
        import numpy as np
        from pycocoevalcap.bleu.bleu_scorer import BleuScorer
        from pycocoevalcap.cider.cider import Cider

        bleu = BleuScorer(n=ORDERS)
        for name, references in truth.items():
            bleu += (given[name][0], references)
        set_bleu, _ = bleu.compute_score(option="closest", verbose=0)  # verbose=1 prints
        rouge = np.array([self._rouge_score(given[name][0], references) for name, references in truth.items()])
        cider, cider_by_image = Cider().compute_score(truth, given)
        meteor, meteor_by_image = (
            (None, None) if self._meteor is None else self._meteor.compute_score(truth, given)
        )
        scores: dict[str, float | None] = {
            **{f"BLEU-{order}": 100 * float(value) for order, value in enumerate(set_bleu, start=1)},
            "METEOR": None if meteor is None else 100 * meteor,
            "ROUGE-L": 100 * float(np.mean(rouge)),
            "CIDEr": 100 * float(cider),
        }
        return scores, ImageScores(
            bleu=_bleu_counts(bleu),
            rouge=100 * rouge,
            cider=100 * cider_by_image,
            meteor=None if meteor_by_image is None else 100 * np.array(meteor_by_image),
        )

    def _rouge_score(self, sentence: str, references: list[str]) -> float:
        pair = (sentence, tuple(references))
        if pair not in self._rouge:
            self._rouge[pair] = self._rouge_of([sentence], references)
        return self._rouge[pair]


def _bleu_counts(scorer: object) -> np.ndarray:
    import numpy as np

    rows = []
    for counts in scorer.ctest:  # type: ignore[attr-defined]
        closest = scorer._single_reflen(counts["reflen"], "closest", counts["testlen"])  # type: ignore[attr-defined]
        rows.append([counts["testlen"], closest, *counts["guess"], *counts["correct"]])
    return np.array(rows, dtype=np.int64)

"""Precision-recall curve of a split from two histograms of probabilities."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from semantic_cc.errors import DataError

if TYPE_CHECKING:
    import numpy as np

BINS = 1000
"""Number of histogram bins; probabilities in one bin count as equal."""
_POINTS = 100  # reported points, at equally spaced thresholds


@dataclass(frozen=True)
class PrecisionRecallCurve:
    """Precision and recall over all pixels, in percent.

    Attributes:
        average_precision: sum over the bins of precision times the gain in recall, 0 without true pixels.
        best_f1, best_threshold: the highest F1, and the smallest probability that counts as changed for it.
        points: (threshold, precision, recall) from threshold 0 in steps of 0.01; precision is 100 without predictions.
    """

    average_precision: float
    best_f1: float
    best_threshold: float
    points: tuple[tuple[float, float, float], ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values by field."""
        return asdict(self)


def probability_counts(probability: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Histogram of probabilities of unchanged and of changed pixels.

    Args:
        probability: float in [0, 1], of any shape.
        truth: bool of that shape.

    Returns:
        ``(2, BINS)`` int64: pixels by bin, not changed and changed.

    Raises:
        DataError: the shapes differ, or a probability is out of range.
    """
    import numpy as np

    if probability.shape != truth.shape:
        raise DataError(
            f"probability {probability.shape} and truth {truth.shape} differ in shape; give both at one size"
        )
    if not ((probability >= 0) & (probability <= 1)).all():
        raise DataError("probability: must be in [0, 1]")
    bins = np.minimum((probability.ravel().astype(np.float64) * BINS).astype(np.int64), BINS - 1)
    places = bins + BINS * truth.ravel().astype(np.int64)
    return np.bincount(places, minlength=2 * BINS).reshape(2, BINS)


def precision_recall_curve(counts: np.ndarray) -> PrecisionRecallCurve:
    """The curve of all pixels in a histogram.

    Args:
        counts: ``(2, BINS)``, sum of `probability_counts` over the images.

    Raises:
        DataError: it has no pixels.
    """
    import numpy as np

    if not counts.sum():
        raise DataError("no pixels to score; add some first")
    # False and true positives at each threshold.
    false, true = counts[:, ::-1].cumsum(axis=1)[:, ::-1].astype(np.float64)
    changed = max(true[0], 1)
    precision = np.where(true + false > 0, true / np.maximum(true + false, 1), 1.0)
    recall = true / changed
    f1 = 2 * true / np.maximum(true + false + true[0], 1)
    best = int(f1.argmax())
    step = BINS // _POINTS
    points = zip(precision[::step].tolist(), recall[::step].tolist(), strict=True)
    return PrecisionRecallCurve(
        average_precision=100 * float((precision * counts[1] / changed).sum()),
        best_f1=100 * float(f1[best]),
        best_threshold=best / BINS,
        points=tuple((at / _POINTS, 100 * p, 100 * r) for at, (p, r) in enumerate(points)),
    )

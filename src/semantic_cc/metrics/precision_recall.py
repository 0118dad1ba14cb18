"""The whole precision-recall curve of a split from two histograms of probabilities."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from semantic_cc.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

BINS = 1000
"""Probabilities are told apart to 1 / BINS; within a bin they count as equal."""
_POINTS = 100  # points that are reported, evenly in the threshold


@dataclass(frozen=True)
class Curve:
    """Precision against recall over all pixels, in percent.

    Attributes:
        average_precision: sum over the bins of precision times what recall gains, 0 without true pixels.
        best_f1, best_threshold: the highest F1, and the probability from which on a pixel then counts as changed.
        points: (threshold, precision, recall) from threshold 0 up in steps of 0.01; precision is 100 where nothing
            is predicted.
    """

    average_precision: float
    best_f1: float
    best_threshold: float
    points: tuple[tuple[float, float, float], ...]

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return asdict(self)


class CurveMetric:
    """Gathers probabilities and truths, image by image, in 2 x `BINS` counts."""

    def __init__(self) -> None:
        import torch

        self._counts = torch.zeros(2, BINS, dtype=torch.int64)  # not changed, changed

    def update(self, probability: Tensor, truth: Tensor) -> None:
        """Adds pixels.

        Args:
            probability: float in [0, 1], of any shape.
            truth: bool of that shape.

        Raises:
            DataError: the shapes differ, or a probability is out of its range.
        """
        if probability.shape != truth.shape:
            shapes = f"probability {tuple(probability.shape)} and truth {tuple(truth.shape)}"
            raise DataError(f"{shapes} differ in shape; give both at one size")
        if not bool(((probability >= 0) & (probability <= 1)).all()):
            raise DataError("probability: must be in [0, 1]")
        bins = (probability.flatten().double() * BINS).long().clamp_(max=BINS - 1)
        places = bins + BINS * truth.flatten().long()
        self._counts += places.bincount(minlength=2 * BINS).view(2, BINS).to(self._counts.device)

    def compute(self) -> Curve:
        """The curve of all pixels so far.

        Raises:
            DataError: no pixels were added.
        """
        import torch

        if not int(self._counts.sum()):
            raise DataError("no pixels to score; call update first")
        # From each threshold on: how many pixels at or above it are wrong, and right.
        false, true = self._counts.double().flip(1).cumsum(1).flip(1)
        changed = true[0].clamp(min=1)
        precision = torch.where(true + false > 0, true / (true + false).clamp(min=1), torch.ones(()).double())
        recall = true / changed
        gained = self._counts[1].double() / changed
        f1 = 2 * true / (true + false + true[0]).clamp(min=1)
        best = int(f1.argmax())
        step = BINS // _POINTS
        points = zip(precision[::step].tolist(), recall[::step].tolist(), strict=True)
        return Curve(
            average_precision=100 * float((precision * gained).sum()),
            best_f1=100 * float(f1[best]),
            best_threshold=best / BINS,
            points=tuple((at / _POINTS, 100 * p, 100 * r) for at, (p, r) in enumerate(points)),
        )

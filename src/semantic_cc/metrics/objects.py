"""Object-level scores: small and large buildings have equal weight."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from semantic_cc.errors import DataError

if TYPE_CHECKING:
    import numpy as np

OVERLAP = 0.5
"""Minimum fraction of an object's pixels that the other mask must cover."""
SIZES = (1, 64, 256, 1024)
"""Lower bounds of the size classes, in pixels; the last class is unbounded."""


def find_objects(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """The connected components of a mask ``(H, W)`` bool, with 8-connectivity.

    Returns:
        ``(H, W)`` int32, 0 outside and 1..n in the objects, and n.
    """
    import numpy as np
    from scipy import ndimage

    objects, count = ndimage.label(mask, structure=np.ones((3, 3), bool))
    return objects, int(count)


@dataclass(frozen=True)
class SizeScore:
    """Counts of the objects of one size class.

    Attributes:
        pixels: size range, for example "64-255".
        found, missed: true objects.
        right, false: predicted objects.
    """

    pixels: str
    found: int
    missed: int
    right: int
    false: int


@dataclass(frozen=True)
class ObjectScore:
    """Scores of all objects; see `ObjectMetric` for the matching rule.

    Attributes:
        found, missed: true objects.
        right, false: predicted objects.
        precision: right / predicted, recall: found / true, f1: their harmonic mean; in percent, 0 if the
            denominator is 0.
        by_size: the same counts by size in pixels.
    """

    found: int
    missed: int
    right: int
    false: int
    precision: float
    recall: float
    f1: float
    by_size: tuple[SizeScore, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values by field."""
        return asdict(self)


class ObjectMetric:
    """Counts objects mask by mask, in constant memory.

    An object is a connected component of a mask. A true object is found if at least half of its pixels are predicted. A
    predicted object is right if at least half of its pixels are true, otherwise false. Two houses under one predicted
    component are both found. A house cut by a tile's edge is an object in each tile.
    """

    def __init__(self) -> None:
        import numpy as np

        # size class -> found, missed, right, false
        self._counts = np.zeros((len(SIZES), 4), np.int64)

    def update(self, prediction: np.ndarray, truth: np.ndarray) -> None:
        """Adds one mask.

        Args:
            prediction, truth: ``(H, W)`` bool.

        Raises:
            DataError: the shapes differ.
        """
        if prediction.shape != truth.shape:
            raise DataError(
                f"prediction {prediction.shape} and truth {truth.shape} differ in shape; give both at one size"
            )
        self._add(truth, prediction, 0)
        self._add(prediction, truth, 2)

    def compute(self) -> ObjectScore:
        """The scores of all masks so far."""
        found, missed, right, false = self._counts.sum(axis=0).tolist()
        precision, recall = (100 * part / (part + rest) if part + rest else 0.0
                             for part, rest in ((right, false), (found, missed)))  # fmt: skip
        total = precision + recall
        ends = [f"-{end - 1}" for end in SIZES[1:]] + [" and more"]
        return ObjectScore(
            found, missed, right, false, precision, recall, 2 * precision * recall / total if total else 0.0,
            tuple(SizeScore(f"{start}{end}", *counts)
                  for start, end, counts in zip(SIZES, ends, self._counts.tolist(), strict=True)),
        )  # fmt: skip

    def _add(self, mask: np.ndarray, cover: np.ndarray, column: int) -> None:
        """Counts the objects of `mask` covered by `cover` in `column`, the others in the next column."""
        import numpy as np

        objects, count = find_objects(mask)
        if not count:
            return
        sizes = np.bincount(objects.ravel(), minlength=count + 1)[1:]
        covered = np.bincount(objects[cover], minlength=count + 1)[1:]
        classes = np.searchsorted(SIZES, sizes, side="right") - 1
        hit = covered >= OVERLAP * sizes
        for offset, chosen in ((0, hit), (1, ~hit)):
            self._counts[:, column + offset] += np.bincount(classes[chosen], minlength=len(SIZES))

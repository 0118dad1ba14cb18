"""Overlapping windows over a scene, and how much each counts at each of its pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semantic_cc.errors import InputError

HEAVIEST = 1024
"""The largest weight along a side: sums over all windows at a pixel, at most tile^2, stay whole in 64 bits."""


@dataclass(frozen=True)
class Tiling:
    """Square windows of `tile` pixels, of which neighbours share at least `overlap`.

    The windows stay within the scene: the last of a row or column is moved back to end with it, and a scene that is
    smaller than a window is one window.

    Raises:
        InputError: the overlap is not below the tile's side.
    """

    tile: int = 256
    overlap: int = 64

    def __post_init__(self) -> None:
        if self.tile < 1 or not 0 <= self.overlap < self.tile:
            raise InputError(
                f"tiles of {self.tile} pixels cannot overlap by {self.overlap}; give 0 to {self.tile - 1}"
            )

    def starts(self, length: int) -> list[int]:
        """First pixel of each window along a side of `length` pixels."""
        last = max(0, length - self.tile)
        return [*range(0, last, self.tile - self.overlap), last]

    def weights(self, length: int) -> np.ndarray:
        """What a window counts along a side of `length` pixels, (min(tile, length),) int64 of 1 to `HEAVIEST`.

        Squared sines as wide as the overlap: one window fades out where the next fades in, and neither begins with a
        jump, as a straight ramp does with its first step.
        """
        place = np.arange(min(self.tile, length))
        inside = np.minimum(place, place[::-1]) + 0.5  # pixels from the nearer edge
        ramp = np.sin(np.pi / 2 * np.minimum(1, inside / max(self.overlap, 0.5))) ** 2
        return 1 + np.rint((HEAVIEST - 1) * ramp).astype(np.int64)

    def totals(self, length: int) -> np.ndarray:
        """Sum of all windows' weights at each pixel of a side, (length,) int64."""
        weights, total = self.weights(length), np.zeros(length, np.int64)
        for start in self.starts(length):
            total[start : start + len(weights)] += weights
        return total

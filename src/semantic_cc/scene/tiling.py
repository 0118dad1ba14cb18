"""Overlapping windows over a scene, and how much each counts at each of its pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from semantic_cc.errors import InputError
from semantic_cc.scene.grid import Grid

HEAVIEST = 1024
"""The largest weight along a side: sums over all windows at a pixel, at most tile^2, stay whole in 64 bits."""


ANCHOR = (0, 29)
"""Row and column, counted from the origin of a coordinate reference system, of a window's first pixel.

Any would do; with this one the synthetic scene behind the golden outputs begins with a window.
"""


def scene_tiling(grid: Grid, tile: int = 256, overlap: int | None = None) -> Tiling:
    """The windows of a scene, on the lattice of its coordinate reference system.

    Args:
        grid: the scene's.
        tile: side of a window in pixels.
        overlap: pixels that neighbours share; None = a quarter of a window.

    Raises:
        InputError: the overlap is not below the tile's side.
    """
    return Tiling(tile, tile // 4 if overlap is None else overlap).anchored(grid)


@dataclass(frozen=True)
class Tiling:
    """Square windows of `tile` pixels, of which neighbours share `overlap`.

    A scene that is smaller than a window is one window. In others the windows lie on a lattice, and those at the
    scene's edges reach beyond them. A model judges what lies at the border of a window less well than the rest, so
    every window is predicted that shows more than half an overlap of the scene: a pixel at the scene's edge lies as
    far within a window as any other, and whatever the extent, the same windows show a place.

    Attributes:
        tile, overlap: in pixels.
        phases: how many rows and columns of the first window lie before the scene, below the step; `anchored` gives
            those at which a place falls into the same window in any extent.

    Raises:
        InputError: the overlap is not below the tile's side.
    """

    tile: int = 256
    overlap: int = 64
    phases: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        if self.tile < 1 or not 0 <= self.overlap < self.tile:
            raise InputError(
                f"tiles of {self.tile} pixels cannot overlap by {self.overlap}; give 0 to {self.tile - 1}"
            )

    def anchored(self, grid: Grid) -> Tiling:
        """The same windows on the lattice of a grid's coordinate reference system; as they are without one.

        A model's answer depends a little on where in a window a place lies. Windows that stay with the ground give
        one answer to a place, whatever the scene's extent.
        """
        if grid.crs is None and grid.transform.is_identity:
            return self
        column, row = ~grid.transform @ (0, 0)  # the origin, in pixels from the grid's corner
        step = self.tile - self.overlap
        first = (math.floor(-index + 0.5 + 1e-6) for index in (row, column))  # of the corner, from the origin
        phases = [(index - anchor) % step for index, anchor in zip(first, ANCHOR, strict=True)]
        return replace(self, phases=(phases[0], phases[1]))

    def starts(self, length: int, axis: int = 0) -> list[int]:
        """First pixel of each window along a side of `length` pixels, a column of pixels (axis 0) or a row (1)."""
        if length <= self.tile:
            return [0]
        step = self.tile - self.overlap
        reach = self.tile - 1 - self.overlap // 2  # pixels by which a window may lie beyond an edge
        first = -self.phases[axis] - (reach - self.phases[axis]) // step * step
        return list(range(first, length - self.tile + reach + 1, step))

    def weights(self, length: int) -> np.ndarray:
        """What a window counts along a side of `length` pixels, (min(tile, length),) int64 of 1 to `HEAVIEST`.

        Squared sines as wide as the overlap: one window fades out where the next fades in, and neither begins with a
        jump, as a straight ramp does with its first step.
        """
        place = np.arange(min(self.tile, length))
        inside = np.minimum(place, place[::-1]) + 0.5  # pixels from the nearer edge
        ramp = np.sin(np.pi / 2 * np.minimum(1, inside / max(self.overlap, 0.5))) ** 2
        return 1 + np.rint((HEAVIEST - 1) * ramp).astype(np.int64)

    def totals(self, length: int, axis: int = 0) -> np.ndarray:
        """Sum of all windows' weights at each pixel of a side, (length,) int64."""
        weights, total = self.weights(length), np.zeros(length, np.int64)
        for start in self.starts(length, axis):
            first, last = max(start, 0), min(start + len(weights), length)
            total[first:last] += weights[first - start : last - start]
        return total

"""The pixel grid of a scene: size, place on the map, and how pixels and coordinates lead to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from affine import Affine
from rasterio.crs import CRS


@dataclass(frozen=True)
class Grid:
    """Where the pixels of a scene lie.

    Attributes:
        width, height: pixels.
        transform: (column, row) of a pixel's upper left corner -> (x, y) in `crs`; may be rotated.
        crs: coordinate reference system, None where the images have none (then x, y are pixels).
    """

    width: int
    height: int
    transform: Affine
    crs: CRS | None


@dataclass(frozen=True)
class Window:
    """A rectangle of a grid, in pixels: rows `top` to `top + height`, columns `left` to `left + width`."""

    top: int
    left: int
    height: int
    width: int


class ScenePair(Protocol):
    """Two images of one place on one grid, read window by window."""

    @property
    def grid(self) -> Grid:
        """The common grid."""
        ...

    def may_show(self, tops: Sequence[int], lefts: Sequence[int], height: int, width: int) -> np.ndarray:
        """Which windows of one size may show something, (tops, lefts) bool.

        False only if all of a window is unknown, as the files say without being read.
        """
        ...

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Before and after, (h, w, 3) uint8 RGB, and where both are known, (h, w) bool; outside the scene unknown."""
        ...

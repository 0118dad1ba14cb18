"""The blocks that a sparse TIFF does not hold: they are unknown, and need not be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from rasterio.io import DatasetReader

from semantic_cc.scene.grid import Window


@dataclass(frozen=True)
class BlockIndex:
    """Which blocks of an image its file holds.

    Attributes:
        held: (rows of blocks, columns of blocks) bool.
        height, width: pixels of a block.
    """

    held: np.ndarray
    height: int
    width: int

    def touches(self, top: np.ndarray, left: np.ndarray, bottom: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Which windows of the image, which may reach beyond it, touch a block that the file holds.

        Args:
            top, left, bottom, right: of the windows, in pixels of the image, in shapes that broadcast.
        """
        rows, columns = self.held.shape
        first_row, last_row = (top // self.height).clip(0, rows), (-(-bottom // self.height)).clip(0, rows)
        first_column = (left // self.width).clip(0, columns)
        last_column = (-(-right // self.width)).clip(0, columns)
        sums = self._sums  # held blocks above and left of a corner
        inside = sums[last_row, last_column] - sums[first_row, last_column]
        inside = inside - sums[last_row, first_column] + sums[first_row, first_column]
        return np.asarray(inside > 0)

    @cached_property
    def _sums(self) -> np.ndarray:
        return np.pad(self.held.cumsum(axis=0, dtype=np.int64).cumsum(axis=1), ((1, 0), (1, 0)))

    def rectangles(self) -> Iterator[tuple[int, int, int, int]]:
        """Top, left, bottom and right, in pixels, of rectangles that hold all blocks and do not touch."""
        for top, bottom in runs(np.any(self.held, axis=1)):
            for left, right in runs(np.any(self.held[top:bottom], axis=0)):
                yield top * self.height, left * self.width, bottom * self.height, right * self.width

    def spread(self, height: int, width: int, count: int) -> list[Window]:
        """At most `count` of the held blocks of an image of this size, evenly spread over them."""
        places = np.argwhere(self.held)
        chosen = places[np.unique(np.linspace(0, len(places) - 1, min(count, len(places))).astype(int))]
        tops, lefts = chosen[:, 0] * self.height, chosen[:, 1] * self.width
        return [
            Window(
                int(top), int(left), min(self.height, height - int(top)), min(self.width, width - int(left))
            )
            for top, left in zip(tops, lefts, strict=True)
        ]


def runs(chosen: np.ndarray) -> list[tuple[int, int]]:
    """First and last + 1 of each run of true values in (n,) bool."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(np.int8), [0]])))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def find_blocks(dataset: DatasetReader, bands: Sequence[int], alpha: int | None) -> BlockIndex | None:
    """The index of a sparse TIFF whose missing blocks are unknown (nodata or transparent); None for all others.

    Args:
        dataset: the file itself, no VRT of it.
        bands: those that are read.
        alpha: the transparency band, None without one.
    """
    has_nodata = all(dataset.nodatavals[band - 1] is not None for band in bands)
    if dataset.driver != "GTiff" or (alpha is None and not has_nodata):
        return None
    bands = [*bands, *([] if alpha is None else [alpha])]
    height, width = dataset.block_shapes[bands[0] - 1]
    held = np.zeros((-(-dataset.height // height), -(-dataset.width // width)), bool)
    planes = set(bands) if dataset.interleaving and dataset.interleaving.name == "band" else {1}
    for row, column in np.ndindex(*held.shape):
        place = f"BLOCK_OFFSET_{column}_{row}"
        held[row, column] = any(dataset.get_tag_item(place, "TIFF", bidx=band) for band in planes)
    return None if held.all() else BlockIndex(held, height, width)

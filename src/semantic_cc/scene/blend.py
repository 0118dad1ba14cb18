"""Feathered blending of windows into rows of the scene, in memory for one row of windows.

The sums are kept in whole numbers (weights are whole, probabilities are taken in steps of 2^-24), so that they do not
depend on the order in which windows arrive. They are kept segment by segment, and only where windows were added: what
is unknown takes no memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from semantic_cc.scene.tiling import Tiling

STEPS = 1 << 24
"""Steps of a probability between 0 and 1; the error of at most half a step is 3e-8."""

SEGMENT = 4096
"""Columns of a segment."""


@dataclass(frozen=True)
class BlendedPart:
    """Finished pixels of a segment.

    Attributes:
        left: first column.
        probabilities: (K, n, w) float32; without meaning where unknown.
        known: (n, w) bool.
    """

    left: int
    probabilities: np.ndarray
    known: np.ndarray


class RowBlender:
    """Sums up the windows of a scene, row of windows by row of windows.

    Args:
        height, width: of the scene, in pixels.
        tiling: its windows.
        num_classes: K, probabilities of a pixel.
    """

    def __init__(self, height: int, width: int, tiling: Tiling, num_classes: int) -> None:
        self._tops, self._lefts = tiling.starts(height, 0), tiling.starts(width, 1)
        self._totals = tiling.totals(height, 0), tiling.totals(width, 1)
        rows, columns = tiling.weights(height), tiling.weights(width)
        self._weights = np.outer(rows, columns)  # (h, w)
        self._height, self._width, self._first = height, width, 0
        self._num_classes = num_classes
        self._segments: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # left -> sums (K, h, w), known (h, w)

    def add(self, row: int, column: int, probabilities: np.ndarray, known: np.ndarray) -> None:
        """Adds the window in row `row` and column `column` of windows.

        Args:
            probabilities: (K, h, w) in [0, 1].
            known: (h, w) bool.
        """
        # Rows before the scene, or finished, where a row of windows is predicted again.
        skip = self._first - self._tops[row]
        left = self._lefts[column]
        first, last = max(left, 0), min(left + known.shape[1], self._width)
        for start in range(first - first % SEGMENT, last, SEGMENT):
            here = slice(max(first, start), min(last, start + SEGMENT))
            inside = np.s_[skip:, here.start - left : here.stop - left]
            levels = np.rint(probabilities[:, *inside].astype(np.float64) * STEPS).astype(np.int64)
            sums, seen = self._segment(start)
            there = np.s_[: known.shape[0] - skip, here.start - start : here.stop - start]
            sums[:, *there] += levels * self._weights[inside]
            seen[there] |= known[inside]

    def skip_to(self, row: int) -> None:
        """Makes the first row of window row `row` the first unfinished one, before anything is added."""
        self._first = max(self._tops[row], 0)

    def finish(self, row: int) -> tuple[int, int, Iterator[BlendedPart]]:
        """The scene's rows that no window below window row `row` touches.

        Returns:
            Index of the first of them, their number, and their parts where something is known, from left to right;
            the parts must all be taken before the next window is added.
        """
        # The next row of windows may begin before the scene too.
        end = max(self._tops[row + 1], 0) if row + 1 < len(self._tops) else self._height
        top, self._first = self._first, end
        return top, end - top, self._finished(top, end - top)

    def _finished(self, top: int, count: int) -> Iterator[BlendedPart]:
        for left in sorted(self._segments):
            sums, known = self._segments[left]
            if known[:count].any():
                columns = self._totals[1][left : left + sums.shape[2]]
                total = np.outer(self._totals[0][top : top + count], columns) * STEPS
                blended = np.empty((len(sums), count, sums.shape[2]), np.float32)
                for plane, own in zip(blended, sums, strict=True):
                    plane[:] = own[:count] / total
                yield BlendedPart(left, blended, known[:count].copy())
            if not known[count:].any():
                del self._segments[left]
                continue
            for kept in (sums, known[None]):
                kept[:, : kept.shape[1] - count] = kept[:, count:].copy()
                kept[:, kept.shape[1] - count :] = 0

    def _segment(self, left: int) -> tuple[np.ndarray, np.ndarray]:
        if left not in self._segments:
            size = len(self._weights), min(SEGMENT, self._width - left)
            self._segments[left] = np.zeros((self._num_classes, *size), np.int64), np.zeros(size, bool)
        return self._segments[left]

"""Feathered blending of windows into rows of the scene, in memory for one row of windows.

The sums are kept in whole numbers (weights are whole, probabilities are taken in steps of 2^-24), so that they do not
depend on the order in which windows arrive.
"""

from __future__ import annotations

import numpy as np

from semantic_cc.scene.tiling import Tiling

STEPS = 1 << 24
"""Steps of a probability between 0 and 1; the error of at most half a step is 3e-8."""


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
        self._height, self._first = height, 0
        self._sums = np.zeros((num_classes, len(rows), width), np.int64)
        self._known = np.zeros((len(rows), width), bool)

    def add(self, row: int, column: int, probabilities: np.ndarray, known: np.ndarray) -> None:
        """Adds the window in row `row` and column `column` of windows.

        Args:
            probabilities: (K, h, w) in [0, 1].
            known: (h, w) bool.
        """
        # Rows before the scene, or finished, where a row of windows is predicted again.
        skip = self._first - self._tops[row]
        left = self._lefts[column]
        first, last = max(left, 0), min(left + known.shape[1], self._sums.shape[2])
        inside = np.s_[skip:, first - left : last - left]
        levels = np.rint(probabilities[:, *inside].astype(np.float64) * STEPS).astype(np.int64)
        here = np.s_[: known.shape[0] - skip, first:last]
        self._sums[:, *here] += levels * self._weights[inside]
        self._known[here] |= known[inside]

    def skip_to(self, row: int) -> None:
        """Makes the first row of window row `row` the first unfinished one, before anything is added."""
        self._first = max(self._tops[row], 0)

    def finish(self, row: int) -> tuple[int, np.ndarray, np.ndarray]:
        """The scene's rows that no window below window row `row` touches.

        Returns:
            Index of the first of them, their probabilities (K, n, W) float32, and where they are known, (n, W) bool;
            unknown pixels have no meaningful probabilities.
        """
        end = self._tops[row + 1] if row + 1 < len(self._tops) else self._height
        top, count = self._first, end - self._first
        total = np.outer(self._totals[0][top:end], self._totals[1]) * STEPS
        blended = np.empty((len(self._sums), count, self._sums.shape[2]), np.float32)
        for plane, sums in zip(blended, self._sums, strict=True):
            plane[:] = sums[:count] / total
        known = self._known[:count].copy()
        for kept in (self._sums, self._known[None]):
            kept[:, : kept.shape[1] - count] = kept[:, count:].copy()
            kept[:, kept.shape[1] - count :] = 0
        self._first = end
        return top, blended, known

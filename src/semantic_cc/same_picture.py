"""One picture given as both dates: one file, equal bytes, or pixels that are equal but for the noise of an encoding."""

from __future__ import annotations

import filecmp
import os
from pathlib import Path

import numpy as np

BLOCK = 8
"""Side in pixels of the squares whose means are compared; JPEG codes squares of this side."""

MAX_DIFFERENCE = 16.0
"""Levels by which the means of a square may differ in any band.

Of 129 LEVIR-MCI test images saved as JPEG, none exceeds 14.4 at quality 30; of 595 unchanged pairs of two dates, none
stays below 18.9.
"""

MAX_NOISE = 0.1
"""Mean square difference of the pixels, as a share of both images' variance; of the same JPEGs at most 0.051, of the
same pairs at least 0.168."""


def same_file_warning(before: str | Path, after: str | Path) -> str | None:
    """One line if both names lead to one file, or to files of equal bytes; None else, and for URLs of two names."""
    if str(before) == str(after):
        return f"both images are the same file, {before}; a pair needs two dates"
    try:
        if os.path.samefile(before, after):
            return f"both images are the same file, {before} and {after}; a pair needs two dates"
        if os.path.getsize(before) == os.path.getsize(after) and filecmp.cmp(before, after, shallow=False):
            return f"{before} and {after} hold the same bytes, as if the same file were given twice"
    except OSError:
        return None  # no local files, or the reader says what is wrong with them
    return None


class PictureComparison:
    """Whether two images are one picture in two encodings; takes them window by window."""

    def __init__(self) -> None:
        self._differs = False
        self._pixels = 0
        self._sums = np.zeros((5, 3))  # of both dates' levels and squares, and of the squared differences

    def add(self, before: np.ndarray, after: np.ndarray, known: np.ndarray | None = None) -> None:
        """Compares a window.

        Args:
            before, after: (h, w, 3) uint8.
            known: (h, w) bool, the pixels that count; all if None.
        """
        if self._differs:
            return
        difference = before.astype(np.int16) - after
        if known is not None:
            difference[~known] = 0
        height, width = (side // BLOCK for side in difference.shape[:2])
        squares = difference[: height * BLOCK, : width * BLOCK].reshape(height, BLOCK, width, BLOCK, 3)
        if squares.size and float(np.abs(squares.mean(axis=(1, 3))).max()) > MAX_DIFFERENCE:
            self._differs = True
            return
        pixels = [
            (image.reshape(-1, 3) if known is None else image[known]).astype(np.float64)
            for image in (before, after, difference)
        ]
        self._pixels += len(pixels[0])
        self._sums[:2] += [image.sum(axis=0) for image in pixels[:2]]
        self._sums[2:] += [(image**2).sum(axis=0) for image in pixels]

    def warning(self, before: str | Path, after: str | Path) -> str | None:
        """One line, with the images' names, if what was added is one picture; None else."""
        if self._differs or self._pixels == 0:
            return None
        means = self._sums / self._pixels
        variance = float((means[2:4] - means[:2] ** 2).sum())
        if float(means[4].sum()) > MAX_NOISE * variance:
            return None
        return f"{before} and {after} show one picture, perhaps in two encodings; a pair needs two dates"

"""How far the later image lies off the earlier: sub-pixel phase correlation on a grid of windows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from semantic_cc.scene.grid import ScenePair, Window

SAMPLE_TILE = 256
"""Side of the windows that are looked at, in pixels; in an image of less than two of them, half of its side."""

SAMPLE_WINDOWS = 3, 7
"""Fewest and most windows a side of the grid of windows."""

MAX_SHIFT = 32
"""Largest shift that is looked for, in pixels."""

FINE = 20
"""Steps a pixel of the sub-pixel search."""

MIN_PEAK = 6.0
"""Height of a window's peak, in standard deviations over the shifts looked for, from which on it counts."""

MIN_WINDOWS = 3
"""Windows with a peak that a measurement needs."""

MAX_SPREAD = 0.5
"""Largest spread of the windows' shifts, as a share of the shift, at which they agree.

Of 97 LEVIR-MCI test pairs of 256 pixels, 22 then count as shifted by more than a pixel, and 43 by one window of the
whole image; of the same pairs moved by (5, -6), 30 are measured to 2.5 pixels, and 21 by one window.
"""

MIN_KNOWN = 0.9
"""Share of a window that must be known in both images."""

MIN_SIDE = 2 * MAX_SHIFT
"""Side in pixels below which a window is too small to look for the largest shift."""


@dataclass(frozen=True)
class Shift:
    """Where the later image's content lies against the earlier's, in pixels of the common grid.

    Attributes:
        columns, rows: medians over the windows; positive = to the right, downwards.
        spread: median distance of the windows' own shifts from them.
        windows: how many windows had a clear peak.
    """

    columns: float
    rows: float
    spread: float
    windows: int

    @property
    def length(self) -> float:
        """Pixels."""
        return float(np.hypot(self.columns, self.rows))

    @property
    def agreed(self) -> bool:
        """Whether the windows agree on the shift: `MAX_SPREAD`."""
        return self.spread <= MAX_SPREAD * self.length


def sample_windows(pair: ScenePair) -> list[Window]:
    """Evenly spread windows of a pair, `SAMPLE_WINDOWS` a side; they overlap where less than three fit a side.

    Where the files hold nothing of some of them, as many of those of which they hold something.
    """
    sides = pair.grid.height, pair.grid.width
    height, width = (min(side, SAMPLE_TILE, max(MIN_SIDE, side // 2)) for side in sides)
    tops, lefts = (_starts(side, size) for side, size in zip(sides, (height, width), strict=True))
    windows = [Window(top, left, height, width) for top in tops for left in lefts]
    if pair.may_show(tops, lefts, height, width).all():
        return windows
    tops, lefts = (
        list(range(0, side - size + 1, size)) for side, size in zip(sides, (height, width), strict=True)
    )
    places = np.argwhere(pair.may_show(tops, lefts, height, width))
    if not len(places):
        return windows
    chosen = np.unique(np.linspace(0, len(places) - 1, min(len(windows), len(places))).astype(int))
    return [Window(tops[row], lefts[column], height, width) for row, column in places[chosen]]


def _starts(side: int, size: int) -> list[int]:
    """Where the windows begin along a side, at least half a window apart."""
    least, most = SAMPLE_WINDOWS
    count = min(1 + 2 * (side - size) // size, max(least, min(most, side // SAMPLE_TILE)))
    return [round(start) for start in np.linspace(0, side - size, count)]


def measure_shift(samples: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Shift | None:
    """The shift between the dates.

    Args:
        samples: windows as `ScenePair.read` gives them.

    Returns:
        None where fewer than `MIN_WINDOWS` windows have a clear peak.
    """
    found = []
    for before, after, known in samples:
        if min(known.shape) < MIN_SIDE or known.mean() < MIN_KNOWN:
            continue
        shift, peak = window_shift(before, after)
        if peak >= MIN_PEAK:
            found.append(shift)
    if len(found) < MIN_WINDOWS:
        return None
    shifts = np.array(found)  # (windows, 2): columns, rows
    middle = np.median(shifts, axis=0)
    spread = float(np.median(np.hypot(*(shifts - middle).T)))
    return Shift(float(middle[0]), float(middle[1]), spread, len(found))


def read_samples(pair: ScenePair) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """`ScenePair.read` of the `sample_windows`."""
    return [pair.read(window) for window in sample_windows(pair)]


def window_shift(before: np.ndarray, after: np.ndarray) -> tuple[tuple[float, float], float]:
    """Phase correlation of the edges in two (h, w, 3) uint8 images.

    Edges, because light and season change grey levels; the peak is refined by evaluating the correlation at
    fractions of a pixel (the matrix product of Guizar-Sicairos et al., 2008).

    Returns:
        (columns, rows) by which the later content lies off, and the peak's height in standard deviations.
    """
    first, second = (fft.fft2(_edges(image)) for image in (before, after))
    cross = second * first.conj()
    # Phases by themselves would weigh the noise of empty frequencies like the rest; the root keeps half of their size.
    cross /= np.sqrt(np.abs(cross)) + 1e-9
    surface = fft.fftshift(fft.ifft2(cross).real)
    near_rows, near_columns = (
        slice(length // 2 - MAX_SHIFT, length // 2 + MAX_SHIFT + 1) for length in surface.shape
    )
    near = surface[near_rows, near_columns]
    top = np.array(np.unravel_index(near.argmax(), near.shape)) - MAX_SHIFT  # (row, column)
    height = float((near.max() - near.mean()) / (near.std() + 1e-12))
    steps = np.arange(-FINE, FINE + 1) / FINE
    rows, columns = (
        np.exp(2j * np.pi * np.outer(start + steps, fft.fftfreq(length)))
        for start, length in zip(top, surface.shape, strict=True)
    )
    fine = (rows @ cross @ columns.T).real
    row, column = np.unravel_index(fine.argmax(), fine.shape)
    return (float(top[1] + steps[column]), float(top[0] + steps[row])), height


def _edges(image: np.ndarray) -> np.ndarray:
    """Size of the grey levels' slope, faded out towards the border, (h, w)."""
    grey = image.astype(np.float32).mean(axis=2)
    slope = np.hypot(ndimage.sobel(grey, axis=0), ndimage.sobel(grey, axis=1))
    fade = np.outer(np.hanning(grey.shape[0]), np.hanning(grey.shape[1]))
    return (slope - slope.mean()) * fade

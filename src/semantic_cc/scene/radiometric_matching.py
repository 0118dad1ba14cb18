"""Two dates of more than 8 bits brought to levels that agree where nothing changed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy import ndimage

from semantic_cc.scene.radiometry import MIN_WHITE_LEVEL, PERCENTILES, find_stretch
from semantic_cc.scene.raster import Raster

MIN_CORRELATION, MIN_KEPT, MAX_GAIN = 0.6, 0.4, 4.0
"""What a match must reach: correlation of the pixels kept, their share, and no gain beyond this or its inverse."""

TRIALS, REFITS, TOLERANCE = 400, 5, 6.0
"""Lines that are tried, how often the best is refitted, and levels up to which a pixel lies near it."""

ALIKE, COMPARABLE = (0.08, 6.0), (0.3, 30.0)
"""Gain from 1 and offset in levels up to which no match is made: in general, and where both dates
have one stretch, or full scales."""


def match_levels(
    reference: np.ndarray, other: np.ndarray, alike: tuple[float, float] = ALIKE
) -> tuple[np.ndarray, np.ndarray] | None:
    """Gain and offset that bring one date's levels to the other's over ground that did not change.

    The pseudo-invariant pixels are those near the line that most pixels agree on (RANSAC; Fischler and Bolles, 1981);
    the line is refitted to them.

    Args:
        reference, other: (3, n) levels of the same pixels at both dates.
        alike: gain from 1 and offset up to which the dates count as alike.

    Returns:
        (3,) gain and (3,) offset for `other`, ones and zeros where the dates are alike; None where no line fits.
    """
    gains, offsets = np.ones(3), np.zeros(3)
    for band, (target, source) in enumerate(zip(reference.astype(float), other.astype(float), strict=True)):
        line = _consensus_line(source, target)
        for _ in range(REFITS):
            if line is None:
                return None
            kept = np.abs(target - line[0] * source - line[1]) <= TOLERANCE
            line = _major_axis(source[kept], target[kept])
        if line is None or kept.mean() < MIN_KEPT:
            return None
        if np.corrcoef(source[kept], target[kept])[0, 1] < MIN_CORRELATION:
            return None
        gains[band], offsets[band] = line
    change = np.abs(gains * 128 + offsets - 128).max()  # at middle grey
    if np.abs(gains - 1).max() <= alike[0] and change <= alike[1]:
        return np.ones(3), np.zeros(3)
    return gains, offsets


def _consensus_line(source: np.ndarray, target: np.ndarray) -> tuple[float, float] | None:
    """The line through two pixels that most others lie near: gain and offset, None where no two are apart."""
    rng = np.random.default_rng(0)
    some = rng.permutation(len(source))[:4000]
    x, y = source[some], target[some]
    first, second = rng.integers(0, len(x), (2, TRIALS))
    step = x[second] - x[first]
    apart = np.abs(step) >= max(1.0, float(x.std()) / 2)
    if not apart.any():
        return None
    gains = (y[second] - y[first])[apart] / step[apart]
    offsets = y[first][apart] - gains * x[first][apart]
    usable = (gains >= 1 / MAX_GAIN) & (gains <= MAX_GAIN)
    if not usable.any():
        return None
    gains, offsets = gains[usable], offsets[usable]
    near = [
        (np.abs(y - gain * x - offset) <= TOLERANCE).sum()
        for gain, offset in zip(gains, offsets, strict=True)
    ]
    best = int(np.argmax(near))
    return float(gains[best]), float(offsets[best])


def _major_axis(x: np.ndarray, y: np.ndarray) -> tuple[float, float] | None:
    """The reduced major axis of points: gain and offset; None where they are too few or have no spread."""
    if len(x) < 32 or x.std() < 1e-9 or y.std() < 1e-9:
        return None
    gain = float(y.std() / x.std())
    return (gain, float(y.mean() - gain * x.mean())) if 1 / MAX_GAIN <= gain <= MAX_GAIN else None


def match_dates(
    before: Raster, after: Raster, samples: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]]
) -> tuple[str, ...]:
    """Changes the stretch of one date so that unchanged ground has the levels that it has at the other.

    The later date is brought to the earlier one; where one date is an 8-bit image, that one stays as it is. Two 8-bit
    images stay as they are.

    Args:
        before, after: their `stretch` may be replaced.
        samples: windows of both as stored, (3, h, w) each, and where both are known, (h, w) bool.

    Returns:
        What was done, for people.
    """
    if before.stretch is None and after.stretch is None:
        return ()
    own = before.stretch, after.stretch
    if _share_stretch(before, after):
        return ()
    fixed, moved = (after, before) if after.stretch is None else (before, after)
    comparable = before.stretch is after.stretch or all(
        raster.stretch is None or raster.stretch.rule == "full scale" for raster in (before, after)
    )
    levels: list[list[np.ndarray]] = [[], []]
    for first, second, known in samples:
        inner = ndimage.binary_erosion(known, border_value=1)
        for raster, values, kept in zip((before, after), (first, second), levels, strict=True):
            smooth = ndimage.uniform_filter(_levels(raster, np.where(known, values, 0)), (0, 3, 3))
            kept.append(smooth[:, inner])
    pair = [np.concatenate(parts, axis=1) if parts else np.zeros((3, 0)) for parts in levels]
    reference, other = (pair[1], pair[0]) if fixed is after else pair
    found = (
        match_levels(reference, other, COMPARABLE if comparable else ALIKE) if other.shape[1] >= 64 else None
    )
    assert moved.stretch is not None
    if found is None:
        before.stretch, after.stretch = own
        return (
            f"{moved.name}: its radiometry could not be matched to {fixed.name}; each has a stretch of its own",
        )
    gain, offset = found
    if (gain == 1).all() and (offset == 0).all():
        return ()
    moved.stretch = moved.stretch.matched(gain, offset)
    shown = ", ".join(f"{g:.2f}" for g in gain)
    return (f"{moved.name}: radiometry matched to {fixed.name} over unchanged ground (gains {shown})",)


def _share_stretch(before: Raster, after: Raster) -> bool:
    """Gives two dates of one encoding one stretch, unless it makes one too dark or pale; whether no more is needed."""
    if before.encoding != after.encoding or before.stretch is None or after.stretch is None:
        return False
    both = find_stretch(np.concatenate([before.pixels, after.pixels], axis=1), before.encoding)
    for raster in (before, after):
        dark, bright = np.percentile(both.levels(raster.pixels), PERCENTILES)
        if bright < MIN_WHITE_LEVEL or dark > 255 - MIN_WHITE_LEVEL:
            return False
    whites = [
        both.high if stretch.rule == "percentiles" else stretch.high
        for stretch in (before.stretch, after.stretch)
    ]
    before.stretch = after.stretch = both
    return both.rule == "full scale" and all(np.allclose(white, both.high) for white in whites)


def _levels(raster: Raster, values: np.ndarray) -> np.ndarray:
    """(3, h, w) as stored -> float levels, not clipped."""
    return values.astype(np.float32) if raster.stretch is None else raster.stretch.levels(values)

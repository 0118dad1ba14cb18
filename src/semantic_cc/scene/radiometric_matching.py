"""Two dates of more than 8 bits brought to levels that agree where nothing changed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy import ndimage

from semantic_cc.scene.radiometry import MIN_WHITE_LEVEL, PERCENTILES, find_stretch
from semantic_cc.scene.raster import Raster

MIN_CORRELATION, MIN_KEPT, MAX_GAIN = 0.6, 0.4, 3.0
"""What a match must reach: correlation of the pixels kept, their share, and no gain beyond this or its inverse."""

ALIKE, COMPARABLE = (0.08, 6.0), (0.3, 30.0)
"""Gain from 1 and offset in levels up to which no match is made: in general, and where both dates
have one stretch, or full scales."""


def match_levels(
    reference: np.ndarray, other: np.ndarray, alike: tuple[float, float] = ALIKE
) -> tuple[np.ndarray, np.ndarray] | None:
    """Gain and offset that bring one date's levels to the other's over ground that did not change.

    The pseudo-invariant pixels are found by refitting: a line through the pixels (reduced major axis), and again
    without those that lie far from it.

    Args:
        reference, other: (3, n) levels of the same pixels at both dates.
        alike: gain from 1 and offset up to which the dates count as alike.

    Returns:
        (3,) gain and (3,) offset for `other`, ones and zeros where the dates are alike; None where no line fits.
    """
    gains, offsets = np.ones(3), np.zeros(3)
    for band, (target, source) in enumerate(zip(reference.astype(float), other.astype(float), strict=True)):
        gain = _spread(target) / max(_spread(source), 1e-9)
        offset = float(np.median(target) - gain * np.median(source))
        for _ in range(8):
            residual = target - gain * source - offset
            limit = 2.5 * 1.4826 * float(np.median(np.abs(residual - np.median(residual)))) + 1.0
            kept = np.abs(residual - np.median(residual)) <= limit
            x, y = source[kept], target[kept]
            if len(x) < 32 or x.std() < 1e-9 or y.std() < 1e-9:
                return None
            gain = float(y.std() / x.std())
            offset = float(y.mean() - gain * x.mean())
        if kept.mean() < MIN_KEPT or np.corrcoef(x, y)[0, 1] < MIN_CORRELATION:
            return None
        if not 1 / MAX_GAIN <= gain <= MAX_GAIN:
            return None
        gains[band], offsets[band] = gain, offset
    change = np.abs(gains * 128 + offsets - 128).max()  # at middle grey
    if np.abs(gains - 1).max() <= alike[0] and change <= alike[1]:
        return np.ones(3), np.zeros(3)
    return gains, offsets


def _spread(values: np.ndarray) -> float:
    """Distance of the quartiles."""
    low, high = np.percentile(values, (25, 75))
    return float(high - low)


def match_dates(
    before: Raster, after: Raster, samples: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]]
) -> tuple[str, ...]:
    """Changes the stretch of one date so that unchanged ground has the levels that it has at the other.

    The later date is brought to the earlier one; where one date is an 8-bit image, that one stays as it is. Two 8-bit
    images are left alone.

    Args:
        before, after: their `stretch` may be replaced.
        samples: windows of both as stored, (3, h, w) each, and where both are known, (h, w) bool.

    Returns:
        What was done, for people.
    """
    if before.stretch is None and after.stretch is None:
        return ()
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

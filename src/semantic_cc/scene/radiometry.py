"""From the numbers of an image to the 8 bits that the model expects: one rule, applied once a scene.

8-bit images are taken as they are. Of all others a sample of the known pixels over the whole image decides:

1. Scale and offset tags are applied.
2. Values that lie far apart from the rest (saturated clouds, fill values) and long bright tails are left out.
3. Where black is near 0, white is the next full scale above the brightest values: 255, 511, ... 65,535 (all bits of an
   integer), or ... 0.25, 0.5, 1 of a reflectance. Both dates of a sensor then have one scale, whatever they show.
4. Elsewhere, or where the image would be too dark, the 2nd and 98th percentile go to the levels where they lie in
   8-bit aerial images.

All three bands share one black and one white, so that colours are kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

PERCENTILES = (2.0, 98.0)
STRETCHED = (42.0, 209.0)
"""Where the two percentiles go in 8 bits: where they lie in 8-bit images (medians over 2,100 of UC Merced)."""

TAIL, TAIL_OF_MEDIAN = 8.0, 1.5
"""How far above the median values count: so many times the median's distance from the 5th percentile, or the median."""

MIN_RATIO = 2.5
"""How many times brighter than all else what lies beyond an empty stretch is: a cloud, but not a roof."""

MIN_BELOW_GAP = 0.05
"""Share of the pixels below an empty stretch of values that are enough to be the ground."""

WHITE_PERCENTILE = 99.8
BLACK_PERCENTILE = 0.5
"""The brightest and darkest values that count."""

MAX_BLACK = 0.45
"""Share of the brightest value up to which black counts as near 0."""

MIN_WHITE_LEVEL = 64.0
"""8-bit level that the 98th percentile must reach, else an image is too dark."""


@dataclass(frozen=True, eq=False)
class Stretch:
    """A linear map of values to 8 bits, clipped at both ends.

    Attributes:
        low, high: (3,) the values that become 0 and 255, band by band.
        rule: "full scale", "percentiles" or "matched", to the other date.
    """

    low: np.ndarray
    high: np.ndarray
    rule: Literal["full scale", "percentiles", "matched"] = "full scale"

    def levels(self, values: np.ndarray) -> np.ndarray:
        """(3, ...) of any real type -> (3, ...) float32 levels, neither rounded nor clipped."""
        shape = (3,) + (1,) * (values.ndim - 1)
        low = self.low.astype(np.float32).reshape(shape)
        scale = (255.0 / (self.high - self.low)).astype(np.float32).reshape(shape)
        with np.errstate(over="ignore", invalid="ignore"):  # of what is unknown, such as 3.4e38
            result: np.ndarray = (values.astype(np.float32) - low) * scale
        return result

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """(3, h, w) of any real type -> the same shape, uint8; NaN becomes 0."""
        return np.clip(np.nan_to_num(self.levels(values)), 0, 255).round().astype(np.uint8)

    def matched(self, gain: np.ndarray, offset: np.ndarray) -> Stretch:
        """The stretch after which every level is `gain` times the one before, plus `offset`, both (3,)."""
        step = (self.high - self.low) / 255.0  # values a level
        low = self.low - offset / gain * step
        return replace(self, low=low, high=low + 255.0 * step / gain, rule="matched")


@dataclass(frozen=True)
class Encoding:
    """What a file says of its numbers.

    Attributes:
        kind: type of the values.
        scales, offsets: of each of the three bands.
        bits: significant bits of an integer, or None.
    """

    kind: str
    scales: tuple[float, ...] = (1.0, 1.0, 1.0)
    offsets: tuple[float, ...] = (0.0, 0.0, 0.0)
    bits: int | None = None


def find_stretch(values: np.ndarray, encoding: Encoding) -> Stretch:
    """The rule of this module.

    Args:
        values: (3, n) known pixels of the three bands, as stored; n > 0.
        encoding: how they are stored.
    """
    scale, offset = np.asarray(encoding.scales, float), np.asarray(encoding.offsets, float)
    physical = values.astype(np.float64) * scale[:, None] + offset[:, None]
    kept = [_without_outliers(band) for band in physical]
    darkest = min(float(np.percentile(band, BLACK_PERCENTILE)) for band in kept)
    brightest = max(float(np.percentile(band, WHITE_PERCENTILE)) for band in kept)
    dark, bright = (
        float(np.mean([np.percentile(band, percentile) for band in kept])) for percentile in PERCENTILES
    )
    plain = bool(np.all(scale == 1) and np.all(offset == 0))
    whole = plain and ("int" in encoding.kind or brightest > 2)
    bits = encoding.bits if plain else None
    white = _full_scale(brightest, whole=whole, bits=bits)
    if 0 <= darkest <= MAX_BLACK * brightest and bright / white * 255 >= MIN_WHITE_LEVEL:
        return Stretch((0.0 - offset) / scale, (white - offset) / scale, "full scale")
    first, last = STRETCHED
    step = max(bright - dark, 1e-9 + abs(bright) * 1e-6) / (last - first)
    low = dark - first * step
    return Stretch((low - offset) / scale, (low + 255 * step - offset) / scale, "percentiles")


def _full_scale(brightest: float, *, whole: bool, bits: int | None) -> float:
    """The smallest full scale that holds the brightest value."""
    if bits is not None:
        return float(2**bits - 1)
    if brightest <= 0:
        return 1.0
    if whole:
        return float(2 ** max(8, math.ceil(math.log2(brightest + 1))) - 1)
    return float(2.0 ** math.ceil(math.log2(brightest) - 1e-3))


def _without_outliers(values: np.ndarray) -> np.ndarray:
    """A band's values in ascending order, without those beyond an empty stretch, and without a long tail."""
    ordered = np.sort(values)
    count = len(ordered)
    if count < 8 or ordered[0] == ordered[-1]:
        return ordered
    first = max(1, int(count * MIN_BELOW_GAP))
    steps = np.diff(ordered)
    # Beyond the first gap that is wider than all below it lie clouds; below one wider than all above, fill values.
    below, above = ordered[:-1] - ordered[first // 50], ordered[-1 - first // 50] - ordered[1:]
    wide = (steps > below) & (below > 0) & (ordered[1:] > MIN_RATIO * np.abs(ordered[:-1]))
    wide[: first - 1] = False
    end = int(np.argmax(wide)) + 1 if wide.any() else count
    deep = (steps > above) & (above > 0) & (ordered[1:] > MIN_RATIO * ordered[:-1])
    deep[count - first :] = False
    deep[end - 1 :] = False
    start = int(np.flatnonzero(deep)[-1]) + 1 if deep.any() else 0
    ordered = ordered[start:end]
    median, low = np.median(ordered), np.percentile(ordered, 5)
    return ordered[ordered <= median + max(TAIL * (median - low), TAIL_OF_MEDIAN * abs(median))]

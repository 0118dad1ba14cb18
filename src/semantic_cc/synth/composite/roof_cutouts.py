"""Cuts roofs and their shadows out of single-date images."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from semantic_cc.synth.composite.image_folders import BUILDING, UNCERTAIN, SourceImage, read_source

AREA = (80, 20000)
"""Minimum and maximum area of a roof, in pixels at the pasting scale."""
FULL = 0.8
"""Minimum fraction of its minimum-area rectangle that a single whole roof fills."""
SLIM = 4.0
"""Maximum aspect ratio (length / width) of a roof."""
DARK = 0.72
"""Maximum brightness of a shadow relative to the surroundings of the roof."""
REACH = 14
"""Maximum shadow length in source pixels."""


@dataclass(frozen=True)
class Roof:
    """A roof cut-out, in source pixels.

    Attributes:
        image: (h, w, 3) uint8, the roof and its surroundings.
        roof: (h, w) bool, the roof mask.
        shadow: (h, w) bool, the shadow mask without the roof.
        angle: direction of the longer side of the minimum-area rectangle, radians in [0, pi).
        size: longer and shorter side of this rectangle.
    """

    image: np.ndarray
    roof: np.ndarray
    shadow: np.ndarray
    angle: float
    size: tuple[float, float]


@functools.lru_cache(maxsize=256)
def find_roofs(source: SourceImage) -> tuple[Roof, ...]:
    """Finds the whole roofs of a source clear of the image edge, with at most 40 % uncertain pixels along the rim.

    Raises:
        As `read_source`.
    """
    image, mask = read_source(source)
    built = ndimage.binary_opening(mask == BUILDING, iterations=2)
    places, _ = ndimage.label(built)
    grey = image.mean(axis=2)
    sun = _sun(grey, built)
    found = []
    for number, box in enumerate(ndimage.find_objects(places), 1):
        if (
            box[0].start < 3
            or box[1].start < 3
            or box[0].stop > mask.shape[0] - 3
            or box[1].stop > mask.shape[1] - 3
        ):
            continue
        window = tuple(slice(max(0, side.start - REACH - 4), side.stop + REACH + 4) for side in box)
        roof = ndimage.binary_fill_holes(places[window] == number)
        angle, size = tightest(roof)
        if roof.sum() < FULL * size[0] * size[1] or size[0] > SLIM * size[1]:
            continue
        rim = ndimage.binary_dilation(roof, iterations=3) & ~roof
        if (mask[window][rim] == UNCERTAIN).mean() > 0.4:
            continue
        shadow = _shadow(grey[window], roof, built[window] & ~roof, sun)
        found.append(Roof(image[window].copy(), roof, shadow, angle, size))
    return tuple(found)


def tightest(area: np.ndarray) -> tuple[float, tuple[float, float]]:
    """The minimum-area rectangle of `area` (H, W) bool: direction of the longer side in [0, pi), (longer, shorter)."""
    y, x = np.nonzero(area & ~ndimage.binary_erosion(area))  # only the outline, for speed
    best = (math.inf, 0.0, (0.0, 0.0))
    for angle in np.arange(0, 90, 3) * math.pi / 180:
        c, s = math.cos(angle), math.sin(angle)
        u, v = c * x + s * y, -s * x + c * y
        wide, high = float(np.ptp(u)) + 1, float(np.ptp(v)) + 1
        if wide * high < best[0]:
            turned = angle if wide >= high else angle + math.pi / 2
            best = (wide * high, turned, (max(wide, high), min(wide, high)))
    return best[1], best[2]


def _sun(grey: np.ndarray, built: np.ndarray) -> tuple[float, float] | None:
    """The shadow direction (x, y) of an image, one of eight; None if no direction is clearly darker."""
    near = ndimage.binary_dilation(built, iterations=8) & ~ndimage.binary_dilation(built, iterations=1)
    if not near.any():
        return None
    usual = float(np.median(grey[near]))
    dark = (grey < DARK * usual) & near
    best, direction = 0.0, None
    for turn in range(8):
        way = (math.cos(turn * math.pi / 4), math.sin(turn * math.pi / 4))
        there, behind = (
            (ndimage.shift(built.astype(np.uint8), (sign * 4 * way[1], sign * 4 * way[0]), order=0) > 0)
            & near
            for sign in (1, -1)
        )
        contrast = float(dark[there].mean() - dark[behind].mean()) if there.any() and behind.any() else 0.0
        if contrast > best:
            best, direction = contrast, way
    return direction if best > 0.15 else None


def _shadow(
    grey: np.ndarray, roof: np.ndarray, others: np.ndarray, sun: tuple[float, float] | None
) -> np.ndarray:
    """The dark pixels connected to a roof on its shadow side."""
    if sun is None:
        return np.zeros_like(roof)
    swept = np.zeros_like(roof)
    for step in range(1, REACH):
        swept |= ndimage.shift(roof.astype(np.uint8), (step * sun[1], step * sun[0]), order=0) > 0
    rim = ndimage.binary_dilation(roof, iterations=8) & ~roof & ~others
    dark = swept & ~roof & ~others & (grey < DARK * np.median(grey[rim]))
    dark = ndimage.binary_opening(dark)
    joined: np.ndarray = ndimage.binary_propagation(
        ndimage.binary_dilation(roof, iterations=3) & dark, mask=dark
    )
    return joined


@dataclass(frozen=True)
class Stamp:
    """A roof resampled for pasting, in pixels of the target image.

    Attributes:
        image: (h, w, 3) float32, 0..255.
        alpha: (h, w) float32 in [0, 1], the opacity of the roof, a soft rim and the shadow.
        roof: (h, w) bool, the roof mask.
    """

    image: np.ndarray
    alpha: np.ndarray
    roof: np.ndarray


def make_stamp(roof: Roof, scale: float, turn: float, rim: float) -> Stamp:
    """Scales a roof by `scale` and rotates it clockwise by `turn` radians, with a rim of `rim` pixels of its ground."""
    side = math.ceil(math.hypot(*roof.roof.shape) * scale) + 8
    centre = np.array(ndimage.center_of_mass(roof.roof))[::-1]
    c, s = math.cos(turn) / scale, math.sin(turn) / scale
    # Inverse transform from target to source coordinates, about the centre of the roof.
    half = side / 2
    affine = (c, s, centre[0] - (c + s) * half, -s, c, centre[1] - (c - s) * half)

    def moved(array: np.ndarray) -> np.ndarray:
        padded = Image.fromarray(array)
        if scale < 1:  # PIL's transform does not anti-alias, so smooth first
            padded = Image.fromarray(ndimage.gaussian_filter(array, 0.35 / scale))
        return np.asarray(
            padded.transform((side, side), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR)
        )

    channels = [moved(roof.image[..., channel].astype(np.float32)) for channel in range(3)]
    inside, shadow = moved(roof.roof.astype(np.float32)) >= 0.5, moved(roof.shadow.astype(np.float32)) >= 0.5
    seen = moved(np.ones(roof.roof.shape, np.float32)) > 0.9
    outside = ndimage.distance_transform_edt(~inside)
    alpha = (1 - (outside - rim) / max(1.0, rim)).clip(0, 1)
    alpha = np.maximum(alpha, ndimage.gaussian_filter(shadow.astype(np.float32), 0.8))
    return Stamp(np.stack(channels, axis=-1), (alpha * seen).astype(np.float32), inside & seen)

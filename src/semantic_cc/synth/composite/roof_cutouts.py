"""Roofs cut out of single-date images, with the shadows that they cast."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from semantic_cc.synth.composite.image_folders import BUILDING, UNCERTAIN, SourceImage, read_source

AREA = (80, 20000)
"""Least and largest area of a roof, in pixels at the scale at which it is pasted."""
FULL = 0.8
"""Least share of its tightest rectangle that a roof fills: what is less is a part of one, or several."""
SLIM = 4.0
"""Largest length of a roof over its width."""
DARK = 0.72
"""Brightness of a shadow, at most, over that of what lies around the roof."""
REACH = 14
"""How far shadows are followed, in pixels of the source."""


@dataclass(frozen=True)
class Roof:
    """A cut-out, in pixels of its source.

    Attributes:
        image: (h, w, 3) uint8, the roof and what lies around it.
        roof: (h, w) bool.
        shadow: (h, w) bool, beside the roof.
        angle: of the longer side of its tightest rectangle, radians in [0, pi).
        size: its longer and shorter side.
    """

    image: np.ndarray
    roof: np.ndarray
    shadow: np.ndarray
    angle: float
    size: tuple[float, float]


@functools.lru_cache(maxsize=256)
def find_roofs(source: SourceImage) -> tuple[Roof, ...]:
    """The whole roofs of a source that stand clear of its edge and of what is uncertain.

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
    """The tightest rectangle about an area (H, W) bool: direction of its longer side in [0, pi), both sides."""
    y, x = np.nonzero(area & ~ndimage.binary_erosion(area))  # its outline alone, for speed
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
    """The direction (x, y) in which an image's roofs cast shadows; None where none of eight is clearly dark."""
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
    """What is dark beside a roof on the side that the sun does not see, joined to it."""
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
    """A roof made ready to be pasted, in pixels of the picture.

    Attributes:
        image: (h, w, 3) float32, 0..255.
        alpha: (h, w) float32 in [0, 1], what of it is pasted: roof, a soft rim, the shadow.
        roof: (h, w) bool.
    """

    image: np.ndarray
    alpha: np.ndarray
    roof: np.ndarray


def make_stamp(roof: Roof, scale: float, turn: float, rim: float) -> Stamp:
    """A roof resized by `scale`, turned by `turn` radians with the clock, with `rim` pixels of its own ground."""
    side = math.ceil(math.hypot(*roof.roof.shape) * scale) + 8
    centre = np.array(ndimage.center_of_mass(roof.roof))[::-1]
    c, s = math.cos(turn) / scale, math.sin(turn) / scale
    # From picture to source: turned back and enlarged about the roof's centre.
    half = side / 2
    affine = (c, s, centre[0] - (c + s) * half, -s, c, centre[1] - (c - s) * half)

    def moved(array: np.ndarray) -> np.ndarray:
        padded = Image.fromarray(array)
        if scale < 1:  # PIL's transform does not average, so the array is smoothed first
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

"""Draws cars on paved areas; cars differ between the dates but are not changes."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

LENGTH, WIDTH = (8.0, 10.5), (3.6, 4.4)
"""Ranges of the length and width of a car, in pixels of 0.5 m."""
_COLOURS = (
    (225, 226, 228),
    (238, 238, 240),
    (60, 62, 66),
    (28, 28, 32),
    (128, 130, 134),
    (150, 40, 36),
    (48, 70, 120),
)
_FINE = 4


def park_cars(image: np.ndarray, closed: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """A copy of `image` (H, W, 3) float32 with up to `most` cars on paved areas outside `closed` (H, W) bool."""
    count = int(rng.integers(most + 1))
    spots = (
        np.argwhere(paved(image) & ~ndimage.binary_dilation(closed, iterations=4))
        if count
        else np.empty((0, 2))
    )
    if not len(spots):
        return image.copy()
    layer = Image.new("RGBA", (image.shape[1] * _FINE, image.shape[0] * _FINE))
    draw = ImageDraw.Draw(layer)
    angle = float(rng.uniform(0, math.pi))
    for y, x in spots[rng.integers(len(spots), size=count)].tolist():
        turn = angle + float(rng.choice([0, math.pi / 2])) + float(rng.normal(0, 0.06))
        long, wide = float(rng.uniform(*LENGTH)), float(rng.uniform(*WIDTH))
        colour = _COLOURS[int(rng.integers(len(_COLOURS)))]
        draw.polygon(_box(x + 0.8, y + 0.8, long, wide, turn), fill=(20, 20, 24, 130))
        draw.polygon(_box(x, y, long, wide, turn), fill=(*colour, 255))
        r, g, b = (int(0.55 * channel) for channel in colour)
        draw.polygon(_box(x, y, long * 0.5, wide * 0.8, turn), fill=(r, g, b, 255))
    rgba = np.asarray(layer.reduce(_FINE), np.float32)
    share = rgba[..., 3:] / 255
    return image * (1 - share) + rgba[..., :3] * share


def paved(image: np.ndarray) -> np.ndarray:
    """Mask (H, W) bool of `image` (H, W, 3) float32 where it is grey, of medium brightness and uniform at car size."""
    grey = image.mean(axis=2)
    dull = np.ptp(image, axis=2) < 0.13 * grey
    mean = ndimage.uniform_filter(grey, 9)
    uneven = ndimage.uniform_filter(grey**2, 9) - mean**2 > 10**2
    even: np.ndarray = dull & ~uneven & (mean > 85) & (mean < 200)
    return np.asarray(ndimage.uniform_filter(even.astype(np.float32), 9) > 0.95)


def _box(x: float, y: float, long: float, wide: float, turn: float) -> list[tuple[float, float]]:
    c, s = math.cos(turn), math.sin(turn)
    corners = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return [
        ((x + (c * u * long - s * v * wide) / 2) * _FINE, (y + (s * u * long + c * v * wide) / 2) * _FINE)
        for u, v in corners
    ]

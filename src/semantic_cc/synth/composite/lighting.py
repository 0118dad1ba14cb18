"""Lighting of a date (illumination, season, sensor, compression): differences that are not changes."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from semantic_cc.data.augment.transforms import shift, through_jpeg
from semantic_cc.synth.composite.mixture_recipe import LightConfig

BLURRED, BLUR = (0.6, 0.15), (1.4, 0.8)
"""Fraction of blurred images and maximum blur radius in pixels, each for (earlier, later) images."""
OVEREXPOSED = (0.2, 0.03)
"""Fraction of overexposed (earlier, later) images."""
WARMTH = (0.04, 0.0)
"""Mean increase of the red gain and decrease of the blue gain, for (earlier, later) images."""
MEAN = (0.22, 0.72)
"""Range of the mean brightness before overexposure."""
HAZY, COMPRESSED = 0.2, 0.4
"""Fraction of images with haze, and fraction with JPEG compression."""


def apply_lighting(
    image: np.ndarray,
    rng: np.random.Generator,
    early: bool,
    config: LightConfig,
    moved: tuple[int, int] = (0, 0),
) -> np.ndarray:
    """Applies the lighting and sensor effects of one date.

    Args:
        image: (H, W, 3) float32, 0..255.
        early: whether this is the earlier date, which is blurrier, warmer and more often overexposed.
        moved: registration offset in pixels, to the right and down.

    Returns:
        (H, W, 3) uint8.
    """
    late = 0 if early else 1
    x = shift(image, *moved) / 255
    x = _season(x, float(rng.uniform(-1, 1)))
    x = x * _sky(rng, x.shape[0])
    x = x.clip(0, 1) ** np.float32(np.exp(rng.uniform(*np.log(config.gamma))))
    warmth = rng.normal(WARMTH[late], 0.03)
    colour = 1 + rng.uniform(-config.colour, config.colour, 3) + np.array([warmth, 0, -warmth])
    grey = x.mean(axis=2, keepdims=True)
    x = grey + (x - grey) * rng.uniform(0.55, 1.15)
    x = (x - 0.45) * rng.uniform(0.75, 1.25) + 0.45 + rng.normal(0.0, 0.04)
    x = x * colour.astype(np.float32)
    x = x * (np.clip(x.mean(), *MEAN) / max(float(x.mean()), 0.02))
    if rng.random() < OVEREXPOSED[late]:
        x = x * rng.uniform(1.2, 1.7)
    if rng.random() < HAZY:
        haze = rng.uniform(0.05, 0.3)
        x = x * (1 - haze) + haze * np.array([0.62, 0.65, 0.7], np.float32)
    x = x * 255
    if rng.random() < BLURRED[late]:
        soft = Image.fromarray(x.clip(0, 255).astype(np.uint8))
        x = np.asarray(soft.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, BLUR[late]))), np.float32)
    x = x + rng.standard_normal(x.shape, dtype=np.float32) * rng.uniform(0.5, 4)
    picture = x.clip(0, 255).round().astype(np.uint8)
    return through_jpeg(picture, int(rng.integers(45, 96))) if rng.random() < COMPRESSED else picture


def draw_shift(rng: np.random.Generator, config: LightConfig) -> tuple[int, int]:
    """Draws the registration offset of the earlier date, (x, y) in pixels."""
    x, y = rng.integers(-config.shift, config.shift + 1, 2).tolist()
    return x, y


def _season(x: np.ndarray, dryness: float) -> np.ndarray:
    """Shifts green pixels towards straw (`dryness` 1) or deeper green (-1); other pixels do not change."""
    green = ((2 * x[..., 1] - x[..., 0] - x[..., 2] - 0.03) * 5).clip(0, 1)[..., None]
    light = x.mean(axis=2, keepdims=True)
    other = light * np.array([1.22, 1.04, 0.74] if dryness > 0 else [0.8, 1.2, 0.75], np.float32)
    share = green * abs(dryness) * 0.8
    return x * (1 - share) + other * share


def _sky(rng: np.random.Generator, side: int) -> np.ndarray:
    """Thin clouds: a smooth gain around 1, (side, side, 1)."""
    coarse = rng.standard_normal((3, 3), dtype=np.float32) * np.float32(rng.uniform(0, 0.1))
    smooth = np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))
    return 1 + smooth[..., None]

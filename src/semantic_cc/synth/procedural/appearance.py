"""Acquisition conditions of a date (illumination, season, sensor): differences that are not changes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageFilter

from semantic_cc.synth.procedural.drawing import Colour

Span = tuple[float, float]


@dataclass(frozen=True)
class CampaignStyle:
    """Sampling ranges for the images of one acquisition campaign; `odds`: probability at the earlier and later date."""

    odds: tuple[float, float]
    gain: Span
    contrast: Span
    cast: tuple[float, float, float]
    saturation: Span
    blur: Span
    sharpen: Span
    haze: Span
    green: Span


# As in LEVIR-CD: early images are warm and soft, some overexposed or violet; late images are dark, dull and sharp.
_CAMPAIGN_STYLES = (
    # odds (early, late), gain, contrast, cast, saturation, blur, sharpen, haze, green
    CampaignStyle((0.36, 0.05), (0.92, 1.15), (1.1, 1.35), (1.04, 1.0, 0.88),
         (0.45, 0.8), (0.5, 1.2), (0.0, 0.8), (0.0, 0.05), (0.0, 0.5)),
    CampaignStyle((0.12, 0.03), (1.15, 1.42), (1.3, 1.6), (1.0, 1.02, 0.92),
         (0.45, 0.85), (0.2, 0.8), (0.3, 1.2), (0.0, 0.0), (0.1, 0.8)),
    CampaignStyle((0.18, 0.05), (0.72, 0.98), (0.9, 1.15), (1.0, 0.98, 1.05),
         (0.15, 0.45), (0.2, 0.9), (0.0, 1.0), (0.0, 0.1), (0.1, 0.8)),
    CampaignStyle((0.14, 0.50), (0.66, 0.94), (1.1, 1.4), (1.01, 1.0, 0.95),
         (0.25, 0.55), (0.0, 0.3), (0.7, 1.6), (0.0, 0.05), (0.4, 1.0)),
    CampaignStyle((0.10, 0.22), (0.7, 0.98), (1.1, 1.35), (1.02, 1.0, 0.92),
         (0.35, 0.6), (0.0, 0.4), (0.5, 1.5), (0.0, 0.05), (0.1, 0.6)),
    CampaignStyle((0.10, 0.15), (0.85, 1.1), (0.9, 1.1), (1.0, 1.0, 1.0),
         (0.3, 0.7), (0.0, 0.8), (0.0, 1.0), (0.03, 0.16), (0.1, 0.9)),
)  # fmt: skip


@dataclass(frozen=True)
class Appearance:
    """The acquisition conditions of one date.

    Attributes:
        sun: direction in which shadows fall, unit vector (x, y); reach: shadow length of a house in units.
        shade: shadow strength, 0..1.
        green: 0 dry season, 1 green season; stains: strength of moist spots in grey levels.
        worn: bareness of the bare-land patches, 0..1; lower values mean regrown grass.
        gain, gamma, contrast, cast (RGB factors), haze, saturation: tone curve.
        blur in units; sharpen: strength of the sharpening; noise in grey levels.
        shift: displacement of this date in units (x, y).
        seed: seed of the details that differ between the dates, such as cars and moist spots.
    """

    sun: tuple[float, float]
    reach: float
    shade: float
    green: float
    stains: float
    worn: float
    gain: float
    gamma: float
    contrast: float
    cast: tuple[float, float, float]
    haze: float
    saturation: float
    blur: float
    sharpen: float
    noise: float
    shift: tuple[int, int]
    seed: int


def draw_appearances(rng: np.random.Generator) -> tuple[Appearance, Appearance]:
    """Draws the appearance of the earlier and the later date; only the earlier date is shifted."""
    return _draw_appearance(rng, 0), replace(_draw_appearance(rng, 1), shift=(0, 0))


def _draw_appearance(rng: np.random.Generator, late: int) -> Appearance:
    style = _CAMPAIGN_STYLES[
        int(rng.choice(len(_CAMPAIGN_STYLES), p=[m.odds[late] for m in _CAMPAIGN_STYLES]))
    ]
    turn = rng.uniform(-2.6, -0.5)  # the sun is in the south, so shadows point north
    r, g, b = np.array(style.cast) * rng.normal(1.0, 0.015, 3)
    return Appearance(
        sun=(float(np.cos(turn)), float(np.sin(turn))),
        reach=float(rng.uniform(3.5, 9.5)),
        shade=float(rng.uniform(0.6, 0.82)),
        green=float(rng.uniform(*style.green)),
        stains=float(rng.uniform(1.5, 5.0)),
        worn=float(rng.uniform(0.4 if late else 0.75, 1.0)),
        gain=float(rng.uniform(*style.gain)),
        gamma=float(rng.uniform(0.88, 1.15)),
        contrast=float(rng.uniform(*style.contrast)),
        cast=(float(r), float(g), float(b)),
        haze=float(rng.uniform(*style.haze)),
        saturation=float(rng.uniform(*style.saturation)),
        blur=float(rng.uniform(*style.blur)),
        sharpen=float(rng.uniform(*style.sharpen)),
        noise=float(rng.uniform(1.0, 3.0)),
        shift=(int(rng.integers(-2, 3)), int(rng.integers(-2, 3))),
        seed=int(rng.integers(2**31)),
    )


def apply_sensor(
    picture: np.ndarray, appearance: Appearance, scale: float, rng: np.random.Generator
) -> np.ndarray:
    """Simulates the sensor: blur, sharpening, tone curve, noise. (H, W, 3) float in 0..255 -> (H, W, 3) uint8."""
    soft = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    if appearance.blur > 0.15:
        soft = soft.filter(ImageFilter.GaussianBlur(appearance.blur * scale))
    if appearance.sharpen > 0.15:
        soft = soft.filter(ImageFilter.UnsharpMask(1.2 * scale, round(100 * appearance.sharpen), 0))
    x = np.clip(np.asarray(soft, dtype=np.float32) * (appearance.gain / 255), 0, 1) ** appearance.gamma
    x = (x - 0.38) * appearance.contrast + 0.38
    grey = x.mean(axis=2, keepdims=True)
    x = grey + (x - grey) * appearance.saturation
    # The colour cast affects bright pixels most; dark pixels keep their colour.
    x *= 1 + (np.array(appearance.cast, dtype=np.float32) - 1) * np.clip(2 * grey, 0, 1.5)
    x = x * (255 * (1 - appearance.haze)) + 255 * 0.6 * appearance.haze
    x += rng.standard_normal(x.shape, dtype=np.float32) * appearance.noise
    return np.clip(x, 0, 255).astype(np.uint8)


def relit(colour: Colour, factor: float) -> Colour:
    """`colour` with its brightness multiplied by `factor`."""
    r, g, b = (int(v * factor) for v in colour)
    return r, g, b


def mix_colours(a: Colour, b: Colour, share: float) -> Colour:
    """Blends two colours: weight `share` for `b`, 1 - `share` for `a`."""
    r, g, v = (int(x) for x in blend_colours(a, b, share))
    return r, g, v


def blend_colours(a: Colour, b: Colour, share: np.ndarray | float) -> np.ndarray:
    """Blends two colours, as `mix_colours`, with `share` (..., 1) or a scalar; (..., 3) float32."""
    first, second = np.array(a, dtype=np.float32), np.array(b, dtype=np.float32)
    return np.asarray(first + (second - first) * share)

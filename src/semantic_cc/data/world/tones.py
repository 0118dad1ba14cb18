"""The look of a date: light, season, sensor. What differs between the dates though nothing changed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageFilter


@dataclass(frozen=True)
class Look:
    """One date's look.

    Attributes:
        sun: direction in which shadows fall, unit vector (x, y); reach: shadow length of a house in units.
        green: 0 dry season, 1 green season.
        gain, gamma, contrast, warmth, haze, saturation: tone curve; blur in units; noise in grey levels.
        shift: displacement of this date in units (x, y).
        seed: for cars and fine texture, which differ by date.
    """

    sun: tuple[float, float]
    reach: float
    green: float
    gain: float
    gamma: float
    contrast: float
    warmth: float
    haze: float
    saturation: float
    blur: float
    noise: float
    shift: tuple[int, int]
    seed: int


def draw_looks(rng: np.random.Generator) -> tuple[Look, Look]:
    """Looks of the earlier and the later date; the earlier is more often blurred and carries the shift."""
    return _look(rng, True), replace(_look(rng, False), shift=(0, 0))


def _look(rng: np.random.Generator, early: bool) -> Look:
    turn = rng.uniform(-2.6, -0.5)  # the sun stands in the south, so shadows fall northwards
    bright = rng.normal(1.06 if early else 0.84, 0.13)
    return Look(
        sun=(float(np.cos(turn)), float(np.sin(turn))),
        reach=float(rng.uniform(3.5, 9.0)),
        green=float(np.clip(rng.normal(0.35 if early else 0.6, 0.25), 0, 1)),
        gain=float(np.clip(bright, 0.62, 1.35)),
        gamma=float(rng.uniform(0.85, 1.2)),
        contrast=float(rng.uniform(0.9, 1.25)),
        warmth=float(rng.normal(-0.01, 0.035)),
        haze=float(max(0.0, rng.normal(0.0, 0.06))),
        saturation=float(rng.uniform(0.6, 0.95) if early else rng.uniform(0.42, 0.8)),
        blur=float(rng.choice([0.0, 0.5, 0.8, 1.1] if early else [0.0, 0.0, 0.0, 0.6])),
        noise=float(rng.uniform(1.5, 4.5)),
        shift=(int(rng.integers(-2, 3)), int(rng.integers(-2, 3))),
        seed=int(rng.integers(2**31)),
    )


def develop(picture: np.ndarray, look: Look, scale: float, rng: np.random.Generator) -> np.ndarray:
    """The sensor: blur, tone curve, noise. `picture` (H, W, 3) float 0..255 -> (H, W, 3) uint8."""
    if look.blur > 0:
        soft = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
        picture = np.asarray(soft.filter(ImageFilter.GaussianBlur(look.blur * scale)), dtype=np.float32)
    x = np.clip(picture * (look.gain / 255), 0, 1) ** look.gamma
    x = (x - 0.4) * look.contrast + 0.4
    grey = x.mean(axis=2, keepdims=True)
    x = grey + (x - grey) * look.saturation
    x = x * np.array([1 + look.warmth, 1.0, 1 - look.warmth], dtype=np.float32)
    x = x * (1 - look.haze) + 0.55 * look.haze
    x = x * 255 + rng.standard_normal(x.shape, dtype=np.float32) * look.noise
    return np.clip(x, 0, 255).astype(np.uint8)

"""The texture of a scene: noise and tracks that both dates share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from semantic_cc.synth.procedural.drawing import Layer
from semantic_cc.synth.procedural.geometry import SIDE, bezier


@dataclass(frozen=True)
class Texture:
    """Noise fields with a standard deviation of about 1, shared by both dates of a pair.

    Attributes:
        broad, other: (H, W) brightness and hue of the ground.
        streaks: (H, W) parallel lines: mown strips, furrows, grading marks.
        fine, grain, leafy: (H, W, 1) grass tufts, built surfaces, foliage.
        tracks: (H, W, 1) in 0..1, pale dirt tracks, too faint to count as roads.
        seed: seed of the properties of the scene, such as the soil and the shape of each tree.
    """

    broad: np.ndarray
    other: np.ndarray
    streaks: np.ndarray
    fine: np.ndarray
    grain: np.ndarray
    leafy: np.ndarray
    tracks: np.ndarray
    seed: int


def noise_field(rng: np.random.Generator, n: int, cells: tuple[int, ...], fall: float = 0.62) -> np.ndarray:
    """Multi-octave noise (n, n) float32 with unit standard deviation: the sum of upsampled random grids of `cells`."""
    out = np.zeros((n, n), dtype=np.float32)
    weight = 1.0
    for c in cells:
        grid = Image.fromarray(rng.standard_normal((min(c, n), min(c, n)), dtype=np.float32))
        out += weight * np.asarray(grid.resize((n, n), Image.Resampling.BICUBIC))
        weight *= fall
    return out / (out.std() + 1e-6)


def draw_texture(rng: np.random.Generator, size: int) -> Texture:
    """Draws the texture of one scene for images with a side of `size` pixels."""
    seed = int(rng.integers(2**31))
    fine = noise_field(rng, size, (24, 48, 96, 256), 0.85)
    # Tufts are darker and sparser than the gaps between them.
    fine = np.where(fine < 0, 1.35 * fine, 0.75 * fine)
    return Texture(
        broad=noise_field(rng, size, (4, 8, 16, 32, 64, 128), 0.72),
        other=noise_field(rng, size, (3, 6, 12, 24, 48), 0.66),
        streaks=_streaks(rng, size),
        fine=fine[..., None],
        grain=noise_field(rng, size, (32, 128, 256), 0.9)[..., None],
        leafy=noise_field(rng, size, (128, 256), 1.0)[..., None],
        tracks=_tracks(rng, size)[..., None],
        seed=seed,
    )


def _streaks(rng: np.random.Generator, size: int) -> np.ndarray:
    """Noise stretched along one direction, in some scenes with the regular stripes of a field; (size, size)."""
    wide = size * 3 // 2
    grid = Image.fromarray(rng.standard_normal((96, 7), dtype=np.float32))
    lines = np.asarray(grid.resize((wide, wide), Image.Resampling.BICUBIC))
    if rng.random() < 0.25:
        period = rng.uniform(6, 16) * size / SIDE
        lines = (
            lines
            + rng.uniform(0.2, 0.8)
            * np.sin(np.arange(wide, dtype=np.float32) * (2 * np.pi / period))[:, None]
        )
    angle, cut = float(rng.uniform(0, 180)), (wide - size) // 2
    turned = Image.fromarray(lines).rotate(angle, Image.Resampling.BILINEAR)
    out = np.asarray(turned)[cut : cut + size, cut : cut + size]
    return np.asarray(out / (out.std() + 1e-6))


def _tracks(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draws vehicle tracks (two ruts on a pale strip) and single paths; (size, size) in 0..1."""
    layer = Layer(size, (0, 0), mono=True)
    swath = Layer(size, (0, 0), mono=True)
    for _ in range(int(rng.choice([0, 0, 1, 2, 3, 5]))):
        a, b, c = rng.uniform(-50, SIDE + 50, (3, 2))
        width = float(rng.uniform(1.0, 2.2))
        if rng.random() < 0.7:
            swath.line(bezier(a, b, c), float(rng.uniform(5.5, 10.0)))
            for step in (-1.9, 1.9):
                layer.line(bezier(a + step, b + step, c + step), width)
        else:
            layer.line(bezier(a, b, c), width)
    return np.maximum(layer.alpha(0.7), 0.5 * swath.alpha(1.5)) * float(rng.uniform(0.4, 1.0))

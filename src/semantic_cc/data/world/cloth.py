"""The texture of a place: noise and tracks that both dates share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from .brush import Layer
from .geometry import SIDE, bezier


@dataclass(frozen=True)
class Cloth:
    """Noise fields of about unit spread, made once a pair.

    Attributes:
        broad, other: (H, W) shade and hue of the ground.
        fine, grain, leafy: (H, W, 1) tufts, surface of built things, foliage.
        tracks: (H, W, 1) in 0..1, faint worn paths; on any ground, too faint to count as roads.
        seed: seeds what belongs to the place, such as the form of each tree.
    """

    broad: np.ndarray
    other: np.ndarray
    fine: np.ndarray
    grain: np.ndarray
    leafy: np.ndarray
    tracks: np.ndarray
    seed: int


def noise_field(rng: np.random.Generator, n: int, cells: tuple[int, ...], fall: float = 0.62) -> np.ndarray:
    """Multi-octave noise (n, n) float32 of unit spread: random grids of `cells`, enlarged and summed."""
    out = np.zeros((n, n), dtype=np.float32)
    weight = 1.0
    for c in cells:
        grid = Image.fromarray(rng.standard_normal((min(c, n), min(c, n)), dtype=np.float32))
        out += weight * np.asarray(grid.resize((n, n), Image.Resampling.BICUBIC))
        weight *= fall
    return out / (out.std() + 1e-6)


def weave(rng: np.random.Generator, size: int) -> Cloth:
    """The cloth of one place for pictures of `size` pixels a side."""
    seed = int(rng.integers(2**31))
    fine = noise_field(rng, size, (48, 110, 200, 256), 0.9)
    # Tufts are darker and rarer than the gaps between them.
    fine = np.where(fine < 0, 1.35 * fine, 0.75 * fine)
    return Cloth(
        broad=noise_field(rng, size, (4, 8, 16, 32, 64, 128), 0.68),
        other=noise_field(rng, size, (6, 12, 24, 48)),
        fine=fine[..., None],
        grain=noise_field(rng, size, (64, 160, 256), 0.9)[..., None],
        leafy=noise_field(rng, size, (128, 256), 1.0)[..., None],
        tracks=_tracks(rng, size)[..., None],
        seed=seed,
    )


def _tracks(rng: np.random.Generator, size: int) -> np.ndarray:
    layer = Layer(size, (0, 0), mono=True)
    for _ in range(int(rng.integers(0, 4))):
        a, b, c = rng.uniform(-40, SIDE + 40, (3, 2))
        layer.line(bezier(a, b, c), float(rng.uniform(0.8, 2.2)))
    return layer.alpha(0.8) * float(rng.uniform(0.3, 0.9))

"""Scenes for tests: arrays as pairs, rasters on disk, and a model that looks at single pixels."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import rasterio
from affine import Affine

from semantic_cc.scene.grid import Grid, Window
from semantic_cc.types import ChangeMaps

UTM = "EPSG:32614"
PLACE = Affine.translation(620_000, 3_350_000) @ Affine.scale(0.5, -0.5)
"""Half a metre a pixel, in Austin."""


class ArrayPair:
    """A `ScenePair` of two arrays (H, W, 3) uint8."""

    def __init__(self, before: np.ndarray, after: np.ndarray, known: np.ndarray | None = None) -> None:
        self.before, self.after = before, after
        self.known = np.ones(before.shape[:2], bool) if known is None else known
        self.grid = Grid(before.shape[1], before.shape[0], PLACE, None)
        self.reads = 0

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        self.reads += 1
        part = np.s_[window.top : window.top + window.height, window.left : window.left + window.width]
        return self.before[part], self.after[part], self.known[part]


class PixelModel:
    """Stands in for a `SemanticCC`: what it says of a pixel depends on that pixel of both dates alone."""

    def __init__(self, planes: int = 3, flag: bool = True) -> None:
        self.planes, self.flag = planes, flag
        self.info = SimpleNamespace(name="pixels", digest="d1", notes=())
        self.device = SimpleNamespace(type="cpu")

    def predict_masks(self, before: np.ndarray, after: np.ndarray) -> ChangeMaps:
        gap = np.abs(before.astype(np.float32) - after.astype(np.float32)) / 255  # (n, h, w, 3)
        scores = np.exp(4 * np.stack([1 - gap.max(-1), gap[..., 0], gap[..., 1]][: self.planes], axis=1))
        flag = gap.reshape(len(gap), -1).max(1) if self.flag else None
        return ChangeMaps((scores / scores.sum(1, keepdims=True)).astype(np.float32), flag, gap.mean(-1))


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """(height, width, 3) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def landscape(height: int, width: int, seed: int = 0, extra: np.ndarray | None = None) -> np.ndarray:
    """A smooth picture with blocks in it, (height, width, 3) uint8: something to resample and to register."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 110, np.uint8)
    for _ in range(height * width // 400):
        top, left = rng.integers(0, height), rng.integers(0, width)
        size = rng.integers(6, 30, 2)
        picture[top : top + size[0], left : left + size[1]] = rng.integers(40, 210, 3)
    return picture


def write_raster(
    path: Path,
    picture: np.ndarray,
    transform: Affine | None = PLACE,
    crs: str | None = UTM,
    **profile: object,
) -> Path:
    """(H, W[, bands]) as a GeoTIFF, or what `driver` says."""
    bands = np.atleast_3d(picture).transpose(2, 0, 1)
    settings = {"driver": "GTiff", "transform": transform, "crs": crs, "dtype": picture.dtype, **profile}
    with rasterio.open(
        path, "w", width=bands.shape[2], height=bands.shape[1], count=len(bands), **settings
    ) as file:
        file.write(bands)
    return path

"""Scenes for tests: arrays as pairs, rasters on disk, and a model that looks at single pixels."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import rasterio
from affine import Affine

from semantic_cc.decisions import class_mask
from semantic_cc.scene.describe_scene import describe_scene
from semantic_cc.scene.grid import Grid, Window
from semantic_cc.scene.raster import Raster
from semantic_cc.scene.resampled import OnGrid
from semantic_cc.scene.scene_report import SceneReport
from semantic_cc.types import BUILDING, ROAD, ChangeDescription, ChangeMaps, ModelIdentity

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

    def may_show(self, tops: Sequence[int], lefts: Sequence[int], height: int, width: int) -> np.ndarray:
        return np.ones((len(tops), len(lefts)), bool)

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        self.reads += 1
        rows, columns = np.mgrid[
            window.top : window.top + window.height, window.left : window.left + window.width
        ]
        height, width = self.known.shape
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        at = rows.clip(0, height - 1), columns.clip(0, width - 1)
        before, after = (np.where(inside[..., None], image[at], 0) for image in (self.before, self.after))
        return before.astype(np.uint8), after.astype(np.uint8), self.known[at] & inside


class PixelModel:
    """A `SceneModel` whose answer for a pixel depends on that pixel of both dates only."""

    def __init__(self, num_classes: int = 3) -> None:
        self.num_classes = num_classes
        self.info = SimpleNamespace(name="pixels", digest="d1", notes=())
        self.device, self.place_batch = "cpu", 1

    def predict_masks(self, before: np.ndarray, after: np.ndarray) -> ChangeMaps:
        gap = np.abs(before.astype(np.float32) - after.astype(np.float32)) / 255  # (n, h, w, 3)
        scores = np.exp(4 * np.stack([1 - gap.max(-1), gap[..., 0], gap[..., 1]][: self.num_classes], axis=1))
        return ChangeMaps((scores / scores.sum(1, keepdims=True)).astype(np.float32))

    def describe_batch(
        self, before: np.ndarray, after: np.ndarray, instruction: str | None = None
    ) -> list[ChangeDescription]:
        return [
            self._description(probabilities, instruction)
            for probabilities in self.predict_masks(before, after).class_probabilities
        ]

    def describe_scene(self, before: object, after: object, **options: object) -> SceneReport:
        return describe_scene(self, before, after, **options)

    def _description(self, probabilities: np.ndarray, instruction: str | None) -> ChangeDescription:
        mask = class_mask(probabilities)
        return ChangeDescription(
            sentence=f"{instruction or 'pixels'} differ, {(mask > 0).sum()} of them",
            sentences={},
            changed=True,
            change_probability=0.9,
            mask=mask,
            probability=1 - probabilities[0],
            heatmap=1 - probabilities[0],
            model=ModelIdentity(self.info.name, self.info.digest),
            classes={ROAD: "road", BUILDING: "building"},
        )


def read_window(image: Raster, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """A window of an image on its own grid: (h, w, 3) uint8 RGB, and where it is known, (h, w) bool."""
    return OnGrid(image, image.grid).read(window)


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

"""Small scenes: a pair in memory, and rasters on disk."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning

from semantic_cc.scene.grid import Grid, Window
from semantic_cc.types import ChangeDescription, ModelIdentity

UTM = CRS.from_epsg(32614)
HALF_METRE = Affine(0.5, 0, 621_000, 0, -0.5, 3_350_000)


@dataclass(frozen=True)
class ArrayPair:
    """A scene pair that is in memory."""

    grid: Grid
    before: np.ndarray
    after: np.ndarray
    known: np.ndarray

    def may_show(self, tops: Sequence[int], lefts: Sequence[int], height: int, width: int) -> np.ndarray:
        return np.ones((len(tops), len(lefts)), bool)

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows, columns = (
            slice(window.top, window.top + window.height),
            slice(window.left, window.left + window.width),
        )
        missing = (
            (0, max(0, window.top + window.height - self.grid.height)),
            (0, max(0, window.left + window.width - self.grid.width)),
        )
        before, after = (
            np.pad(image[rows, columns], (*missing, (0, 0))) for image in (self.before, self.after)
        )
        return before, after, np.pad(self.known[rows, columns], missing)


def save(path: Path, array: np.ndarray, grid: Grid, nodata: int | None = None) -> Path:
    """Writes (H, W) as a GeoTIFF of one band on `grid`."""
    profile = {
        "width": grid.width,
        "height": grid.height,
        "count": 1,
        "dtype": array.dtype,
        "crs": grid.crs,
        "nodata": nodata,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver="GTiff", transform=grid.transform, **profile) as dataset:
            dataset.write(array, 1)
    return path


def said(sentence: str, changed: bool = True) -> ChangeDescription:
    """What a model would say, without a mask."""
    return ChangeDescription(
        sentence, {}, changed, None, None, None, np.zeros((1, 1), np.float32), ModelIdentity("m", "d")
    )

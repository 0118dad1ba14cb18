"""Map tiles of a scene, 256 pixels a side, cut from its COGs by rio-tiler.

Scenes that lie on Earth have the tiles of web maps (Web Mercator). The others have tiles of their pixels: at the
largest zoom a tile's pixel is the image's, and each smaller one halves it.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rio_tiler.errors import TileOutsideBounds
from rio_tiler.io import Reader
from rio_tiler.io.rasterio import ImageReader

from semantic_cc.scene.gdal_files import settings
from semantic_cc.scene.report_images import mask_png
from semantic_cc.serve.api_types import TileJson

LAYERS = {
    "before": ("view", "before.tif"),
    "after": ("view", "after.tif"),
    "mask": ("out", "mask.tif"),
    "probability": ("out", "probability.tif"),
}
"""Layer -> folder and file in the job's folder."""

MAX_ZOOM = 30


def read_tile(path: Path, layer: str, zoom: int, column: int, row: int) -> bytes | None:
    """One tile as a PNG; None outside of the raster.

    Args:
        path: a COG.
        layer: of `LAYERS`.
        zoom, column, row: of the tile, row 0 at the top.
    """
    with settings(), _quiet(), _reader(path) as reader:
        how = {"resampling_method": "nearest" if layer == "mask" else "bilinear"}
        if not isinstance(reader, ImageReader):
            how["reproject_method"] = how["resampling_method"]
        try:
            image = reader.tile(column, row, zoom, **how)
        except TileOutsideBounds:
            return None
        if layer == "mask":
            labels = image.data[0] * (image.mask > 0)  # (256, 256), unknown as unchanged
            return mask_png(labels.astype(np.uint8))
        content: bytes = image.render(img_format="PNG")
    return content


def describe_tiles(path: Path, address: str) -> TileJson:
    """The TileJSON of a layer; bounds are degrees on Earth, else pixels (left, bottom, right, top).

    Args:
        path: a COG.
        address: of the tiles, with {z}, {x} and {y}.
    """
    with settings(), _quiet(), _reader(path) as reader:
        on_earth = not isinstance(reader, ImageReader)  # which is a Reader too
        bounds = reader.get_geographic_bounds("EPSG:4326") if on_earth else reader.bounds
        west, south, east, north = bounds
        return TileJson(
            tiles=[address],
            bounds=(west, south, east, north),
            minzoom=max(0, reader.minzoom - 1),
            maxzoom=min(reader.maxzoom, MAX_ZOOM),
            crs="EPSG:3857" if on_earth else None,
        )


def _reader(path: Path) -> Reader | ImageReader:
    with rasterio.open(path) as dataset:
        placed = dataset.crs is not None
    return Reader(str(path)) if placed else ImageReader(str(path))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without rasterio's warning that an image lies nowhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield

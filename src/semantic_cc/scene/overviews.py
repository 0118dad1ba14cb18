"""The reduced versions of a raster, made only where it has content: an empty block costs nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.windows import Window as GdalWindow

BLOCK = 512
"""Side of a raster's tiles in pixels."""

TILED = {
    "driver": "GTiff", "dtype": "uint8", "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK,
    "compress": "DEFLATE", "BIGTIFF": "IF_SAFER", "SPARSE_OK": True,
}  # fmt: skip
"""Creation options of a tiled GeoTIFF that stores only the blocks written to it."""

Blocks = set[tuple[int, int]]
"""Row and column of blocks of `BLOCK` pixels."""


def blocks_of(top: int, left: int, height: int, width: int) -> Blocks:
    """The blocks that a rectangle of pixels touches."""
    rows = range(top // BLOCK, (top + height - 1) // BLOCK + 1)
    columns = range(left // BLOCK, (left + width - 1) // BLOCK + 1)
    return {(row, column) for row in rows for column in columns}


def write_overviews(path: Path, held: Iterable[tuple[int, int]], resampling: Resampling) -> None:
    """Writes the overviews of a tiled GeoTIFF: sizes and pixels are those of GDAL's COG driver, means but for rounding.

    GDAL's driver resamples all of the grid: 9 minutes for a raster of 200,000 x 200,000 pixels without a single block.

    Args:
        path: the raster. Its overviews become ``PATH.ovr``, ``PATH.ovr.ovr`` and so on, each the overview of the one
            before it: GDAL finds them by these names.
        held: the blocks that the raster has.
        resampling: how pixels are combined.
    """
    with rasterio.open(path) as source:
        if max(source.shape) <= BLOCK:
            return
        half = Path(f"{path}.ovr")
        written = _write_half(source, held, half, resampling)
    write_overviews(half, written, resampling)


def _write_half(
    source: rasterio.DatasetReader, held: Iterable[tuple[int, int]], path: Path, resampling: Resampling
) -> Blocks:
    """Writes a raster at half its size; returns the blocks of the result."""
    height, width = (max(1, side // 2) for side in source.shape)
    down, across = source.height / height, source.width / width  # 2 or a little more
    written = set()
    with rasterio.open(
        path, "w", height=height, width=width, count=source.count, nodata=source.nodata, **TILED
    ) as target:
        for row, column in sorted(_touched(held, down, across, height, width)):
            rows, columns = min(BLOCK, height - row * BLOCK), min(BLOCK, width - column * BLOCK)
            pixels = source.read(
                window=GdalWindow(column * BLOCK * across, row * BLOCK * down, columns * across, rows * down),
                out_shape=(source.count, rows, columns),
                resampling=resampling,
            )
            if source.nodata is None or np.any(pixels != source.nodata):
                target.write(pixels, window=GdalWindow(column * BLOCK, row * BLOCK, columns, rows))
                written.add((row, column))
    return written


def _touched(held: Iterable[tuple[int, int]], down: float, across: float, height: int, width: int) -> Blocks:
    """The blocks of a reduced raster that are made of the blocks `held` of the larger one."""
    touched: Blocks = set()
    for row, column in held:
        top, left = int(row * BLOCK / down), int(column * BLOCK / across)
        bottom, right = int((row + 1) * BLOCK / down), int((column + 1) * BLOCK / across)
        touched |= blocks_of(
            min(top, height - 1), min(left, width - 1),
            max(min(bottom, height - 1) - top, 0) + 1, max(min(right, width - 1) - left, 0) + 1,
        )  # fmt: skip
    return touched

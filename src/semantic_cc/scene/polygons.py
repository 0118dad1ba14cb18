"""A mask of any size -> the polygons of its classes, with what was measured of each."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from affine import Affine
from rasterio import features
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as RasterWindow

from semantic_cc.errors import DataError
from semantic_cc.scene.gdal_files import settings
from semantic_cc.scene.geodesy import measure, metres_per_pixel
from semantic_cc.scene.grid import Grid, Window
from semantic_cc.scene.sparse_blocks import find_blocks
from semantic_cc.types import BUILDING, ROAD

BAND_PIXELS = 1 << 22
"""Pixels of a raster that are in memory at once, about."""

PART_PIXELS = 1 << 26
"""Largest part of a sparse raster that is traced in memory."""

FIT = 0.9
"""Share of a building that the rectangle of its own area must cover to stand for it."""

TOLERANCE = 0.75
"""Pixels that a simplified outline may deviate: a straight wall's staircase deviates by up to 0.71."""

_CHANGES = (ROAD, BUILDING)


@dataclass(frozen=True)
class Polygons:
    """The changed areas of a scene, one entry each, in the order of their uppermost, then leftmost pixel.

    Attributes:
        shapes: (n,) objects, polygons in pixels (x column, y row) with the mask's own edges.
        classes: (n,) uint8, `ROAD` or `BUILDING`.
        pixels: (n,) int64.
        area_m2, perimeter_m: (n,) float64 on the ground, NaN where the grid is not on Earth.
        probability: (n,) float64 in [0, 1], mean over the pixels; NaN where nothing is known.
    """

    shapes: np.ndarray
    classes: np.ndarray
    pixels: np.ndarray
    area_m2: np.ndarray
    perimeter_m: np.ndarray
    probability: np.ndarray

    def __len__(self) -> int:
        return len(self.shapes)


def find_polygons(mask: str | Path, probability: str | Path, grid: Grid) -> Polygons:
    """Traces every connected area of one class; areas that touch only at a corner are two.

    So every polygon is valid and simple. Both rasters are read piece by piece; what grows is the polygons.

    Args:
        mask: raster of `LABEL_VALUES`; other values count as no change.
        probability: raster of the same size, float in [0, 1], or uint8 0..255 for it, 0..254 where 255 is nodata.
        grid: the grid of both.

    Raises:
        DataError: a raster cannot be read, or has another size.
    """
    with open_raster(mask, grid) as dataset:
        shapes, classes, changed = _trace(dataset)
    pixels = np.rint(shapely.area(shapes)).astype(np.int64)
    if pixels.sum() != changed:  # GDAL's tracing keeps its failures to itself
        raise DataError(
            f"{mask}: {changed} changed pixels, but {pixels.sum()} could be traced; make it again"
        )
    area, perimeter = measure(shapes, grid)
    with open_raster(probability, grid) as dataset:
        sums, counts = _sums(dataset, shapes)
    with np.errstate(invalid="ignore"):
        return Polygons(shapes, classes, pixels, area, perimeter, sums / counts)


def regular_outlines(polygons: Polygons, grid: Grid) -> np.ndarray:
    """Straight outlines of buildings; roads keep their edges.

    A building is replaced by the rectangle of its own area, along its smallest rotated rectangle, if that covers at
    least `FIT` of it. Any other outline is simplified by `TOLERANCE` pixels (Douglas-Peucker). Angles are right on
    the ground at the scene's centre.

    Args:
        polygons: as traced.
        grid: where they lie.

    Returns:
        (n,) objects, polygons in pixels.
    """
    outlines = polygons.shapes.copy()
    chosen = polygons.classes == BUILDING
    traced = polygons.shapes[chosen]
    to_metres = metres_per_pixel(grid)
    level = shapely.transform(traced, lambda points: points @ to_metres.T)
    boxes = shapely.oriented_envelope(level)
    factors = np.sqrt(shapely.area(level) / shapely.area(boxes))
    centres = shapely.get_coordinates(shapely.centroid(boxes))
    corners = shapely.get_coordinates(boxes).reshape(-1, 5, 2)  # (k, 5, 2), closed
    rectangles = shapely.polygons(centres[:, None] + (corners - centres[:, None]) * factors[:, None, None])
    fits = shapely.area(shapely.intersection(level, rectangles)) >= FIT * shapely.area(level)
    back = np.linalg.inv(to_metres)
    straight = shapely.transform(rectangles, lambda points: points @ back.T)
    outlines[chosen] = np.where(fits, straight, shapely.simplify(traced, TOLERANCE))
    return outlines


@contextmanager
def open_raster(path: str | Path, grid: Grid) -> Iterator[rasterio.DatasetReader]:
    """A raster of the grid's size, for reading by windows.

    Raises:
        DataError: it cannot be opened or read, inside the block too, or has another size.
    """
    try:
        with warnings.catch_warnings(), settings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            dataset = rasterio.open(path)
        with settings(), dataset:
            if dataset.shape != (grid.height, grid.width):
                height, width = dataset.shape
                raise DataError(f"{path}: is {width}x{height} pixels, the scene {grid.width}x{grid.height}")
            yield dataset
    except RasterioError as error:
        raise DataError(f"{path}: cannot be read ({error}); make it again") from error


def _trace(dataset: rasterio.DatasetReader) -> tuple[np.ndarray, np.ndarray, int]:
    """Polygons in pixels, their classes, and the number of changed pixels."""
    shapes: list[np.ndarray] = []
    classes: list[int] = []
    changed = 0
    for part in _parts(dataset):
        if part is None:  # GDAL reads it line by line
            band = rasterio.band(dataset, 1)
            found = _trace_source(band, band)
            place = ~dataset.transform  # rasterio gives the coordinates of the file
            changed += sum(_count_changed(dataset.read(1, window=rows)) for rows in _bands(dataset))
        else:
            labels = dataset.read(1, window=part)
            found = _trace_source(labels, labels != dataset.nodata)
            place = Affine.translation(part.col_off, part.row_off)
            changed += _count_changed(labels)
        own = np.empty(len(found), object)
        own[:] = [shapely.affinity.affine_transform(shape, place.to_shapely()) for shape, _ in found]
        shapes.append(shapely.transform(own, np.rint))
        classes += [value for _, value in found]
    joined = np.concatenate(shapes) if shapes else np.empty(0, object)
    bounds = shapely.bounds(joined).reshape(-1, 4)
    order = np.lexsort((bounds[:, 0], bounds[:, 1]))
    return joined[order], np.array(classes, np.uint8)[order], changed


def _trace_source(source: Any, mask: Any) -> list[tuple[shapely.Polygon, int]]:
    """Polygons of `_CHANGES` and their classes in an array or a band."""
    traced = features.shapes(source, mask=mask, connectivity=4)
    return [(shapely.geometry.shape(geometry), value) for geometry, value in traced if value in _CHANGES]


def _count_changed(labels: np.ndarray) -> int:
    return int(np.isin(labels, _CHANGES).sum())


def _parts(dataset: rasterio.DatasetReader) -> list[RasterWindow | None]:
    """The rectangles of a sparse raster between rows and columns of blocks that it does not hold, where each is small
    enough for memory; [None] for all of it."""
    blocks = find_blocks(dataset, (1,), None)
    if blocks is None:
        return [None]
    parts = [
        Window(top, left, min(bottom, dataset.height) - top, min(right, dataset.width) - left)
        for top, left, bottom, right in blocks.rectangles()
    ]
    if any(part.height * part.width > PART_PIXELS for part in parts):
        return [None]
    return [RasterWindow(part.left, part.top, part.width, part.height) for part in parts]


def _sums(dataset: rasterio.DatasetReader, shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the known values in [0, 1] inside each shape, and number of their pixels; a band at a time."""
    sums, counts = np.zeros((2, len(shapes)))
    scale = 1 if dataset.dtypes[0] != "uint8" else 254 if dataset.nodata == 255 else 255
    tree = shapely.STRtree(shapes)
    for rows in _bands(dataset):
        top = rows.row_off
        chosen = tree.query(shapely.box(0, top, rows.width, top + rows.height))
        if not len(chosen):
            continue
        values = dataset.read(1, window=rows, masked=True)
        owner = features.rasterize(
            zip(shapes[chosen], chosen + 1, strict=True),
            out_shape=values.shape,
            transform=rasterio.Affine.translation(0, top),
            dtype="int32",
        )
        inside = (owner > 0) & ~np.ma.getmaskarray(values)
        index = owner[inside] - 1
        sums += np.bincount(index, values.data[inside] / scale, minlength=len(shapes))
        counts += np.bincount(index, minlength=len(shapes))
    return sums, counts


def _bands(dataset: rasterio.DatasetReader) -> Iterator[RasterWindow]:
    """Whole rows, about `BAND_PIXELS` at a time."""
    step = max(1, BAND_PIXELS // dataset.width)
    for top in range(0, dataset.height, step):
        yield RasterWindow(0, top, dataset.width, min(step, dataset.height - top))

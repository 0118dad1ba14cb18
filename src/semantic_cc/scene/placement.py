"""Where an image lies: by transform, world file, control points or a sensor model (RPCs)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyproj
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import CRSError
from rasterio.io import DatasetReader
from rasterio.transform import from_gcps
from rasterio.vrt import WarpedVRT

from semantic_cc.errors import ImageError
from semantic_cc.scene.gdal_files import one_line_errors, settings
from semantic_cc.scene.geo_detection import world_file
from semantic_cc.scene.grid import Grid
from semantic_cc.scene.image_sources import is_remote

MAX_MISFIT = 0.5
"""Pixels by which control points may differ from the transform that stands for them."""


MAX_LOST = 0.01
"""Pixels that a transform and its inverse together may move a corner by rounding."""


def place(dataset: DatasetReader, crs: CRS | None, name: str, warnings: list[str]) -> Grid | None:
    """The grid of an image.

    Args:
        dataset: the image.
        crs: coordinate reference system for an image that names none.
        name: how messages call it.
        warnings: gets what is to be known.

    Returns:
        None where its control points fit no transform, or a sensor model places it: see `rectified`. A grid without a
        coordinate reference system has world coordinates all the same where the image has them.

    Raises:
        ImageError: the coordinate reference system is a local one, the image names one and no place in it, or its
            transform cannot be inverted.
    """
    points, points_crs = dataset.gcps
    transform = dataset.transform
    if transform.is_identity and not points and (beside := world_file(Path(name))) is not None:
        raise ImageError(f"{name}: its world file {beside.name} cannot be read; correct or remove it")
    found = dataset.crs or (points_crs if points else None) or _crs_beside(name, transform) or crs
    if found is not None:
        check_crs(found, name)
    if transform.is_identity and len(points) >= 3:
        fitted = from_gcps(points)
        misfit = [np.hypot(*np.subtract(~fitted @ (p.x, p.y), (p.col, p.row))) for p in points]
        if fitted.is_degenerate or max(misfit) > MAX_MISFIT:
            if found is None:
                raise ImageError(
                    f"{name}: has control points without a coordinate system; give it with --crs"
                )
            return None
        transform = fitted
        warnings.append(f"{name}: placed by {len(points)} control points")
    elif transform.is_identity and dataset.rpcs is not None:
        return None
    if found is None and not transform.is_identity:
        warnings.append(
            f"{name}: has world coordinates without a coordinate reference system; areas in square metres and "
            "longitudes need --crs"
        )
    if transform.is_degenerate or (found is not None and transform.is_identity):
        raise ImageError(
            f"{name}: has a coordinate reference system but no position in it; add its world file"
        )
    if not _can_be_inverted(transform, dataset.width, dataset.height):
        numbers = ", ".join(f"{number:.6g}" for number in tuple(transform)[:6])
        raise ImageError(f"{name}: its transform ({numbers}) cannot be inverted; correct it")
    return Grid(dataset.width, dataset.height, transform, found)


def _can_be_inverted(transform: Affine, width: int, height: int) -> bool:
    """Whether the corners of an image and of its first pixel, in world coordinates, lead back to them in pixels.

    They do not where a number is NaN or infinite, overflows, or is so large that a pixel gets lost in its rounding.
    """
    corners = [(x, y) for x in (0, 1, width) for y in (0, 1, height)]
    back = np.array([~transform @ (transform @ corner) for corner in corners])
    return bool((np.abs(back - corners) < MAX_LOST).all())


def same_turn(first: Grid, second: Grid) -> tuple[Grid, Grid]:
    """Grids in degrees moved by whole turns: the first to longitudes about -180 to 180, the second beside it."""
    if first.crs is not None and first.crs.is_geographic:
        first = _turned(first, 0.0)
    middle = first.transform @ (first.width / 2, first.height / 2)
    if second.crs is not None and second.crs.is_geographic:
        second = _turned(second, middle[0] if first.crs is not None and first.crs.is_geographic else 0.0)
    return first, second


def off_antimeridian(grid: Grid) -> tuple[Affine, CRS | None]:
    """Transform and system of a grid; in degrees from the 180th meridian if it lies across that one.

    GDAL's warper looks for the ground of a metre beyond the antimeridian a whole turn away.
    """
    crs = grid.crs
    if crs is None or not crs.is_geographic or abs(whole_turn(crs) - 360) > 1e-6:
        return grid.transform, crs
    ends = [(grid.transform @ (x, y))[0] for x in (0, grid.width) for y in (0, grid.height)]
    if min(ends) >= -180 and max(ends) <= 180:
        return grid.transform, crs
    half = -180 if max(ends) > 180 else 180
    return Affine.translation(half, 0) @ grid.transform, CRS.from_proj4(f"{crs.to_proj4()} +pm=180")


def whole_turn(crs: CRS) -> float:
    """A turn around the Earth in the units of a geographic system."""
    return float(2 * np.pi / crs.units_factor[1])


def _turned(grid: Grid, longitude: float) -> Grid:
    """A grid in degrees with its middle within half a turn of a longitude."""
    assert grid.crs is not None
    turn = whole_turn(grid.crs)
    middle = (grid.transform @ (grid.width / 2, grid.height / 2))[0]
    turns = int(np.ceil((longitude - middle) / turn - 0.5))
    if turns == 0:
        return grid
    return Grid(grid.width, grid.height, Affine.translation(turns * turn, 0) @ grid.transform, grid.crs)


def _crs_beside(name: str, transform: Affine) -> CRS | None:
    """The system that a .prj file beside a picture with a world file names; None where it names none."""
    path = Path(name)
    if transform.is_identity or is_remote(name) or world_file(path) is None:
        return None
    for beside in (path.with_suffix(".prj"), path.with_suffix(".PRJ")):
        if beside.is_file():
            try:
                with settings():
                    return CRS.from_wkt(beside.read_text("utf-8", "replace"), morph_from_esri_dialect=True)
            except CRSError:
                return None
    return None


def rectified(dataset: DatasetReader, crs: CRS | None, name: str, warnings: list[str]) -> WarpedVRT:
    """An image with control points or a sensor model, warped to a north-up grid as it is read.

    Raises:
        ImageError: it cannot be warped.
    """
    points, points_crs = dataset.gcps
    by_points = len(points) >= 3
    source = (points_crs or crs) if by_points else CRS.from_epsg(4326)
    x, y = _middle(dataset, by_points)
    target = source
    with one_line_errors(name), settings():
        if source is not None and source.is_geographic:
            target = CRS.from_epsg((32600 if y >= 0 else 32700) + min(60, int((x + 180) // 6) + 1))
        has_alpha = any(colour.name == "alpha" for colour in dataset.colorinterp)
        image = WarpedVRT(
            dataset, src_crs=source, crs=target, resampling=Resampling.bilinear, add_alpha=not has_alpha
        )
    how = f"{len(points)} control points" if by_points else "its sensor model (RPCs, without terrain heights)"
    warnings.append(f"{name}: rectified to {target.to_string() if target else 'a grid'} by {how}")
    return image


def check_crs(crs: CRS, name: str) -> None:
    """Refuses a coordinate reference system that says nothing of a place on Earth.

    Raises:
        ImageError: it is a local (engineering) or a geocentric one, PROJ does not know it or cannot compute it, or it
            lies on another celestial body.
    """
    unusable = f"{name}: its coordinate reference system cannot be used"
    try:
        system = pyproj.CRS.from_wkt(crs.to_wkt()).to_2d()
    except pyproj.exceptions.CRSError as error:
        raise ImageError(f"{unusable} ({error}); give another") from error
    if system.is_geocentric:
        raise ImageError(
            f"{name}: its coordinate system {system.name!r} is geocentric; warp it to a map projection"
        )
    if system.geodetic_crs is None:
        raise ImageError(
            f"{name}: its coordinate system {system.name!r} is local and has no place on Earth; georeference it, for "
            "example with 'gdal_edit.py -a_srs EPSG:32614'"
        )
    try:
        for target in (system.geodetic_crs, pyproj.CRS.from_epsg(4326)):
            pyproj.Transformer.from_crs(system, target, always_xy=True)
    except pyproj.exceptions.ProjError as error:
        raise ImageError(
            f"{unusable}: PROJ cannot transform {system.name!r} to longitude and latitude on Earth; warp the image to "
            "another system, for example with 'gdalwarp -t_srs EPSG:32614'"
        ) from error


def _middle(dataset: DatasetReader, by_points: bool) -> tuple[float, float]:
    """About where an image without a transform lies, in the system of its points or in degrees."""
    if by_points:
        points = dataset.gcps[0]
        return float(np.mean([p.x for p in points])), float(np.mean([p.y for p in points]))
    return float(dataset.rpcs.long_off), float(dataset.rpcs.lat_off)


def square_pixels(grid: Grid, across: float, down: float, resolution: float | None = None) -> Grid:
    """The same ground, north up where the axes allow it, in pixels that are square on the ground.

    Args:
        grid: a grid; one with a positive pixel height is flipped.
        across, down: metres on the ground of its pixels.
        resolution: metres of the new pixels; None = the shorter side of the old ones.
    """
    flipped = grid.transform.determinant > 0
    transform, width, height = grid.transform, grid.width, grid.height
    if flipped:  # rows upwards: begin at the other end
        transform = transform @ Affine.translation(0, height) @ Affine.scale(1, -1)
    side = resolution if resolution is not None else min(across, down)
    scale_x, scale_y = side / across, side / down
    if abs(scale_x - 1) < 1e-9 and abs(scale_y - 1) < 1e-9:
        return Grid(width, height, transform, grid.crs)
    columns, rows = (max(1, int(np.ceil(n / s - 0.01))) for n, s in ((width, scale_x), (height, scale_y)))
    return Grid(columns, rows, transform @ Affine.scale(scale_x, scale_y), grid.crs)

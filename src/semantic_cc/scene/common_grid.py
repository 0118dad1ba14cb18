"""Two images brought to one grid: the finer one's, cut to the ground that both show."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from affine import Affine
from pyproj import Transformer
from rasterio.crs import CRS
from shapely import Polygon, box

from semantic_cc.errors import ImageError, InputError
from semantic_cc.images import MIN_SIDE
from semantic_cc.scene.coregister import sample_windows
from semantic_cc.scene.geodesy import ROUND_SCALE, ground_sampling
from semantic_cc.scene.grid import Grid, Window
from semantic_cc.scene.placement import same_turn, square_pixels, whole_turn
from semantic_cc.scene.radiometric_matching import match_dates
from semantic_cc.scene.raster import Raster
from semantic_cc.scene.resampled import SAME_PLACE, OnGrid

MAX_SIDE = 200_000
"""Longest side of a scene in pixels: 100 km at half a metre; the rows under work then take 1.2 GB."""

EDGE_POINTS = 21
"""Points along each edge of an image whose outline is carried to another coordinate system."""

MAX_OBLONG = 0.01
"""Relative difference of a pixel's sides on the ground from which on it is resampled to a square."""


class AlignedPair:
    """Two images on one grid, a `ScenePair`; made by `open_pair`.

    Attributes:
        grid: the common grid.
        shared: share of the grid's rectangle that both images' outlines cover, in (0, 1].
    """

    def __init__(
        self,
        before: Raster,
        after: Raster,
        resolution: float | None = None,
        *,
        match_radiometry: bool = True,
    ) -> None:
        _check_places(before, after)
        before.grid, after.grid = same_turn(before.grid, after.grid)
        self._notes: list[str] = []
        self.grid, self.shared = _common_grid(before, after, resolution, self._notes)
        self._rasters = before, after
        self._before, self._after = OnGrid(before, self.grid), OnGrid(after, self.grid)
        if match_radiometry:
            windows = sample_windows(self)
            self._notes += match_dates(before, after, (self._values(window) for window in windows))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._before.close()
        self._after.close()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was converted in either image, for people."""
        return (*(note for raster in self._rasters for note in raster.notes), *self._notes)

    @property
    def rasters(self) -> tuple[Raster, Raster]:
        """The two images on their own grids."""
        return self._rasters

    def shift_after(self, columns: float, rows: float) -> None:
        """Takes back a shift of the later image: its content lies this many pixels right of and below the earlier's."""
        self._after.close()
        self._after = OnGrid(self._rasters[1], self.grid, (columns, rows))

    def may_show(self, tops: Sequence[int], lefts: Sequence[int], height: int, width: int) -> np.ndarray:
        """As `ScenePair.may_show`."""
        before, after = (
            image.may_show(np.asarray(tops)[:, None], np.asarray(lefts), height, width)
            for image in (self._before, self._after)
        )
        return before & after

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `ScenePair.read`.

        Raises:
            ImageError: a part of a file cannot be read.
        """
        before, known_before = self._before.read(window)
        after, known_after = self._after.read(window)
        return before, after, known_before & known_after

    def _values(self, window: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `read`, but values as stored, (3, h, w)."""
        before, known_before = self._before.read_values(window)
        after, known_after = self._after.read_values(window)
        return before, after, known_before & known_after


@contextlib.contextmanager
def open_pair(
    before: str | Path,
    after: str | Path,
    *,
    bands: tuple[tuple[int, int, int] | None, tuple[int, int, int] | None] = (None, None),
    crs: CRS | None = None,
    resolution: float | None = None,
    match_radiometry: bool = True,
) -> Iterator[AlignedPair]:
    """Opens two images of one place and brings them to one grid.

    The grid is that of the finer image (the earlier one's where both are alike), turned as it is turned, and cut to
    the rectangle that the common area takes in it. Images without a place on the map must have one size.

    Args:
        before, after: paths or URLs, earlier date first.
        bands: of each image, red, green and blue; None = as `Raster` finds them.
        crs: coordinate reference system of images that name none.
        resolution: metres on the ground of a pixel, for another grid than the finer image's.
        match_radiometry: whether two dates of more than 8 bits are brought to levels that agree where nothing changed.

    Yields:
        An `AlignedPair`.

    Raises:
        ImageError: an image cannot be used; images without a place differ in size.
        InputError: only one image has a place; they have no ground in common, or too little; no such bands.
    """
    with (
        Raster(before, bands[0], crs) as first,
        Raster(after, bands[1], crs) as second,
        AlignedPair(first, second, resolution, match_radiometry=match_radiometry) as pair,
    ):
        yield pair


def _check_places(before: Raster, after: Raster) -> None:
    """Refuses two images of which one has a place that the other lacks.

    Raises:
        InputError: so it is.
    """
    if (before.grid.crs is None) != (after.grid.crs is None):
        bare, placed = (before, after) if before.grid.crs is None else (after, before)
        raise InputError(
            f"{bare.name}: has no coordinate reference system, but {placed.name} has "
            f"{_crs_name(placed.grid.crs)}; if both use the same system, give it with --crs"
        )
    if before.grid.crs is None and before.grid.transform.is_identity != after.grid.transform.is_identity:
        bare, placed = (before, after) if before.grid.transform.is_identity else (after, before)
        raise InputError(
            f"{placed.name}: has world coordinates (a world file or a transform), {bare.name} has none; give both or "
            "remove them from both"
        )


def _common_grid(
    before: Raster, after: Raster, resolution: float | None, notes: list[str]
) -> tuple[Grid, float]:
    if before.grid.crs is None and (before.grid.transform.is_identity or resolution is not None):
        return _pixel_grid(before, after, resolution), 1.0
    steps = [_pixel_sides(raster) for raster in (before, after)]
    sides = [math.sqrt(across * down) for across, down in steps]
    second = sides[1] < 0.99 * sides[0]
    reference, other = (after, before) if second else (before, after)
    across, down = steps[1] if second else steps[0]
    grid = square_pixels(reference.grid, across, down, resolution)
    if resolution is None and not _alike(across, down):
        notes.append(
            f"{reference.name}: pixels of {across:.3g} x {down:.3g} m are resampled to {min(across, down):.3g} m"
        )
    frame, outline = box(0, 0, grid.width, grid.height), _outline(other, grid)
    common = frame.intersection(outline) if outline is not None else None
    if common is None or common.area == 0:
        raise InputError(
            f"the images do not overlap: {_place(before)}, {_place(after)}; give two images of one place"
        )
    left, top, right, bottom = common.bounds
    left, top = math.floor(left + SAME_PLACE), math.floor(top + SAME_PLACE)
    right, bottom = math.ceil(right - SAME_PLACE), math.ceil(bottom - SAME_PLACE)
    width, height = max(right - left, 1), max(bottom - top, 1)
    _check_size(width, height, f"the overlap of {before.name} and {after.name}")
    cut = Grid(width, height, grid.transform @ Affine.translation(left, top), grid.crs)
    return cut, min(1.0, common.area / (width * height))


def _pixel_grid(before: Raster, after: Raster, resolution: float | None) -> Grid:
    """The grid of two images that have no place on the map."""
    if resolution is not None:
        raise InputError(
            f"{before.name}: has no place on the map, so --resolution has no meaning; leave it out"
        )
    sizes = [(raster.grid.width, raster.grid.height) for raster in (before, after)]
    if sizes[0] != sizes[1]:
        shown = " and ".join(f"{width}x{height}" for width, height in sizes)
        raise ImageError(
            f"{before.name} and {after.name}: sizes differ ({shown}) and neither has a place on the map; "
            "crop or resample both to the same size"
        )
    _check_size(*sizes[0], before.name)
    return before.grid


def _check_size(width: int, height: int, where: str) -> None:
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"{where}: {width}x{height} pixels are too few; give at least {MIN_SIDE} a side")
    if max(width, height) > MAX_SIDE:
        raise ImageError(f"{where}: {width}x{height} pixels are too many; cut it to {MAX_SIDE} a side")


def _pixel_sides(raster: Raster) -> tuple[float, float]:
    """Metres on the ground of a pixel, across and down; in units of its own where an image names no system.

    Sides that differ by less than a hundredth count as equal, and metres of a projection close to the ground's as
    those of the ground.
    """
    transform, crs = raster.grid.transform, raster.grid.crs
    own = math.hypot(transform.a, transform.d), math.hypot(transform.b, transform.e)
    found = own if crs is None else ground_sampling(raster.grid)
    if found is None or not all(math.isfinite(side) and side > 0 for side in found):
        raise ImageError(
            f"{raster.name}: its place is outside the area that {_crs_name(crs)} covers; correct its georeferencing"
        )
    unit = crs.linear_units_factor[1] if crs is not None and crs.is_projected else 0.0
    if all(abs(side * unit / ground - 1) < ROUND_SCALE for side, ground in zip(own, found, strict=True)):
        found = own[0] * unit, own[1] * unit
    if _alike(*found):
        side = math.sqrt(found[0] * found[1])
        return side, side
    return found[0], found[1]


def _alike(across: float, down: float) -> bool:
    return abs(across / down - 1) < MAX_OBLONG


def _outline(raster: Raster, grid: Grid) -> Polygon | None:
    """An image's outline in the pixels of a grid, (column, row); None where it cannot be carried there."""
    t = np.linspace(0, 1, EDGE_POINTS)[:-1]
    zero, one = np.zeros_like(t), np.ones_like(t)
    columns = np.concatenate([t, one, 1 - t, zero]) * raster.grid.width
    rows = np.concatenate([zero, t, one, 1 - t]) * raster.grid.height
    x, y = _carry(raster.grid.transform, columns, rows)
    if raster.grid.crs != grid.crs:
        assert raster.grid.crs is not None and grid.crs is not None  # both or none
        there = Transformer.from_crs(raster.grid.crs.to_wkt(), grid.crs.to_wkt(), always_xy=True)
        x, y = there.transform(x, y)
        if grid.crs.is_geographic:  # longitudes beyond the antimeridian
            turn, middle = whole_turn(grid.crs), (grid.transform @ (grid.width / 2, grid.height / 2))[0]
            x = x + turn * np.round((middle - x) / turn)
    points = np.stack(_carry(~grid.transform, x, y), axis=1)
    if not np.isfinite(points).all():
        return None
    return Polygon(points).buffer(0)


def _carry(transform: Affine, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An affine map of many points."""
    return transform.a * x + transform.b * y + transform.c, transform.d * x + transform.e * y + transform.f


def _crs_name(crs: CRS | None) -> str:
    return "none" if crs is None else crs.to_string() if len(crs.to_string()) < 40 else "a system of its own"


def _place(raster: Raster) -> str:
    """Where an image lies, for people."""
    x, y = raster.grid.transform @ (raster.grid.width / 2, raster.grid.height / 2)
    if raster.grid.crs is None:
        return f"{raster.name} is centred at x {x:.6g}, y {y:.6g}"
    to_degrees = Transformer.from_crs(raster.grid.crs.to_wkt(), "EPSG:4326", always_xy=True)
    east, north = to_degrees.transform(x, y)
    return f"{raster.name} is centred at {north:.4f}, {east:.4f} (latitude, longitude)"

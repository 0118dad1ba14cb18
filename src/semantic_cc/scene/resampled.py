"""One image on the grid of a pair: its own pixels where the grids agree, resampled ones elsewhere."""

from __future__ import annotations

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import reproject
from scipy import ndimage

from semantic_cc.scene.gdal_files import one_line_errors, settings
from semantic_cc.scene.grid import Grid, Window
from semantic_cc.scene.placement import off_antimeridian
from semantic_cc.scene.raster import SAMPLE_SIDE, Raster
from semantic_cc.scene.unknown_areas import Collar

SAME_PLACE = 0.01
"""Pixels by which two grids may differ over the whole scene and still count as the same pixels."""

_MARGIN = 2
"""Pixels around a window that resampling reads, in pixels of the coarser grid."""

_ROUNDING = 1e-6
"""Share of an image's range by which resampling may change a value where pixels fall on pixels (a flipped image)."""


class OnGrid:
    """One image on the common grid, which reads its own pixels where the grids agree and resampled ones elsewhere.

    Args:
        raster: the image.
        grid: the common grid.
        shift: (columns, rows) by which its content lies off the grid's, which is taken back.
    """

    def __init__(self, raster: Raster, grid: Grid, shift: tuple[float, float] = (0.0, 0.0)) -> None:
        self.raster = raster
        transform = grid.transform @ Affine.translation(*shift)
        offset = _whole_offset(raster.grid, grid, transform)
        self._through: WarpedVRT | None = None
        # From the common grid to the image's pixels; between coordinate systems that is no affine map.
        self._to_own = ~raster.grid.transform @ transform if raster.grid.crs == grid.crs else None
        self._collars: tuple[Collar, ...] = raster.collars
        if offset is not None:
            self._left, self._top = offset
            self._width, self._height = raster.grid.width, raster.grid.height
            return
        self._left = self._top = 0
        self._width, self._height = grid.width, grid.height
        with one_line_errors(raster.name), settings(raster.name):
            # Images without a coordinate reference system share any: only their transforms count.
            nowhere = None if raster.grid.crs is not None else CRS.from_epsg(3857)
            fill = {} if raster.fill is None else {"src_nodata": raster.fill}
            if raster.fill is None and "float" in raster.kind and raster.dataset.nodata is None:
                fill = {"src_nodata": float("nan")}  # else NaN spreads to its neighbours
            own = _own_place(raster.grid, grid)
            self._through = WarpedVRT(
                raster.dataset,
                src_crs=own[1] or nowhere,
                src_transform=own[0],
                crs=grid.crs or nowhere,
                transform=transform,
                width=grid.width,
                height=grid.height,
                resampling=Resampling.bilinear,
                add_alpha=not raster.has_alpha,
                **fill,
            )
            rounding = 0.0 if raster.stretch is None else _ROUNDING * float(np.abs(raster.stretch.high).max())
            self._collars = tuple(
                _carried(
                    collar, rounding, raster.grid, Grid(grid.width, grid.height, transform, grid.crs), nowhere
                )
                for collar in raster.collars
            )

    def may_show(self, tops: np.ndarray, lefts: np.ndarray, height: int, width: int) -> np.ndarray:
        """False only where the image's file holds nothing of a window of the common grid.

        Args:
            tops, lefts: first row and column of windows, in shapes that broadcast.
            height, width: of each of them, in pixels.
        """
        blocks = self.raster.blocks
        if blocks is not None and self._through is None:
            top, left = tops + self._top, lefts + self._left
            return blocks.touches(top, left, top + height, left + width)
        if blocks is None or self._to_own is None:
            return np.ones(np.broadcast_shapes(tops.shape, lefts.shape), bool)
        corners = [self._to_own @ (lefts + x * width, tops + y * height) for x in (0, 1) for y in (0, 1)]
        columns, rows = (np.stack(values) for values in zip(*corners, strict=True))
        margin = _MARGIN * np.ceil(np.maximum(1, np.ptp(rows, axis=0) / height)).astype(np.int64)
        first, last = (
            [np.floor(of.min(axis=0)).astype(np.int64) - margin for of in (rows, columns)],
            [np.ceil(of.max(axis=0)).astype(np.int64) + margin for of in (rows, columns)],
        )
        return blocks.touches(*first, *last)

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """A window of the common grid: (h, w, 3) uint8 RGB, and where it is known, (h, w) bool.

        Nodata, transparency, collars and what lies outside the image are unknown; outside it is black too.

        Raises:
            ImageError: a part of the file cannot be read.
        """
        values, known = self.read_values(window)
        pixels = self.raster.to_levels(values)
        pixels[self._outside(window)] = 0
        return pixels, known

    def read_values(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """As `read`, but values as stored, (3, h, w); 0 outside the image."""
        inside, there = self._inside(window)
        known = np.zeros((window.height, window.width), bool)
        if inside is None:
            return np.zeros((3, window.height, window.width), np.uint8), known
        part, known_part = self.raster.read_values(inside, self._through)
        for collar in self._collars:
            known_part &= ~collar.covers(part, inside)
        values = np.zeros((3, window.height, window.width), part.dtype)
        values[:, *there], known[there] = part, known_part
        return values, known

    def _inside(self, window: Window) -> tuple[Window | None, tuple[slice, slice]]:
        """The part of a window that lies within the image: in the image's pixels, and in the window's."""
        top, left = window.top + self._top, window.left + self._left
        first_row, last_row = max(top, 0), min(top + window.height, self._height)
        first_column, last_column = max(left, 0), min(left + window.width, self._width)
        there = (slice(first_row - top, last_row - top), slice(first_column - left, last_column - left))
        if first_row >= last_row or first_column >= last_column:
            return None, there
        return Window(first_row, first_column, last_row - first_row, last_column - first_column), there

    def _outside(self, window: Window) -> np.ndarray:
        """(h, w) bool, where a window does not show the image."""
        outside = np.ones((window.height, window.width), bool)
        inside, there = self._inside(window)
        if inside is not None:
            outside[there] = False
        return outside

    def close(self) -> None:
        """Lets go of the resampled image; the image itself stays open."""
        if self._through is not None:
            self._through.close()


def _own_place(own: Grid, grid: Grid) -> tuple[Affine, CRS | None]:
    """Transform and system of an image's grid for warping to another."""
    return (own.transform, own.crs) if own.crs == grid.crs else off_antimeridian(own)


def _whole_offset(own: Grid, grid: Grid, transform: Affine) -> tuple[int, int] | None:
    """(columns, rows) from a grid placed by `transform` to `own`, None where pixels do not fall on pixels."""
    if own.crs != grid.crs:
        return None
    step = ~own.transform @ transform
    drift = max(abs(step.a - 1), abs(step.b), abs(step.d), abs(step.e - 1)) * max(grid.width, grid.height)
    columns, rows = round(step.c), round(step.f)
    if drift + max(abs(step.c - columns), abs(step.f - rows)) > SAME_PLACE:
        return None
    return columns, rows


def _carried(collar: Collar, rounding: float, own: Grid, grid: Grid, nowhere: CRS | None) -> Collar:
    """A collar on another grid, with the pixels that resampling mixes at its edge.

    Args:
        collar: on the grid `own`.
        rounding: tolerance of its value after resampling, at least.
        own, grid: of the image, and the other one.
        nowhere: stands for a missing coordinate reference system.
    """
    step = max(1, -(-max(grid.width, grid.height) // (2 * SAMPLE_SIDE)))
    near = np.zeros((-(-grid.height // step), -(-grid.width // step)), np.uint8)
    rows, columns = collar.near.shape
    transform, crs = _own_place(own, grid)
    reproject(
        collar.near.astype(np.uint8), near,
        src_transform=transform @ Affine.scale(own.width / columns, own.height / rows),
        src_crs=crs or nowhere,
        dst_transform=grid.transform @ Affine.scale(grid.width / near.shape[1], grid.height / near.shape[0]),
        dst_crs=grid.crs or nowhere,
        resampling=Resampling.nearest,
    )  # fmt: skip
    wider = ndimage.binary_dilation(near > 0)
    tolerance = max(collar.tolerance, rounding)
    return Collar(wider, collar.value, tolerance, collar.colour, collar.share, grid.height, grid.width)

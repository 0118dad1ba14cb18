"""Reading georeferenced images window by window: any size, 8 or 16 bits, many bands, files and URLs."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import rasterio
from affine import Affine
from rasterio._err import CPLE_BaseError  # what GDAL's own errors are, where rasterio does not wrap them
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as GdalWindow

from semantic_cc.errors import ImageError, InputError
from semantic_cc.scene.grid import Grid, Window
from semantic_cc.scene.image_sources import check_there, is_remote

FORMATS = ("GTiff", "VRT", "JP2OpenJPEG", "PNG", "JPEG")
"""The only GDAL drivers that bytes from outside may reach; a COG is a GTiff."""

SETTINGS = {"GDAL_CACHEMAX": 256, "GDAL_HTTP_TIMEOUT": "30", "GDAL_HTTP_MAX_RETRY": "3"}
"""GDAL's: 256 MB of decoded blocks, whatever the machine has; seconds and attempts for URLs."""

MAX_BLOCK_BYTES = 1 << 29
"""Largest block (tile or strip) that is decoded; one pixel of it costs all of it."""

MAX_SEQUENTIAL_PIXELS = 400_000_000
"""Largest PNG or JPEG: their rows must be decoded in order, so that every step back starts at the top again."""

PERCENTILES = (2.0, 98.0)
STRETCHED = (42.0, 209.0)
"""Where the two percentiles go in 8 bits: where they lie in 8-bit images (medians over 2,100 of UC Merced)."""

SAMPLE_SIDE = 1024
"""Longest side of the decimated image that the percentiles are taken from; overviews are used where there are any."""

GDAL_ERRORS = (RasterioError, CPLE_BaseError, OSError)
"""What reading and writing may raise."""


def settings(source: str | Path = "") -> rasterio.Env:
    """The context in which GDAL opens and reads; the folder of a URL is not listed in search of side files."""
    remote = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"} if is_remote(source) else {}
    return rasterio.Env(**SETTINGS, **remote)


@dataclass(frozen=True)
class Stretch:
    """How values of more than 8 bits become 0..255: band by band, linear, `PERCENTILES` to `STRETCHED`.

    Attributes:
        low, high: (3,) the percentiles of the three bands.
    """

    low: np.ndarray
    high: np.ndarray

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """(3, h, w) of any real type -> the same shape, uint8."""
        first, last = STRETCHED
        scale = ((last - first) / (self.high - self.low)).astype(np.float32)[:, None, None]
        level = (values.astype(np.float32) - self.low[:, None, None].astype(np.float32)) * scale + first
        return np.clip(np.nan_to_num(level), 0, 255).round().astype(np.uint8)


class Raster:
    """One image, open for reading.

    Args:
        source: path or URL of a GeoTIFF, COG, VRT, JPEG 2000, PNG or JPEG; a world file beside it is read.
        bands: numbers, from 1, of the bands that are red, green and blue; None = what the file says, else 1, 2, 3.
        crs: coordinate reference system of a file that names none.

    Attributes:
        name: how messages call it.
        grid: its own pixel grid; without a coordinate reference system that of the pixels.
        bands: the three bands.
        stretch: None for 8 bits.
        notes: what was converted, for people.

    Raises:
        ImageError: the file is missing, empty, corrupt, of another kind, or cannot be read in windows.
        InputError: it has no such bands.
    """

    def __init__(
        self, source: str | Path, bands: tuple[int, int, int] | None = None, crs: CRS | None = None
    ) -> None:
        self.name = str(source)
        check_there(source)
        with one_line_errors(self.name), settings(source), warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            self.dataset = DatasetReader(self.name, driver=list(FORMATS))
        notes: list[str] = []
        try:
            _check_kind(self.dataset, self.name)
            self.grid = _grid(self.dataset, crs, self.name, notes)
            self.bands = _bands(self.dataset, bands, self.name, notes)
            self.stretch = self._find_stretch(notes)
        except BaseException:
            self.dataset.close()
            raise
        self.notes = tuple(notes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self.dataset.close()

    def read(self, window: Window, through: WarpedVRT | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The pixels of a window that lies within the image.

        Args:
            window: in the image's own grid, or in that of `through`.
            through: the same image on another grid.

        Returns:
            (h, w, 3) uint8 RGB, and where it is known (neither nodata nor transparent), (h, w) bool.

        Raises:
            ImageError: this part of the file cannot be read.
        """
        source = self.dataset if through is None else through
        part = GdalWindow(window.left, window.top, window.width, window.height)
        place = f"{self.name}: rows {window.top} to {window.top + window.height}, columns {window.left} to "
        with one_line_errors(f"{place}{window.left + window.width}"), settings():
            values = source.read(self.bands, window=part)  # (3, h, w)
            known = self._known(source, window=part)
        if np.issubdtype(values.dtype, np.floating):
            known &= np.isfinite(values).all(axis=0)
        levels = values if self.stretch is None else self.stretch(values)
        return np.ascontiguousarray(levels.transpose(1, 2, 0)), known

    def _known(self, source: DatasetReader | WarpedVRT, **part: Any) -> np.ndarray:
        """Where a part of the image is neither nodata nor fully transparent, (h, w) bool."""
        if ColorInterp.alpha in source.colorinterp:  # GDAL's masks read alpha of 8 and unsigned 16 bits alone
            return np.asarray(source.read(source.colorinterp.index(ColorInterp.alpha) + 1, **part) > 0)
        return np.any([source.read_masks(band, **part) > 0 for band in self.bands], axis=0)

    def _find_stretch(self, notes: list[str]) -> Stretch | None:
        kinds = {self.dataset.dtypes[band - 1] for band in self.bands}
        if kinds == {"uint8"}:
            return None
        scale = min(1.0, SAMPLE_SIDE / max(self.dataset.shape))
        shape = tuple(max(1, round(side * scale)) for side in self.dataset.shape)
        with one_line_errors(self.name), settings():
            values = self.dataset.read(self.bands, out_shape=(3, *shape)).astype(np.float64)
            known = self._known(self.dataset, out_shape=shape)
        known &= np.isfinite(values).all(axis=0)
        if not known.any():
            raise ImageError(f"{self.name}: no pixel of it is known; check its nodata value")
        low, high = np.percentile(values[:, known], PERCENTILES, axis=1)
        notes.append(
            f"{self.name}: {'/'.join(sorted(kinds))} stretched to 8 bits, "
            + ", ".join(
                f"band {band} {a:.6g} to {b:.6g}" for band, a, b in zip(self.bands, low, high, strict=True)
            )
        )
        return Stretch(low, np.maximum(high, low + 1e-6 + abs(low) * 1e-6))


def _check_kind(dataset: DatasetReader, name: str) -> None:
    """Refuses what cannot be read in windows of bounded memory, or has no colours."""
    if dataset.driver in ("PNG", "JPEG") and dataset.width * dataset.height > MAX_SEQUENTIAL_PIXELS:
        raise ImageError(
            f"{name}: {dataset.width}x{dataset.height} pixels are too many for {dataset.driver}, which is read from "
            "the top; convert it with 'gdal_translate -of COG'"
        )
    bands = dataset.count if dataset.interleaving and dataset.interleaving.name == "pixel" else 1
    for (rows, columns), kind in zip(dataset.block_shapes, dataset.dtypes, strict=True):
        size = rows * columns * bands * np.dtype(kind.replace("complex_int16", "int32")).itemsize
        if size > MAX_BLOCK_BYTES:
            raise ImageError(
                f"{name}: one block of {columns}x{rows} pixels takes {size / 2**30:.1f} GiB to decode; "
                "rewrite it in tiles with 'gdal_translate -of COG'"
            )
    if any(kind.startswith("complex") for kind in dataset.dtypes):
        raise ImageError(f"{name}: holds complex numbers; give an optical image")
    if ColorInterp.palette in dataset.colorinterp:
        raise ImageError(f"{name}: has a palette; expand it with 'gdal_translate -expand rgb'")
    if dataset.gcps[0] and dataset.crs is None:
        raise ImageError(f"{name}: lies on the map by control points alone; rectify it with 'gdalwarp'")


def _grid(dataset: DatasetReader, crs: CRS | None, name: str, notes: list[str]) -> Grid:
    found, transform = dataset.crs or crs, dataset.transform
    if found is None:
        if not transform.is_identity:
            notes.append(f"{name}: has no coordinate reference system; if you know it, give it with --crs")
        return Grid(dataset.width, dataset.height, Affine.identity(), None)
    if transform.is_identity or transform.is_degenerate:
        raise ImageError(
            f"{name}: names a coordinate reference system but no place in it; give its world file"
        )
    return Grid(dataset.width, dataset.height, transform, found)


def _bands(
    dataset: DatasetReader, wanted: tuple[int, int, int] | None, name: str, notes: list[str]
) -> tuple[int, int, int]:
    count, colours = dataset.count, dataset.colorinterp
    if wanted is not None:
        if max(wanted) > count:
            raise InputError(f"{name}: has no band {max(wanted)}, only {count}; choose other --bands")
        return wanted
    rgb = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    if all(colour in colours for colour in rgb):
        red, green, blue = (colours.index(colour) + 1 for colour in rgb)
        return red, green, blue
    if sum(colour != ColorInterp.alpha for colour in colours) < 3:
        notes.append(f"{name}: one band converted to RGB")
        return 1, 1, 1
    if count > 3 and not (count == 4 and MaskFlags.alpha in dataset.mask_flag_enums[0]):
        notes.append(f"{name}: {count} bands, 1, 2, 3 taken as red, green, blue; choose others with --bands")
    return 1, 2, 3


def read_crs(text: str) -> CRS:
    """A coordinate reference system from what a user writes, for example EPSG:32614.

    Raises:
        InputError: there is none of this name.
    """
    try:
        with settings():
            return CRS.from_user_input(text)
    except CRSError as error:
        raise InputError(
            f"{text!r} is no coordinate reference system; give for example EPSG:32614"
        ) from error


@contextmanager
def one_line_errors(where: str) -> Iterator[None]:
    """Turns whatever GDAL raises into one `ImageError`; the reason is the innermost one that it gave."""
    try:
        yield
    except (*GDAL_ERRORS, ValueError, MemoryError) as error:
        inner: BaseException = error
        while inner.__cause__ is not None:
            inner = inner.__cause__
        reason = " ".join(str(inner).split()) or type(inner).__name__
        raise ImageError(f"{where}: cannot be read ({reason}); fetch or save it again") from error

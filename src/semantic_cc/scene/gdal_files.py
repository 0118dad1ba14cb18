"""Opening files with GDAL: the allowed drivers, its settings, errors in one line, files that are cut off."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import numpy as np
import rasterio
from rasterio._err import CPLE_BaseError  # what GDAL's own errors are, where rasterio does not wrap them
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader

from semantic_cc.errors import ImageError, InputError
from semantic_cc.images import MAX_SIDE
from semantic_cc.scene.image_sources import check_there, gdal_name, is_over_network

DRIVERS = (
    "GTiff", "VRT", "JP2OpenJPEG", "PNG", "JPEG", "WEBP", "BMP", "GIF", "HFA", "ENVI", "EHdr", "ERS", "NITF", "PCIDSK",
    "MRF", "RMF", "GPKG", "BIGGIF",
)  # fmt: skip
"""The only GDAL drivers that bytes from outside may reach; a COG is a GTiff."""

SETTINGS = {
    # Bytes of decoded blocks, here not in GDAL's MB: a row of both dates' blocks of 20,000 columns.
    "GDAL_CACHEMAX": 64 << 20,
    "GDAL_HTTP_TIMEOUT": "30",  # seconds
    "GDAL_HTTP_MAX_RETRY": "4",
    "GDAL_HTTP_RETRY_DELAY": "0.5",  # seconds, doubled each time
    "CPL_VSIL_CURL_USE_HEAD": "NO",  # signed URLs and some servers refuse HEAD
}
"""GDAL's configuration options."""

MAX_BLOCK_BYTES = 1 << 29
"""Largest block (tile or strip) that is decoded; one pixel of it costs all of it."""

MAX_SEQUENTIAL_PIXELS = 400_000_000
"""Largest PNG or JPEG: their rows must be decoded in order, so that every step back starts at the top again."""

MAX_CHECKED_BLOCKS = 20_000
"""Blocks of a TIFF whose place in the file is compared with its length; the last ones are always among them."""

_drivers: ContextVar[Sequence[str]] = ContextVar("drivers", default=DRIVERS)

GDAL_ERRORS = (RasterioError, CPLE_BaseError, OSError)
"""What reading and writing may raise."""


def settings(source: str | Path = "") -> rasterio.Env:
    """The context in which GDAL opens and reads; the folder of a URL is not listed in search of side files."""
    remote = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"} if is_over_network(source) else {}
    return rasterio.Env(**SETTINGS, **remote)


@contextmanager
def use_drivers(drivers: Sequence[str]) -> Iterator[None]:
    """In this context and thread `open_dataset` knows these GDAL drivers only, instead of `DRIVERS`."""
    before = _drivers.set(drivers)
    try:
        yield
    finally:
        _drivers.reset(before)


def open_dataset(source: str | Path) -> DatasetReader:
    """Opens a file, a URL or a .zip that holds one image.

    Raises:
        ImageError: there is nothing, or nothing that one of the allowed drivers reads.
    """
    check_there(source)
    with one_line_errors(str(source)), settings(source), _without_place_warnings():
        return DatasetReader(gdal_name(source), driver=list(_drivers.get()))


def open_xml(xml: str, name: str) -> DatasetReader:
    """Opens the text of a VRT; `name` is what messages call it."""
    with one_line_errors(name), settings(), _without_place_warnings():
        return DatasetReader(xml, driver=["VRT"])


def is_plain_picture(dataset: DatasetReader) -> bool:
    """Whether Pillow reads all of a file: no place, 8 bits, grey or RGB, no transparent pixel, not too large."""
    if dataset.crs is not None or not dataset.transform.is_identity or dataset.gcps[0] or dataset.rpcs:
        return False
    if max(dataset.shape) > MAX_SIDE or any(kind != "uint8" for kind in dataset.dtypes):
        return False
    if dataset.driver in ("JPEG", "BMP"):  # CMYK JPEGs have four bands
        return True
    colours = dataset.colorinterp
    if ColorInterp.palette in colours:
        clear = [index for index, entry in dataset.colormap(1).items() if entry[3] < 255]
        with one_line_errors(str(dataset.name)), settings():
            return not clear or not np.isin(dataset.read(1), clear).any()
    if any(value is not None for value in dataset.nodatavals):  # a transparent colour of a PNG
        return False
    if colours[-1] == ColorInterp.alpha and dataset.count in (2, 4):
        with one_line_errors(str(dataset.name)), settings():
            return bool(dataset.read(dataset.count).min() == 255)
    return dataset.count in (1, 3) or (dataset.count == 4 and ColorInterp.cyan in colours)


def check_blocks(dataset: DatasetReader, name: str) -> None:
    """Refuses what cannot be read in windows of bounded memory, and a TIFF that is cut off.

    Raises:
        ImageError: it is one of these.
    """
    if dataset.driver in ("PNG", "JPEG") and dataset.width * dataset.height > MAX_SEQUENTIAL_PIXELS:
        raise ImageError(
            f"{name}: {dataset.width}x{dataset.height} pixels are too many for {dataset.driver}, which is read from "
            "the top; convert it with 'gdal_translate -of COG'"
        )
    bands = dataset.count if dataset.interleaving and dataset.interleaving.name == "pixel" else 1
    for (rows, columns), kind in zip(dataset.block_shapes, dataset.dtypes, strict=True):
        if kind.startswith("complex"):
            raise ImageError(f"{name}: holds complex numbers; give an optical image")
        size = rows * columns * bands * np.dtype(kind).itemsize
        if size > MAX_BLOCK_BYTES:
            raise ImageError(
                f"{name}: one block of {columns}x{rows} pixels takes {size / 2**30:.1f} GiB to decode; "
                "rewrite it in tiles with 'gdal_translate -of COG'"
            )
    if dataset.driver == "GTiff" and Path(dataset.name).is_file():
        _check_length(dataset, name)


def _check_length(dataset: DatasetReader, name: str) -> None:
    """Compares where a TIFF's blocks lie with the file's length; GDAL finds out when it reads them."""
    length = os.path.getsize(dataset.name)
    height, width = dataset.block_shapes[0]
    rows, columns = -(-dataset.height // height), -(-dataset.width // width)
    count = rows * columns
    step = max(1, count // MAX_CHECKED_BLOCKS)
    for band in dataset.indexes if dataset.interleaving and dataset.interleaving.name == "band" else (1,):
        for number in {*range(0, count, step), count - 1}:
            place = f"{number % columns}_{number // columns}"
            offset = dataset.get_tag_item(f"BLOCK_OFFSET_{place}", "TIFF", bidx=band)
            size = dataset.get_tag_item(f"BLOCK_SIZE_{place}", "TIFF", bidx=band)
            if offset and size and int(offset) + int(size) > length:
                raise ImageError(
                    f"{name}: is truncated ({length} bytes, needs {int(offset) + int(size)} or more); fetch it again"
                )


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
            f"{text!r} is not a coordinate reference system; give, for example, EPSG:32614"
        ) from error


@contextmanager
def one_line_errors(where: str) -> Iterator[None]:
    """Turns whatever GDAL raises into one `ImageError`; the reason is the innermost one that it gave."""
    try:
        yield
    except (*GDAL_ERRORS, ValueError, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        inner: BaseException = error
        while inner.__cause__ is not None:
            inner = inner.__cause__
        reason = " ".join(str(inner).split()) or type(inner).__name__
        raise ImageError(f"{where}: cannot be read ({reason}); fetch or save it again") from error


@contextmanager
def _without_place_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield

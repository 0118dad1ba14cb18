"""Writing Cloud Optimised GeoTIFFs block by block: a scene is never whole in memory, and empty blocks cost nothing."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from zlib import crc32

import numpy as np
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import DatasetWriter
from rasterio.shutil import copy
from rasterio.windows import Window as GdalWindow

from semantic_cc.errors import OutputError
from semantic_cc.figures.colours import CLASS_COLOURS
from semantic_cc.files import new_file
from semantic_cc.scene.gdal_files import GDAL_ERRORS, settings
from semantic_cc.scene.grid import Grid, Window
from semantic_cc.scene.overviews import BLOCK, TILED, Blocks, blocks_of, write_overviews
from semantic_cc.scene.scan_state import MASK_UNKNOWN, PROBABILITY_STEPS, PROBABILITY_UNKNOWN

Block = tuple[Window, np.ndarray]
"""A part of a raster, and its pixels, (bands, h, w) uint8."""


def write_mask(path: Path, grid: Grid, blocks: Iterable[Block], tags: Mapping[str, str]) -> None:
    """A mask of `LABEL_VALUES`, `MASK_UNKNOWN` = nodata, with the colours of its classes.

    Args:
        blocks: its parts; the rest is unknown.
        tags: what it was made of, for the file's metadata.

    Raises:
        OutputError: the file cannot be written.
    """

    def dress(dataset: DatasetWriter) -> None:
        clear = {0: (0, 0, 0, 0), MASK_UNKNOWN: (0, 0, 0, 0)}
        dataset.write_colormap(1, clear | {value: (*rgb, 255) for value, rgb in CLASS_COLOURS.items()})
        dataset.set_band_description(1, "change")

    write_cog(path, grid, 1, blocks, tags, nodata=MASK_UNKNOWN, dress=dress, overviews=Resampling.mode)


def write_probability(path: Path, grid: Grid, blocks: Iterable[Block], tags: Mapping[str, str]) -> None:
    """The change probability, 0..`PROBABILITY_STEPS` for 0..1 (the band's scale says so), nodata beyond.

    Args and Raises:
        As `write_mask`.
    """

    def dress(dataset: DatasetWriter) -> None:
        dataset.scales = (1 / PROBABILITY_STEPS,)
        dataset.set_band_description(1, "change probability")

    write_cog(
        path, grid, 1, blocks, tags, nodata=PROBABILITY_UNKNOWN, dress=dress, overviews=Resampling.average
    )


def write_image(path: Path, grid: Grid, blocks: Iterable[Block], tags: Mapping[str, str]) -> None:
    """An RGB image.

    Args and Raises:
        As `write_cog`.
    """

    def dress(dataset: DatasetWriter) -> None:
        dataset.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)

    write_cog(path, grid, 3, blocks, tags, dress=dress, overviews=Resampling.average)


def write_cog(
    path: Path,
    grid: Grid,
    bands: int,
    blocks: Iterable[Block],
    tags: Mapping[str, str],
    *,
    overviews: Resampling,
    nodata: int | None = None,
    dress: Callable[[DatasetWriter], None] | None = None,
) -> None:
    """Writes a raster.

    Blocks and overviews are first written to ordinary TIFFs beside it, because the parts of a COG have a fixed order.

    Args:
        path: the file; replaced when the new one is whole.
        grid: its place.
        bands: how many.
        blocks: its parts, in any order; parts that begin and end with blocks of `BLOCK` pixels are compressed once.
        tags: metadata.
        overviews: how pixels of the overviews are made.
        nodata: the value of unknown pixels; blocks of nothing else take no space in the file.
        dress: sets what else the dataset says of itself.

    Raises:
        OutputError: the file cannot be written.
    """
    with new_file(path) as work:
        plain = work.with_suffix(".plain")
        written: list[tuple[GdalWindow, int]] = []
        held: Blocks = set()
        try:
            with settings(), _no_place_is_fine():
                with rasterio.open(
                    plain, "w", width=grid.width, height=grid.height, count=bands, nodata=nodata,
                    crs=grid.crs, transform=_transform(grid), **TILED,
                ) as dataset:  # fmt: skip
                    dataset.update_tags(**tags)
                    if dress:
                        dress(dataset)
                    for window, pixels in blocks:
                        part = GdalWindow(window.left, window.top, window.width, window.height)
                        dataset.write(pixels, window=part)
                        written.append((part, crc32(pixels.tobytes())))
                        held |= blocks_of(window.top, window.left, window.height, window.width)
                write_overviews(plain, held, overviews)
                copy(
                    plain, work, driver="COG", COMPRESS="DEFLATE", PREDICTOR="YES" if bands == 3 else "NO",
                    BLOCKSIZE=BLOCK, OVERVIEWS="FORCE_USE_EXISTING", BIGTIFF="IF_SAFER", SPARSE_OK=True,
                )  # fmt: skip
                _check(work, written)
        except GDAL_ERRORS as error:
            reason = " ".join(str(error.__cause__ or error).split())
            raise OutputError(f"cannot write {path}: {reason}; free space or choose another place") from error
        finally:
            for left in work.parent.glob(f"{work.stem}*"):
                if left != work:
                    left.unlink(missing_ok=True)


def _transform(grid: Grid) -> Affine | None:
    """The grid's transform; None for plain pixels, which get no georeference."""
    return None if grid.crs is None and grid.transform.is_identity else grid.transform


def _check(path: Path, written: Iterable[tuple[GdalWindow, int]]) -> None:
    """Reads a raster back, because GDAL keeps quiet about a disk that is full when a file is closed.

    Raises:
        OSError: a part is not what was written.
    """
    with rasterio.open(path) as dataset:
        for part, checksum in written:
            if crc32(dataset.read(window=part).tobytes()) != checksum:
                raise OSError("what was written reads back differently")


@contextlib.contextmanager
def _no_place_is_fine() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield

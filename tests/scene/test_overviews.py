"""Overviews are those of GDAL's COG driver, and what holds nothing is not gone through."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning
from rasterio.shutil import copy
from rasterio.windows import Window as GdalWindow

from semantic_cc.scene.overviews import BLOCK, TILED, Blocks, blocks_of, write_overviews

COG = {"driver": "COG", "COMPRESS": "DEFLATE", "BLOCKSIZE": BLOCK, "SPARSE_OK": True}
LEVELS = np.array([0, 1, 128, 255], np.uint8)


def write_half_empty(path: Path, height: int, width: int, bands: int, nodata: int | None) -> Blocks:
    """A raster of noise that lacks about half of its blocks; returns the others."""
    random, held = np.random.default_rng(height), set()
    with rasterio.open(path, "w", height=height, width=width, count=bands, nodata=nodata, **TILED) as file:
        for row, column in sorted(blocks_of(0, 0, height, width)):
            if held and random.random() < 0.5:
                continue
            rows, columns = min(BLOCK, height - row * BLOCK), min(BLOCK, width - column * BLOCK)
            pixels = random.choice(LEVELS, (bands, rows, columns))
            file.write(pixels, window=GdalWindow(column * BLOCK, row * BLOCK, columns, rows))
            held.add((row, column))
    return held


@pytest.mark.parametrize("size", [(512, 300), (2048, 1024), (3001, 2503), (1, 2100)])
@pytest.mark.parametrize(("bands", "nodata"), [(1, 1), (3, None)])
@pytest.mark.parametrize("resampling", [Resampling.mode, Resampling.average])
def test_overviews_are_those_of_gdals_cog_driver(
    size: tuple[int, int], bands: int, nodata: int | None, resampling: Resampling, tmp_path: Path
) -> None:
    plain, own, gdals = tmp_path / "plain", tmp_path / "own.tif", tmp_path / "gdal.tif"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        held = write_half_empty(plain, *size, bands, nodata)
        write_overviews(plain, held, resampling)
        copy(plain, own, OVERVIEWS="FORCE_USE_EXISTING", **COG)
        copy(
            plain,
            gdals,
            OVERVIEWS="IGNORE_EXISTING",
            OVERVIEW_RESAMPLING=resampling.name.upper(),
            **COG,
        )
        with rasterio.open(own) as file, rasterio.open(gdals) as other:
            assert file.overviews(1) == other.overviews(1)
            levels = range(len(file.overviews(1)))
        for level in levels:
            with (
                rasterio.open(own, overview_level=level) as file,
                rasterio.open(gdals, overview_level=level) as other,
            ):
                found, wanted = file.read(), other.read()
            assert found.shape == wanted.shape
            if resampling == Resampling.mode:
                np.testing.assert_array_equal(found, wanted)
            else:  # sides that are not even have weights, whose last digits differ
                assert (found != wanted).mean() < 1e-3


def test_overviews_hold_only_blocks_with_content(tmp_path: Path) -> None:
    side, plain = 20 * BLOCK, tmp_path / "plain"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(plain, "w", height=side, width=side, count=1, nodata=1, **TILED) as file:
            for column in (3, 7):
                pixels = np.full((1, BLOCK, BLOCK), 255 if column == 7 else 1, np.uint8)
                file.write(pixels, window=GdalWindow(column * BLOCK, 5 * BLOCK, BLOCK, BLOCK))
        write_overviews(plain, {(5, 3), (5, 7)}, Resampling.mode)
        with rasterio.open(f"{plain}.ovr") as half:
            held = [
                place
                for place in np.ndindex(10, 10)
                if half.get_tag_item(f"BLOCK_OFFSET_{place[1]}_{place[0]}", "TIFF", bidx=1)
            ]
            assert held == [(2, 3)] and (half.read(1) == 255).sum() == (BLOCK // 2) ** 2

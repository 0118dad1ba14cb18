"""Rasters that are larger than a classic TIFF can be."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.windows import Window as GdalWindow

from semantic_cc.scene.cog_writer import write_mask
from semantic_cc.scene.grid import Grid, Window


@pytest.mark.slow
def test_a_raster_that_can_pass_4_gb_is_a_bigtiff(tmp_path: Path) -> None:
    """47,000 x 47,000 pixels are 2.2 GB before compression, from where on the overviews could pass 4 GB."""
    side = 47_000
    house = np.full((1, 512, 512), 255, np.uint8)
    grid = Grid(side, side, Affine(0.5, 0, 620_000, 0, -0.5, 3_350_000), CRS.from_epsg(32614))
    write_mask(tmp_path / "mask.tif", grid, [(Window(40_960, 40_960, 512, 512), house)], {})
    with rasterio.open(tmp_path / "mask.tif") as file:
        assert file.shape == (side, side) and file.overviews(1)
        assert (file.read(1, window=GdalWindow(40_960, 40_960, 512, 512)) == 255).all()
    assert (tmp_path / "mask.tif").read_bytes()[:4] == b"II\x2b\0"

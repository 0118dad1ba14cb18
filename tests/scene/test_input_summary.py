"""What --show-input says is what would be read."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from drawn_pairs import drawn_pair
from scenes import write_raster

from semantic_cc.scene.common_grid import open_pair
from semantic_cc.scene.input_checks import inspect_pair
from semantic_cc.scene.input_summary import InputSummary


def test_the_summary_of_a_pair(tmp_path: Path) -> None:
    before, after = (np.dstack([image, image[..., :1]]).astype("uint16") * 16 for image in drawn_pair(160))
    after[:, :40] = 0
    paths = [
        write_raster(tmp_path / f"{name}.tif", picture, nodata=0)
        for name, picture in (("a", before), ("b", after))
    ]
    with rasterio.open(paths[1], "r+") as file:
        for number, name in enumerate(("blue", "green", "red", "nir"), 1):
            file.set_band_description(number, name)
    with open_pair(*paths) as pair:
        summary = InputSummary.of(pair, inspect_pair(pair))
    assert (summary.before.bands, summary.before.band_source) == ((1, 2, 3), "layout")
    assert (summary.after.bands, summary.after.band_source) == ((3, 2, 1), "descriptions")
    assert summary.after.stretch == ((0.0, 4095.0),) * 3 and summary.after.stretch_rule == "full scale"
    assert (summary.before.unknown_share, summary.after.unknown_share, summary.unknown_share) == (
        0,
        0.25,
        0.25,
    )
    assert (summary.grid.width, summary.grid.height, summary.grid.crs) == (160, 160, "EPSG:32614")
    assert summary.grid.metres == pytest.approx((0.5, 0.5), rel=1e-3) and summary.shared == 1
    text = "\n".join(summary.lines())
    for words in (
        "a.tif: GTiff, uint16", "red 3, green 2, blue 1 (descriptions)", "0 to 4095 become 0 to 255 (full scale)",
        "unknown: 25.0% of its pixels",
        "160 x 160 pixels of 0.5001 x 0.5001 m, EPSG:32614", "warning: 25% of the common",
        "note: ", "choose others with --bands",
    ):  # fmt: skip
        assert words in text, words
    assert json.loads(json.dumps(summary.to_json()))["after"]["bands"] == [3, 2, 1]

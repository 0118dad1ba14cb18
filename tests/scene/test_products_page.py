"""The stand-ins of docs/guide-products.md are read as the page says; `make test-all` also runs the page's commands."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from doc_blocks import ROOT

from semantic_cc.cli.main import main
from semantic_cc.scene.gdal_files import read_crs
from semantic_cc.scene.synthetic_scene import write_scene

PAGE = ROOT / "docs" / "guide-products.md"
SCRIPT = re.search(
    r"stand_in.py <<'END'\n(.*?)^END$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("town") / "town"
    write_scene(folder, 512, read_crs("EPSG:32614"), seed=7)
    return folder


def shown(product: str, town: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> dict:
    """What `describe --show-input --json` prints of a stand-in."""
    assert SCRIPT
    subprocess.run([sys.executable, "-c", SCRIPT[1], product, town, out], check=True)
    assert main(["describe", str(out / "before.tif"), str(out / "after.tif"), "--show-input", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_sentinel_2(town: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = shown("sentinel2", town, tmp_path / "s2", capsys)
    for image in (found["before"], found["after"]):
        assert (image["kind"], image["bands"], image["band_source"]) == ("uint16", [3, 2, 1], "descriptions")
        assert image["stretch"][0] == pytest.approx([1000, 6000])  # reflectance 0 to 0.5
    assert found["grid"]["metres"] == pytest.approx([10, 10], rel=0.01)
    (warning,) = found["warnings"]
    assert "a pixel measures 10 m on the ground" in warning and "do not trust the result" in warning
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert warning in text and "red 3, green 2, blue 1 (descriptions) levels: 1000 to 6000" in text


def test_planetscope(town: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = shown("planetscope", town, tmp_path / "planet", capsys)
    assert [found[date]["bands"] for date in ("before", "after")] == [[3, 2, 1], [3, 2, 1]]
    assert found["before"]["stretch"] == found["after"]["stretch"]
    assert not found["before"]["transparency"] and found["unknown_share"] == 0
    assert any("a pixel measures 3 m on the ground" in warning for warning in found["warnings"])


def test_orthophoto(town: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = shown("orthophoto", town, tmp_path / "ortho", capsys)
    assert (found["before"]["transparency"], found["after"]["transparency"]) == (False, True)
    assert found["warnings"] == [] and any(
        "a black collar without a nodata tag" in note for note in found["notes"]
    )
    with rasterio.open(tmp_path / "ortho" / "after.tif") as file:
        hidden = float(np.mean(file.read(4) == 0))
    for date in ("before", "after"):
        assert found[date]["unknown_share"] == pytest.approx(hidden, abs=0.002)
    assert found["unknown_share"] == pytest.approx(hidden, abs=0.002)

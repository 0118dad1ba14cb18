import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas
import jsonschema
import numpy as np
import pystac
import pytest
from affine import Affine
from rasterio.crs import CRS
from scene_arrays import HALF_METRE, UTM, ArrayPair, said, save

from semantic_cc.errors import DataError, InputError, OutputError
from semantic_cc.scene import html_report, report_images
from semantic_cc.scene.grid import Grid
from semantic_cc.scene.scene_report import write_report
from semantic_cc.types import BUILDING, ROAD, ChangeDescription

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "report.schema.json").read_text(encoding="utf-8"))
ALL = {
    "mask.tif", "probability.tif", "changes.geojson", "changes.gpkg", "changes.fgb", "changes.parquet",
    "report.json", "report.html", "item.json",
}  # fmt: skip
WARNINGS = [{"kind": "shift", "text": "shifted by <1.5> pixels & more", "number": 1.5}]
PROVENANCE = {
    "created": "2026-11-24T10:00:00Z",
    "model": {"name": "stand-in", "digest": None},
    "bands": [3, 2, 1],
}


@dataclass
class Scene:
    """A scene of 900 x 700 pixels: two houses in the north-west, a road across, one house in the south-east."""

    folder: Path
    transform: Affine = HALF_METRE
    crs: CRS | None = UTM
    changed: bool = True
    asked: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(0)
        before, after = rng.integers(0, 256, (2, 700, 900, 3), dtype=np.uint8)
        mask = np.zeros((700, 900), np.uint8)
        if self.changed:
            mask[40:60, 40:70], mask[40:60, 90:110], mask[600:630, 800:840] = BUILDING, BUILDING, BUILDING
            mask[300:304, 100:160] = ROAD
        self.grid = Grid(900, 700, self.transform, self.crs)
        known = np.ones(mask.shape, bool)
        known[:, 850:] = False
        self.pair = ArrayPair(self.grid, before, after, known)
        save(self.folder / "mask.tif", mask, self.grid)
        save(self.folder / "probability.tif", np.where(mask > 0, 0.75, 0.1).astype(np.float32), self.grid)

    def write(self, **options: Any) -> dict[str, Any]:
        options = {"warnings": WARNINGS, "provenance": PROVENANCE, **options}
        return write_report(self.folder, self.grid, self.pair, self.describe, **options)

    def describe(self, before: np.ndarray, after: np.ndarray) -> ChangeDescription:
        self.asked.append(before)
        return said(f"<b>sentence</b> {len(self.asked)}", changed=len(self.asked) != 3)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def check(folder: Path) -> dict[str, Any]:
    """report.json, if the schema accepts it and it has no NaN."""
    text = (folder / "report.json").read_text(encoding="utf-8")
    report = json.loads(text, parse_constant=pytest.fail)
    jsonschema.validate(report, SCHEMA, jsonschema.Draft202012Validator)
    return report


def test_everything_is_written_and_counts_are_the_masks(scene: Scene) -> None:
    report = scene.write()
    assert {path.name for path in scene.folder.iterdir()} == ALL == set(report["files"])
    assert check(scene.folder) == report
    assert report["sentence"].startswith("3 buildings (")
    assert report["sentence"].endswith(
        "at 3 places. The largest, in the south-east, has 1 building (300 m²). The model says of it: "
        "<b>sentence</b> 1."
    )
    figures = report["figures"]
    assert figures["known_pixels"] == 700 * 850 and figures["changed_pixels"] == 1000 + 1200 + 240
    assert figures["classes"]["building"] == {
        "objects": 3, "pixels": 2200, "area_m2": pytest.approx(550, rel=2e-3), "probability": 0.75,
    }  # fmt: skip
    assert [place["where"] for place in report["places"]] == [
        "in the south-east",
        "in the north-west",
        "in the west",
    ]
    assert report["places"][1]["extent"] == {"top": 40, "left": 40, "height": 20, "width": 70}
    assert len(scene.asked) == 3
    frame = geopandas.read_file(scene.folder / "changes.gpkg")
    assert frame["area_m2"].sum() == pytest.approx(
        sum(c["area_m2"] for c in figures["classes"].values()), abs=0.01
    )
    assert dict(zip(frame["class"] + frame["pixels"].astype(str), frame["sentence"], strict=True)) == {
        "building600": "<b>sentence</b> 2",
        "building400": "<b>sentence</b> 2",
        "building1200": "<b>sentence</b> 1",
        "road240": "<b>sentence</b> 3",
    }
    assert [warning["kind"] for warning in report["warnings"]] == ["shift", "disagreement"]
    assert report["warnings"][1]["number"] == 1


def test_the_page_holds_everything_and_asks_the_network_for_nothing(scene: Scene) -> None:
    scene.write()
    text = (scene.folder / "report.html").read_text(encoding="utf-8")
    assert "<b>sentence</b>" not in text and text.count("<q>&lt;b&gt;sentence&lt;/b&gt;") == 3
    assert "shifted by &lt;1.5&gt; pixels &amp; more" in text
    assert "3, 2, 1" in text and "model.name" in text
    assert text.count("data:image/jpeg") == 2 and text.count("data:image/png") == 1  # no crops at full size
    links = set(re.findall(r'(?:href|src)="([^"]{,60})', text))
    assert {link for link in links if not link.startswith("data:image/")} == ALL - {"report.html"}
    assert "://" not in re.sub(r"base64,[^\"]*", "", text)
    assert "default-src 'none'" in text


def test_a_larger_scene_has_crops_of_its_largest_places(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_images, "OVERVIEW_SIDE", 450)
    monkeypatch.setattr(html_report, "CROPS", 2)
    scene.write()
    text = (scene.folder / "report.html").read_text(encoding="utf-8")
    assert text.count("data:image/jpeg") == 2 * 3
    assert "The 2 largest places are shown pixel for pixel" in text
    assert "aspect-ratio: 450 / 350" in text


def test_no_change_is_a_whole_report_too(tmp_path: Path) -> None:
    scene = Scene(tmp_path, changed=False)
    report = scene.write()
    assert check(tmp_path)["sentence"] == report["sentence"] == "No change was found in 14.9 ha."
    assert {path.name for path in tmp_path.iterdir()} == ALL
    assert report["places"] == [] and scene.asked == []
    assert len(geopandas.read_file(tmp_path / "changes.fgb")) == 0
    assert "Nothing changed." in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_without_a_crs_all_is_in_pixels_and_geojson_is_left_out(tmp_path: Path) -> None:
    scene = Scene(tmp_path, Affine.identity(), None)
    (tmp_path / "changes.geojson").write_text("of an earlier run")
    report = scene.write()
    assert {path.name for path in tmp_path.iterdir()} == ALL - {"changes.geojson"}
    assert check(tmp_path)["grid"]["bounds_wgs84"] is None
    assert report["sentence"].startswith("3 buildings (2,200 pixels)")
    assert report["figures"]["classes"]["road"]["area_m2"] is None
    assert report["warnings"][-1]["kind"] == "geojson"
    item = json.loads((tmp_path / "item.json").read_text())
    assert item["geometry"] is None and "bbox" not in item


def test_only_the_formats_asked_for_are_there(scene: Scene) -> None:
    scene.write()
    report = scene.write(formats=("gpkg",), regularise=True)
    assert {path.name for path in scene.folder.glob("changes.*")} == {"changes.gpkg"}
    assert report["regularised"] and check(scene.folder)["files"].count("changes.gpkg") == 1
    assert geopandas.read_file(scene.folder / "changes.gpkg")["pixels"].sum() == 2440


def test_the_same_scene_gives_the_same_bytes(tmp_path: Path) -> None:
    contents = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        Scene(tmp_path / name).write()
        files = (tmp_path / name).iterdir()
        contents.append({path.name: path.read_bytes() for path in files if path.suffix != ".gpkg"})
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("dates", "times"),
    [
        (None, ("2026-11-24T10:00:00Z", None, None)),
        (["2021-05-03", "2024-06-11T12:00:00+02:00"], (None, "2021-05-03T00:00:00Z", "2024-06-11T10:00:00Z")),
    ],
)
def test_the_item_is_valid_stac(scene: Scene, dates: Any, times: tuple[str | None, ...]) -> None:
    report = scene.write(provenance={**PROVENANCE, "dates": dates} if dates else PROVENANCE)
    item = json.loads((scene.folder / "item.json").read_text())
    properties = item["properties"]
    assert tuple(properties.get(key) for key in ("datetime", "start_datetime", "end_datetime")) == times
    assert properties["proj:code"] == "EPSG:32614" and properties["proj:shape"] == [700, 900]
    assert item["bbox"] == report["grid"]["bounds_wgs84"]
    assert {asset["href"] for asset in item["assets"].values()} == {
        f"./{name}" for name in ALL - {"item.json"}
    }
    item["stac_extensions"] = []  # their schemas are on the network
    pystac.Item.from_dict(item).validate()


@pytest.mark.parametrize(
    ("prepare", "options", "error", "message"),
    [
        (lambda folder: None, {"formats": ["shp"]}, InputError, "unknown format 'shp'"),
        (lambda folder: None, {"provenance": {"dates": ["2021:05:03", "2024"]}}, InputError, "'2021:05:03' is no date"),
        (lambda folder: (folder / "mask.tif").unlink(), {}, DataError, r"mask\.tif: cannot be read"),
        (lambda folder: (folder / "report.html").mkdir(), {}, OutputError, r"report\.html: it is a directory"),
    ],
)  # fmt: skip
def test_what_fails_leaves_nothing(
    scene: Scene, prepare: Callable[[Path], None], options: dict, error: type[Exception], message: str
) -> None:
    prepare(scene.folder)
    there = {path.name for path in scene.folder.rglob("*")}
    with pytest.raises(error, match=message):
        scene.write(**options)
    assert {path.name for path in scene.folder.rglob("*")} == there

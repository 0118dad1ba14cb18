"""The files of a scene, and that all of them hold the numbers of one report."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import geopandas
import jsonschema
import numpy as np
import pystac
import pytest
import rasterio
from affine import Affine
from scene_arrays import HALF_METRE, said
from scenes import UTM, write_raster

from semantic_cc.errors import InputError, OutputError
from semantic_cc.scene import html_report, report_images
from semantic_cc.scene.describe_scene import describe_scene
from semantic_cc.scene.scan_state import MASK_UNKNOWN
from semantic_cc.scene.scene_options import SceneOptions
from semantic_cc.scene.scene_report import SceneReport
from semantic_cc.types import BUILDING, ChangeDescription, ChangeMaps

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "report.schema.json").read_text(encoding="utf-8"))
ALL = {
    "mask.tif", "probability.tif", "changes.geojson", "changes.gpkg", "changes.fgb", "changes.parquet",
    "report.json", "report.html", "scene.json",
}  # fmt: skip
HOUSE, STREET = 255, 254
"""Level of the later image's red band where a building or a road changed."""


class RedModel:
    """Sees a change where the later image's red band says so; the change flag of its third description denies it."""

    num_classes = 3
    info = SimpleNamespace(name="stand-in", digest="d1", notes=("a remark",))
    device, place_batch = SimpleNamespace(type="cpu"), 1

    def __init__(self) -> None:
        self.described = 0

    def predict_masks(self, before: np.ndarray, after: np.ndarray) -> ChangeMaps:
        red = after[..., 0]
        shares = np.select([red == HOUSE, red == STREET], [0.75, 0.75], 0.1)  # (n, h, w)
        classes = np.stack([1 - shares, shares * (red != HOUSE), shares * (red == HOUSE)], axis=1)
        return ChangeMaps(classes.astype(np.float32))

    def describe_batch(
        self, before: np.ndarray, after: np.ndarray, instruction: str | None = None
    ) -> list[ChangeDescription]:
        found = []
        for _ in before:
            self.described += 1
            found.append(said(f"<b>{instruction or 'sentence'}</b> {self.described}", self.described != 3))
        return found


@dataclass
class Scene:
    """A scene of 900 x 700 pixels: two houses in the north-west, a road across, one house in the south-east."""

    folder: Path
    transform: Affine | None = HALF_METRE
    crs: str | None = UTM
    changed: bool = True
    model: RedModel = field(default_factory=RedModel)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(0)
        before, after = rng.integers(1, 250, (2, 700, 900, 3), dtype=np.uint8)
        red = after[..., 0]
        if self.changed:
            red[40:60, 40:70], red[40:60, 90:110], red[600:630, 800:840] = HOUSE, HOUSE, HOUSE
            red[300:304, 100:160] = STREET
        after[:, 850:] = 0
        self.folder.mkdir(exist_ok=True)
        self.out = self.folder / "out"
        self.paths = [
            write_raster(self.folder / f"{name}.tif", image, self.transform, self.crs, nodata=0)
            for name, image in (("before", before), ("after", after))
        ]

    def write(self, options: SceneOptions | None = None, **more: Any) -> SceneReport:
        self.model.described = 0
        return describe_scene(self.model, *self.paths, out=self.out, options=options, **more)


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
    assert {path.name for path in scene.out.iterdir()} == ALL == set(report.files)
    assert check(scene.out) == report.to_json()
    assert report.sentence.startswith("3 buildings (")
    assert report.sentence.endswith(
        "at 3 places. The largest, in the south-east, has 1 building (300 m²). The model says of it: "
        "<b>sentence</b> 1."
    )
    figures = report.figures
    assert (figures.known_pixels, figures.unknown_pixels) == (700 * 850, 700 * 50)
    assert figures.changed_pixels == 1000 + 1200 + 240
    building = figures.classes["building"]
    assert (building.objects, building.pixels) == (3, 2200)
    assert building.area_m2 == pytest.approx(550, rel=2e-3) and building.probability == pytest.approx(
        0.75, abs=3e-3
    )
    assert [place.where for place in report.places] == [
        "in the south-east",
        "in the north-west",
        "in the west",
    ]
    extent = report.places[1].extent
    assert (extent.top, extent.left, extent.height, extent.width) == (40, 40, 20, 70)
    assert scene.model.described == 3
    frame = geopandas.read_file(scene.out / "changes.gpkg")
    assert dict(zip(frame["class"] + frame["pixels"].astype(str), frame["sentence"], strict=True)) == {
        "building600": "<b>sentence</b> 2",
        "building400": "<b>sentence</b> 2",
        "building1200": "<b>sentence</b> 1",
        "road240": "<b>sentence</b> 3",
    }
    assert [(warning.kind, warning.number) for warning in report.warnings] == [("disagreement", 1)]
    assert report.notes[-1] == "a remark"


def test_every_file_holds_the_same_figures(scene: Scene) -> None:
    """An area that one file calls known and another does not, or two sums of one thing, would contradict."""
    report = scene.write()
    figures = report.figures
    with rasterio.open(scene.out / "mask.tif") as dataset:
        mask = dataset.read(1)
    assert figures.known_pixels == (mask != MASK_UNKNOWN).sum() and figures.unknown_pixels == 50 * 700
    assert figures.known_pixels + figures.unknown_pixels == report.grid.width * report.grid.height
    assert figures.changed_pixels == (mask > MASK_UNKNOWN).sum()
    assert figures.classes["building"].pixels == (mask == BUILDING).sum()
    assert figures.changed_share == figures.changed_pixels / figures.known_pixels
    area = figures.known_area_m2 / figures.known_pixels
    assert report.grid.pixel_size_m == pytest.approx((0.5, 0.5), rel=1e-3)
    assert figures.changed_area_m2 == pytest.approx(figures.changed_pixels * area, rel=1e-4)
    item = json.loads((scene.out / "scene.json").read_text())
    assert item["properties"]["semantic_cc:figures"] == report.to_json()["figures"]
    for suffix in ("gpkg", "fgb", "geojson", "parquet"):
        path = scene.out / f"changes.{suffix}"
        frame = geopandas.read_parquet(path) if suffix == "parquet" else geopandas.read_file(path)
        assert frame["area_m2"].sum() == pytest.approx(figures.changed_area_m2, abs=0.01)
    data = page_part(scene.out, "data")
    assert data["ground"] == f"{figures.known_area_m2 / 1e4:.3g} ha"
    assert sum(place["area"] for place in data["places"]) == pytest.approx(figures.changed_area_m2, abs=0.01)


def test_without_a_folder_there_is_a_report_and_no_file(scene: Scene) -> None:
    with_files = scene.write()
    before = {path: path.stat().st_mtime_ns for path in scene.folder.rglob("*")}
    scene.model.described = 0
    report = describe_scene(scene.model, *scene.paths)
    assert (report.files, report.folder) == ((), None)
    assert (report.sentence, report.figures) == (with_files.sentence, with_files.figures)
    assert report.places == with_files.places
    assert {path: path.stat().st_mtime_ns for path in scene.folder.rglob("*")} == before


def test_places_in_batches_get_what_they_get_one_by_one(scene: Scene) -> None:
    reports = [scene.write(SceneOptions(place_batch=batch), instruction="what?") for batch in (1, 2, 8)]
    assert reports[0].places == reports[1].places == reports[2].places
    assert [report.settings.place_batch for report in reports] == [1, 2, 8]
    assert reports[0].places[0].sentence == "<b>what?</b> 1"


def page_part(out: Path, name: str) -> dict:
    """A JSON part of report.html."""
    text = (out / "report.html").read_text(encoding="utf-8")
    return json.loads(
        re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', text, re.S)[1]
    )


def test_the_page_holds_everything_and_asks_the_network_for_nothing(scene: Scene) -> None:
    report = scene.write()
    text = (scene.out / "report.html").read_text(encoding="utf-8")
    data, source = page_part(scene.out, "data"), page_part(scene.out, "source")
    assert "<b>sentence</b>" not in text
    assert [place["sentence"] for place in data["places"]] == [f"<b>sentence</b> {n}" for n in (1, 2, 3)]
    assert [place["n"] for place in data["places"]] == [1, 2, 3]
    assert any(
        "the mask shows a change that the model's change flag denies" in line for line in data["warnings"]
    )
    assert "a remark" in data["notes"] and ["model", "stand-in"] in data["provenance"]
    assert any(text.endswith("after.tif (bands 1, 2, 3)") for _, text in data["provenance"])
    assert data["size"] == [report.grid.width, report.grid.height] and data["detail"] is None
    assert source["before"].startswith("data:image/jpeg") and source["mask"].startswith("data:image/png")
    assert "tiles" not in source  # the overview is at full resolution
    assert {name for name, _ in page_part(scene.out, "files")} == ALL - {"report.html"}
    assert (
        re.findall(r"(?:href|src)=|url\((?!images/|#)", re.sub(r"<script.*?</script>", "", text, flags=re.S))
        == []
    )
    assert "default-src 'none'" in text


def test_a_larger_scene_has_tiles_at_full_resolution(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_images, "OVERVIEW_SIDE", 450)
    scene.write()
    source, data = page_part(scene.out, "source"), page_part(scene.out, "data")
    width, height = data["size"]
    assert len(source["tiles"]) == -(-width // 256) * -(-height // 256)
    assert source["factor"] == 2 and "whole scene is here at full resolution" in data["detail"]
    assert all(uri.startswith("data:image/") for tile in source["tiles"].values() for uri in tile)


def test_a_page_of_a_huge_scene_has_the_tiles_of_its_largest_places(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_images, "OVERVIEW_SIDE", 450)
    monkeypatch.setattr(html_report, "MOST_TILES", 2)
    report = scene.write()
    tiles = page_part(scene.out, "source")["tiles"]
    first = report.places[0].extent
    assert len(tiles) == 2 and f"{first.left // 256}_{first.top // 256}" in tiles
    assert "of the scene, around its largest places" in page_part(scene.out, "data")["detail"]


def test_no_change_is_a_whole_report_too(tmp_path: Path) -> None:
    scene = Scene(tmp_path, changed=False)
    report = scene.write()
    assert check(scene.out)["sentence"] == report.sentence == "No change was found in 14.9 ha."
    assert {path.name for path in scene.out.iterdir()} == ALL
    assert report.places == () and scene.model.described == 0
    assert len(geopandas.read_file(scene.out / "changes.fgb")) == 0
    assert page_part(scene.out, "data")["places"] == []


def test_without_a_crs_all_is_in_pixels_and_geojson_is_left_out(tmp_path: Path) -> None:
    scene = Scene(tmp_path, None, None)
    scene.out.mkdir()
    (scene.out / "changes.geojson").write_text("of an earlier run")
    report = scene.write()
    assert {path.name for path in scene.out.iterdir()} == ALL - {"changes.geojson"}
    assert check(scene.out)["grid"]["bounds_wgs84"] is None
    assert report.sentence.startswith("3 buildings (2,200 pixels)")
    assert report.figures.known_area_m2 is None and report.figures.classes["road"].area_m2 is None
    assert report.warnings[-1].kind == "geojson"
    item = json.loads((scene.out / "scene.json").read_text())
    assert item["geometry"] is None and "bbox" not in item


def test_world_coordinates_without_a_crs_stay_in_the_rasters(tmp_path: Path) -> None:
    scene = Scene(tmp_path, HALF_METRE, None)
    scene.write()
    for name in ("mask.tif", "probability.tif"):
        with rasterio.open(scene.out / name) as file:
            assert (file.transform, file.crs) == (HALF_METRE, None)


def test_a_model_of_buildings_has_no_figures_of_roads(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene.model, "num_classes", 2, raising=False)
    predict = scene.model.predict_masks
    monkeypatch.setattr(
        scene.model, "predict_masks",
        lambda *images: ChangeMaps(predict(*images).class_probabilities[:, [0, 2]]),
    )  # fmt: skip
    assert list(scene.write().figures.classes) == ["building"]
    check(scene.out)


def test_only_the_formats_asked_for_are_there(scene: Scene) -> None:
    scene.write()
    report = scene.write(SceneOptions(formats=("gpkg",), regularise=True))
    assert {path.name for path in scene.out.glob("changes.*")} == {"changes.gpkg"}
    assert report.settings.regularise and check(scene.out)["files"].count("changes.gpkg") == 1
    assert geopandas.read_file(scene.out / "changes.gpkg")["pixels"].sum() == 2440


def test_the_same_scene_gives_the_same_bytes(scene: Scene) -> None:
    contents = []
    for name in ("one", "two"):
        scene.out = scene.folder / name
        scene.write()
        files = (path for path in scene.out.iterdir() if path.suffix != ".json")
        contents.append({path.name: path.read_bytes() for path in files})
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("dates", "times"),
    [
        (None, None),
        (("2021-05-03", "2024-06-11T12:00:00+02:00"), ("2021-05-03T00:00:00Z", "2024-06-11T10:00:00Z")),
        (("2024-06-11", "2021-05-03"), ("2021-05-03T00:00:00Z", "2024-06-11T00:00:00Z")),
    ],
)
def test_scene_json_is_valid_stac(
    scene: Scene, dates: tuple[str, str] | None, times: tuple[str, str] | None
) -> None:
    report = scene.write(dates=dates)
    item = json.loads((scene.out / "scene.json").read_text())
    properties = item["properties"]
    if times is None:
        assert properties["datetime"] == properties["created"] == report.created
    else:
        assert properties["datetime"] is None
        assert (properties["start_datetime"], properties["end_datetime"]) == times
    assert properties["proj:code"] == "EPSG:32614" and properties["proj:shape"] == [700, 900]
    assert item["bbox"] == list(report.grid.bounds_wgs84)
    assert {asset["href"] for asset in item["assets"].values()} == {
        f"./{name}" for name in ALL - {"scene.json"}
    }
    item["stac_extensions"] = []  # their schemas are on the network
    pystac.Item.from_dict(item).validate()


@pytest.mark.parametrize(
    ("prepare", "dates", "error", "message"),
    [
        (lambda out: None, ("2021:05:03", "2024"), InputError, "'2021:05:03' is not a date"),
        (
            lambda out: (out / "report.html").mkdir(parents=True),
            None,
            OutputError,
            r"report\.html: it is a directory",
        ),
    ],
)
def test_what_fails_publishes_nothing(
    scene: Scene, prepare: Callable[[Path], None], dates: Any, error: type[Exception], message: str
) -> None:
    prepare(scene.out)
    there = {path.name for path in scene.folder.rglob("*")}
    with pytest.raises(error, match=message):
        scene.write(dates=dates)
    left = {path.name for path in scene.folder.rglob("*") if ".scan" not in path.parts}
    assert left == there


@pytest.mark.parametrize("link", ["itself", "hard", "symbolic"])
def test_an_image_is_not_overwritten_whatever_its_name(scene: Scene, link: str) -> None:
    """Before any work: compared by identity, so that links count."""
    scene.out.mkdir()
    target = scene.out / "mask.tif"
    if link == "itself":
        scene.paths[0] = scene.paths[0].rename(target)
    else:
        (target.hardlink_to if link == "hard" else target.symlink_to)(scene.paths[0])
    content = target.read_bytes()
    with pytest.raises(OutputError, match=r"mask\.tif would overwrite this input"):
        scene.write()
    assert target.read_bytes() == content and {path.name for path in scene.out.iterdir()} == {"mask.tif"}


def test_a_file_within_a_vrt_is_not_overwritten_either(scene: Scene) -> None:
    from rasterio.shutil import copy

    scene.out.mkdir()
    source = scene.paths[1].rename(scene.out / "probability.tif")
    copy(source, scene.folder / "after.vrt", driver="VRT")
    scene.paths[1] = scene.folder / "after.vrt"
    with pytest.raises(OutputError, match=r"probability\.tif would overwrite this input"):
        scene.write()
    assert {path.name for path in scene.out.iterdir()} == {"probability.tif"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"formats": ("shp",)}, "unknown format 'shp'"),
        ({"tile": 32, "overlap": 32}, "windows of 32 pixels cannot overlap by 32"),
        ({"resolution": -1.0}, "resolution is -1"),
        ({"place_batch": 0}, "place_batch is 0"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SceneOptions(**options)

import json
import time
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS
from scene_arrays import HALF_METRE, UTM

from semantic_cc.errors import InputError, OutputError
from semantic_cc.scene.export_formats import FORMATS, check_formats
from semantic_cc.scene.geodesy import measure
from semantic_cc.scene.grid import Grid
from semantic_cc.scene.polygons import Polygons
from semantic_cc.scene.vector_export import can_hold, make_frame, write_frame
from semantic_cc.types import BUILDING, ROAD

GRID = Grid(400, 300, HALF_METRE, UTM)
COLUMNS = [
    "id", "class", "pixels", "area_m2", "perimeter_m", "probability", "xmin", "ymin", "xmax", "ymax", "place",
    "sentence", "geometry",
]  # fmt: skip


def frame_of(grid: Grid = GRID, empty: bool = False) -> geopandas.GeoDataFrame:
    """A building with a yard in place 2, and a road in place 1."""
    boxes = [shapely.box(10, 20, 50, 40) - shapely.box(20, 25, 30, 35), shapely.box(200, 200, 390, 206)]
    shapes = np.array([] if empty else boxes, object)
    classes = np.array([] if empty else [BUILDING, ROAD], np.uint8)
    polygons = Polygons(
        shapes,
        classes,
        shapely.area(shapes).astype(np.int64),
        *measure(shapes, grid),
        np.full(len(shapes), 0.87654),
    )
    home = np.array([] if empty else [1, 0], np.int64)
    return make_frame(polygons, shapes, home, ["a road, “wide”", "ein Häuschen"], grid)


def read(path: Path) -> geopandas.GeoDataFrame:
    return geopandas.read_parquet(path) if path.suffix == ".parquet" else geopandas.read_file(path)


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_back_what_was_put_in(suffix: str, tmp_path: Path) -> None:
    frame = frame_of()
    back = read(write_frame(frame, tmp_path, suffix)).sort_values("id")
    assert [path.name for path in tmp_path.iterdir()] == [f"changes.{suffix}"]
    assert set(back.columns) == set(COLUMNS)
    assert back["sentence"].tolist() == ["ein Häuschen", "a road, “wide”"]
    assert back["class"].tolist() == ["building", "road"]
    assert back["place"].tolist() == [2, 1]
    assert back["pixels"].tolist() == [700, 1140]
    np.testing.assert_allclose(back["area_m2"], [175, 285], rtol=2e-3)
    np.testing.assert_allclose(back["perimeter_m"], [80, 196], rtol=2e-3)
    assert back["probability"].tolist() == [0.8765, 0.8765]
    assert back.loc[back["id"] == 1, ["xmin", "ymin", "xmax", "ymax"]].to_numpy().tolist() == [
        [621_005, 3_349_980, 621_025, 3_349_990]
    ]
    there = back.to_crs(UTM.to_wkt()).geometry
    assert (there.hausdorff_distance(frame.geometry, align=False) < 0.02).all()  # a digit of GeoJSON is 1 cm


@pytest.mark.parametrize("suffix", FORMATS)
def test_no_polygons_make_a_valid_empty_file(suffix: str, tmp_path: Path) -> None:
    path = write_frame(frame_of(empty=True), tmp_path, suffix)
    back = read(path)
    assert len(back) == 0
    if suffix != "geojson":  # it has no columns without features
        assert list(back.columns) == COLUMNS
        assert back.crs.to_epsg() == 32614
    if suffix in ("gpkg", "fgb"):
        assert pyogrio.read_info(path)["geometry_type"] == "Polygon"


def test_geojson_keeps_the_standard(tmp_path: Path) -> None:
    text = json.loads(write_frame(frame_of(), tmp_path, "geojson").read_text())
    assert "crs" not in text and text["type"] == "FeatureCollection"
    for feature in text["features"]:
        outer, *holes = [np.array(ring) for ring in feature["geometry"]["coordinates"]]
        assert shapely.LinearRing(outer).is_ccw and not any(shapely.LinearRing(hole).is_ccw for hole in holes)
        np.testing.assert_allclose(feature["bbox"], [*outer.min(0), *outer.max(0)], atol=2e-7)
        assert np.all(np.abs(outer - (-97.74, 30.27)) < 0.01)


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_same_polygons_give_the_same_bytes(suffix: str, tmp_path: Path) -> None:
    """GeoPackage: at any time, and the user's own setting counts and stays."""
    contents = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        contents.append(write_frame(frame_of(), tmp_path / name, suffix).read_bytes())
        time.sleep(0.05 if suffix == "gpkg" else 0)  # the time in a GeoPackage has milliseconds
    assert contents[0] == contents[1]
    assert pyogrio.get_gdal_config_option("OGR_CURRENT_DATE") is None
    try:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "2020-02-02T00:00:00.000Z"})
        other = write_frame(frame_of(), tmp_path, suffix).read_bytes()
        assert (other == contents[0]) == (suffix != "gpkg")
        assert pyogrio.get_gdal_config_option("OGR_CURRENT_DATE") == "2020-02-02T00:00:00.000Z"
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def test_geojson_is_cut_at_the_antimeridian(tmp_path: Path) -> None:
    # 180 degrees east are 3,339,585 m here; the house reaches from 1 km before it to 3 km beyond
    grid = Grid(400, 300, Affine(100, 0, 3_337_585, 0, -100, 1_000_000), CRS.from_epsg(3832))
    path = write_frame(frame_of(grid), tmp_path, "geojson")
    first = json.loads(path.read_text())["features"][0]
    assert first["geometry"]["type"] == "MultiPolygon"
    assert first["bbox"][0] > 179 and first["bbox"][2] < -179


def test_without_a_crs_all_but_geojson_hold_pixels(tmp_path: Path) -> None:
    grid = Grid(400, 300, Affine.identity(), None)
    assert [suffix for suffix in FORMATS if not can_hold(suffix, grid)] == ["geojson"]
    for suffix in ("gpkg", "fgb", "parquet"):
        back = read(write_frame(frame_of(grid), tmp_path, suffix)).sort_values("id")
        assert back.total_bounds.tolist() == [10, 20, 390, 206]
        assert back["area_m2"].isna().all() and back["pixels"].tolist() == [700, 1140]


def test_unknown_formats_and_unwritable_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown format 'shp'; choose from geojson, gpkg, fgb, parquet"):
        check_formats(["gpkg", "shp"])
    with pytest.raises(OutputError, match=r"changes\.gpkg: cannot be written"):
        write_frame(frame_of(), tmp_path / "nowhere", "gpkg")


def test_a_geojson_that_ends_early_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = pyogrio.write_dataframe

    def on_a_full_disk(frame: geopandas.GeoDataFrame, path: Path, **options: object) -> None:
        write(frame, path, **options)
        path.write_bytes(path.read_bytes()[:700])

    monkeypatch.setattr(pyogrio, "write_dataframe", on_a_full_disk)
    with pytest.raises(OutputError, match=r"changes\.geojson: cannot be written"):
        write_frame(frame_of(), tmp_path, "geojson")

"""The synthetic scene: the same bytes again, on the map where it says, truth and footprints in agreement."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from pyproj import Geod
from rasterio.features import rasterize
from rasterio.warp import transform_geom
from rio_cogeo import cog_validate
from shapely.geometry import shape

from semantic_cc.errors import InputError, OutputError
from semantic_cc.scene.gdal_files import read_crs
from semantic_cc.scene.geodesy import ground_sampling
from semantic_cc.scene.synthetic_scene import FILES, place_grid, write_scene
from semantic_cc.types import BUILDING, LABEL_VALUES

UTM = read_crs("EPSG:32614")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2 x 2 blocks, the last ones cut."""
    out = tmp_path_factory.mktemp("scene") / "out"
    write_scene(out, 480, UTM, seed=5)
    return out


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read()


def test_files_are_cogs_on_one_grid_and_the_same_again(scene: Path, tmp_path: Path) -> None:
    assert sorted(path.name for path in scene.iterdir()) == sorted(FILES)
    for name in ("before.tif", "after.tif", "truth.tif"):
        assert cog_validate(scene / name) == (True, [], [])
        with rasterio.open(scene / name) as file:
            assert (file.shape, file.crs, file.res) == ((480, 480), UTM, (0.5, 0.5))
    assert set(np.unique(read(scene / "truth.tif"))) <= set(LABEL_VALUES)
    told: list[tuple[int, int]] = []
    write_scene(tmp_path / "again", 480, UTM, seed=5, progress=lambda *count: told.append(count))
    assert told[-1] == (8, 8)
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (scene / name).read_bytes()
    write_scene(tmp_path / "other", 480, UTM, seed=6)
    assert (tmp_path / "other" / "after.tif").read_bytes() != (scene / "after.tif").read_bytes()


def test_truth_is_the_changed_footprints(scene: Path) -> None:
    features = json.loads((scene / "footprints.geojson").read_text())["features"]
    kinds = {feature["properties"]["change"] for feature in features}
    assert kinds <= {"none", "new", "gone"} and kinds & {"new", "gone"}
    geod = Geod(ellps="WGS84")
    for feature in features:
        area = abs(geod.geometry_area_perimeter(shape(feature["geometry"]))[0])
        assert area == pytest.approx(feature["properties"]["area_m2"], rel=2e-3)
    changed = [feature["geometry"] for feature in features if feature["properties"]["change"] != "none"]
    with rasterio.open(scene / "truth.tif") as file:
        drawn = rasterize(
            [transform_geom("EPSG:4326", UTM, one) for one in changed], file.shape, transform=file.transform
        )
        buildings = file.read(1) == BUILDING
    both, either = (drawn.astype(bool) & buildings).sum(), (drawn.astype(bool) | buildings).sum()
    assert both / either > 0.9  # rasterised by two rules: edges differ


def test_streets_cover_the_borders_of_blocks(scene: Path) -> None:
    """Both halves of a street are one: alike on either side of the border, unlike the ground beside them."""
    for name in ("before.tif", "after.tif"):
        picture = np.median(read(scene / name)[:, 20:236].astype(float), axis=1)  # (3, columns), no cars
        left, right = picture[:, 250:254], picture[:, 258:262]
        assert np.abs(left.mean(axis=1) - right.mean(axis=1)).max() < 5
        assert np.ptp(picture[:, 250:254], axis=1).max() < 10


@pytest.mark.parametrize("crs", ["EPSG:32614", "EPSG:3857", "EPSG:4326", "EPSG:32733", "EPSG:2277"])
def test_a_pixel_measures_half_a_metre_in_any_system(crs: str) -> None:
    grid = place_grid(1000, read_crs(crs))
    assert ground_sampling(grid) == pytest.approx((0.5, 0.5), rel=2.1e-3)
    assert (grid.transform.b, grid.transform.d) == (0, 0) and grid.transform.e < 0


@pytest.mark.parametrize(("side", "seed"), [(15, 1), (40_000, 1), (64, -1)])
def test_numbers_out_of_range_are_refused(side: int, seed: int, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be made|must be 0 or more"):
        write_scene(tmp_path / "out", side, UTM, seed)
    assert not (tmp_path / "out").exists()


def test_a_full_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(OutputError, match="not an empty directory"):
        write_scene(tmp_path, 64, UTM, 1)
    with pytest.raises(InputError, match="not a projected or geographic coordinate reference system"):
        write_scene(tmp_path / "out", 64, read_crs("EPSG:5701"), 1)

from pathlib import Path

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from rasterio.crs import CRS
from rasterio.features import rasterize
from scene_arrays import HALF_METRE, UTM, save
from scipy import ndimage

from semantic_cc.errors import DataError
from semantic_cc.scene import polygons as module
from semantic_cc.scene.grid import Grid
from semantic_cc.scene.polygons import Polygons, find_polygons, regular_outlines
from semantic_cc.types import BUILDING, NONE, ROAD


def find(folder: Path, mask: np.ndarray, probability: np.ndarray | None = None, **place: object) -> Polygons:
    grid = grid_of(mask, **place)
    if probability is None:
        probability = np.ones(mask.shape, np.float32)
    return find_polygons(
        save(folder / "mask.tif", mask, grid), save(folder / "p.tif", probability, grid), grid
    )


def grid_of(mask: np.ndarray, transform: Affine = HALF_METRE, crs: CRS | None = UTM) -> Grid:
    return Grid(mask.shape[1], mask.shape[0], transform, crs)


@settings(max_examples=40, deadline=None)
@given(
    arrays.arrays(np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 24)),
                  elements=st.sampled_from([NONE, NONE, ROAD, BUILDING, BUILDING, 7])),
    st.integers(-179, 179),
)  # fmt: skip
def test_the_polygons_are_the_mask(
    tmp_path_factory: pytest.TempPathFactory, mask: np.ndarray, turn: int
) -> None:
    transform = Affine.translation(6e5, 4e6) * Affine.rotation(turn) * Affine.scale(0.5, -0.4)
    found = find(tmp_path_factory.mktemp("mask"), mask, transform=transform)
    assert shapely.is_valid(found.shapes).all()
    for value in (ROAD, BUILDING):
        chosen = found.shapes[found.classes == value]
        painted = (
            rasterize(chosen, out_shape=mask.shape, dtype="uint8") if len(chosen) else np.zeros_like(mask)
        )
        np.testing.assert_array_equal(painted > 0, mask == value)
        assert len(chosen) == ndimage.label(mask == value)[1]
    assert found.pixels.sum() == np.isin(mask, (ROAD, BUILDING)).sum()


@pytest.mark.parametrize(
    ("epsg", "transform", "pixel"),
    [
        (32614, Affine(0.5, 0, 500_000, 0, -0.5, 3_350_000), 0.25),
        # At 60 degrees north a metre of Mercator is half a metre, up to the ellipsoid's 0.3 %.
        (3857, Affine(1, 0, -11_000_000, 0, -1, 8_399_738), 0.25),
        (4326, Affine(1e-5, 0, -97.7, 0, -1e-5, 0.01), 1.11319 * 1.10574),
    ],
)
def test_the_areas_of_known_footprints_are_within_a_hundredth(
    tmp_path: Path, epsg: int, transform: Affine, pixel: float
) -> None:
    mask = np.zeros((400, 600), np.uint8)
    footprints = [(10, 10, 20, 30), (100, 50, 44, 16), (300, 500, 90, 95), (395, 595, 5, 5)]
    for top, left, height, width in footprints:
        mask[top : top + height, left : left + width] = BUILDING
    found = find(tmp_path, mask, transform=transform, crs=CRS.from_epsg(epsg))
    truth = np.array([height * width for *_, height, width in footprints]) * pixel
    assert len(found) == len(footprints)
    np.testing.assert_allclose(found.area_m2, truth, rtol=0.01)
    assert found.area_m2.sum() == pytest.approx(truth.sum(), rel=0.01)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_the_mean_probability_over_any_number_of_bands(
    tmp_path: Path, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BAND_PIXELS", 7 * 60)
    rng = np.random.default_rng(0)
    mask = np.where(rng.random((50, 60)) < 0.5, BUILDING, NONE).astype(np.uint8)
    mask[3:47, 20] = BUILDING  # one across all bands
    values = rng.integers(0, 256, mask.shape, dtype=np.uint8)
    known = values / np.float32(255)
    found = find(tmp_path, mask, values if dtype == "uint8" else known)
    labels, count = ndimage.label(mask)
    means = ndimage.mean(known, labels, range(1, count + 1))
    np.testing.assert_allclose(np.sort(found.probability), np.sort(means), rtol=1e-5)


def test_bytes_may_leave_their_last_value_to_the_unknown(tmp_path: Path) -> None:
    mask = np.zeros((40, 50), np.uint8)
    mask[10:20, 10:20], mask[30:, 30:] = BUILDING, ROAD
    values = np.full(mask.shape, 127, np.uint8)
    values[10:20, 10:15] = values[30:, 30:] = 255
    grid = grid_of(mask)
    path = save(tmp_path / "p.tif", values, grid, nodata=255)
    found = find_polygons(save(tmp_path / "mask.tif", mask, grid), path, grid)
    np.testing.assert_array_equal(found.probability, [0.5, np.nan])


def test_no_change_and_no_crs(tmp_path: Path) -> None:
    mask = np.zeros((40, 50), np.uint8)
    assert len(find(tmp_path, mask)) == 0
    assert len(regular_outlines(find(tmp_path, mask), grid_of(mask))) == 0
    mask[10:20, 10:20] = ROAD
    found = find(tmp_path, mask, crs=None, transform=Affine.identity())
    assert found.pixels.tolist() == [100]
    assert np.isnan(found.area_m2).all() and np.isnan(found.perimeter_m).all()


def test_a_raster_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    mask = np.zeros((40, 50), np.uint8)
    grid = grid_of(mask)
    path = save(tmp_path / "mask.tif", mask, grid)
    with pytest.raises(DataError, match=r"mask\.tif: is 50x40 pixels, the scene 40x50"):
        find_polygons(path, path, Grid(40, 50, grid.transform, grid.crs))
    whole = path.read_bytes()
    for length in (100, len(whole) - 500):  # a header alone, and one that lacks its last rows
        (tmp_path / "broken.tif").write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"broken\.tif: cannot be read"):
            find_polygons(tmp_path / "broken.tif", path, grid)


def test_a_turned_house_becomes_a_rectangle_of_its_area_and_an_angle_stays_one(tmp_path: Path) -> None:
    mask = np.zeros((200, 300), np.uint8)
    house = shapely.affinity.rotate(shapely.box(30, 40, 70, 64), 27)
    angle = shapely.box(150, 50, 220, 120) - shapely.box(180, 50, 220, 90)
    rasterize([(house, BUILDING), (angle, BUILDING)], out=mask)
    mask[150:154, 5:290], mask[154:158, 100:280] = ROAD, ROAD
    found = find(tmp_path, mask)
    outlines = regular_outlines(found, grid_of(mask))
    one, other, road = outlines
    assert len(one.exterior.coords) == 5
    assert one.area == pytest.approx(found.shapes[0].area)
    assert one.intersection(house).area / one.union(house).area > 0.9
    corners = np.diff(np.array(one.exterior.coords), axis=0)
    assert abs(corners[0] @ corners[1]) < 1e-2 * house.area
    assert other.equals(angle)
    assert road.equals(found.shapes[2])


def test_a_right_angle_is_one_on_the_ground_not_in_degrees(tmp_path: Path) -> None:
    # At 60 degrees a pixel of equal degrees is half as wide as high: a square house is twice as wide in pixels.
    transform = Affine(1e-5, 0, 10, 0, -1e-5, 60)
    stretched = shapely.affinity.rotate(shapely.box(-20, -20, 20, 20), 45)
    house = shapely.affinity.translate(shapely.affinity.scale(stretched, 2, 1, origin=(0, 0)), 100, 60)
    mask = rasterize([(house, BUILDING)], out_shape=(120, 200), dtype="uint8")
    place = {"transform": transform, "crs": CRS.from_epsg(4326)}
    (outline,) = regular_outlines(find(tmp_path, mask, **place), grid_of(mask, **place))
    assert len(outline.exterior.coords) == 5
    assert outline.intersection(house).area / outline.union(house).area > 0.9

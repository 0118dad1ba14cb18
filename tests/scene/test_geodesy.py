import math

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from scene_arrays import HALF_METRE, UTM

from semantic_cc.scene.geodesy import (
    footprint,
    measure,
    metres_per_pixel,
    on_earth,
    outline_of,
    to_lonlat,
    to_map,
    whole_of,
)
from semantic_cc.scene.grid import Grid, Window


def grid_of(transform: Affine, crs: CRS | None, size: int = 1000) -> Grid:
    return Grid(size, size, transform, crs)


@given(
    st.floats(0.05, 100), st.floats(0.05, 100), st.floats(-180, 180), st.floats(-40, 40),
    st.floats(-2e7, 2e7), st.floats(-2e7, 2e7), st.booleans(),
)  # fmt: skip
def test_pixel_to_map_to_pixel_is_the_identity(
    dx: float, dy: float, angle: float, shear: float, x: float, y: float, mirrored: bool
) -> None:
    transform = (
        Affine.translation(x, y) * Affine.rotation(angle) * Affine.shear(shear)
        * Affine.scale(dx, dy if mirrored else -dy)
    )  # fmt: skip
    shape = shapely.Polygon(
        [(0, 0), (10_000, 0), (10_000, 7), (9_000, 10_000)], [[(9e3, 2), (9.5e3, 2), (9e3, 9)]]
    )
    grid = Grid(10_000, 10_000, transform, UTM)
    there = to_map(np.array([shape]), grid)
    np.testing.assert_allclose(
        shapely.get_coordinates(there), [transform @ tuple(point) for point in shapely.get_coordinates(shape)]
    )


@pytest.mark.parametrize("turn", [0, 33, 90, 180])
def test_an_area_is_that_of_the_ground_whatever_the_projection(turn: int) -> None:
    square = np.array([shapely.box(400, 300, 600, 500)])
    hole = np.array([square[0] - shapely.box(450, 350, 550, 450)])
    place = Affine.translation(6e5, 3.3e6) * Affine.rotation(turn) * Affine.scale(0.5, -0.5)
    area, perimeter = measure(np.concatenate([square, hole]), grid_of(place, UTM))
    np.testing.assert_allclose(area, [10_000, 7_500], rtol=2e-3)  # UTM's scale is 0.9996 to 1.001
    np.testing.assert_allclose(perimeter, [400, 600], rtol=1e-3)


def test_web_mercator_and_degrees_are_no_metres() -> None:
    square = np.array([shapely.box(0, 0, 100, 100)])
    latitude = 60.0
    north = 6378137 * math.log(math.tan(math.pi / 4 + math.radians(latitude) / 2))
    mercator, _ = measure(square, grid_of(Affine(1, 0, 0, 0, -1, north), CRS.from_epsg(3857)))
    assert mercator[0] == pytest.approx(10_000 / 4, rel=6e-3)  # 1 / cos(60 degrees) squared
    step = 1e-5
    degrees, _ = measure(square, grid_of(Affine(step, 0, 10, 0, -step, latitude), CRS.from_epsg(4326)))
    metres = math.radians(step) * 6_378_137 * 100
    assert degrees[0] == pytest.approx(metres * metres / 2, rel=6e-3)


def test_feet_and_grads_become_metres() -> None:
    square = np.array([shapely.box(0, 0, 100, 100)])
    feet, _ = measure(square, grid_of(Affine(1, 0, 3.1e6, 0, -1, 1.0e7), CRS.from_epsg(2277)))
    assert feet[0] == pytest.approx(10_000 * 0.3048006**2, rel=2e-3)
    grads, _ = measure(square, grid_of(Affine(1, 0, 6e5, 0, -1, 2.4e6), CRS.from_epsg(27572)))
    assert grads[0] == pytest.approx(10_000, rel=2e-3)


@pytest.mark.parametrize("crs", [None, CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]')])
def test_without_a_place_on_earth_there_are_no_metres(crs: CRS | None) -> None:
    grid = grid_of(Affine.identity(), crs)
    assert not on_earth(grid)
    assert np.isnan(measure(np.array([shapely.box(0, 0, 1, 1)]), grid)).all()
    np.testing.assert_array_equal(metres_per_pixel(grid), [[1, 0], [0, -1]])


def test_nothing_measures_nothing() -> None:
    grid = grid_of(Affine(0.5, 0, 6e5, 0, -0.5, 4e6), UTM)
    assert measure(np.array([shapely.Polygon()]), grid) == (0, 0)
    assert [len(part) for part in measure(np.array([], object), grid)] == [0, 0]


def test_metres_per_pixel_at_the_centre() -> None:
    grid = grid_of(Affine(0.5, 0, 5e5, 0, -0.5, 4e6), UTM)  # near the central meridian north is up
    np.testing.assert_allclose(metres_per_pixel(grid), [[0.5, 0], [0, -0.5]], atol=1e-3)
    turned = grid_of(Affine(0, 0.5, 5e5, 0.5, 0, 4e6), UTM)
    np.testing.assert_allclose(metres_per_pixel(turned), [[0, 0.5], [0.5, 0]], atol=1e-3)


def test_long_edges_follow_the_map() -> None:
    window = outline_of(Window(0, 0, 100, 5000))
    grid = grid_of(Affine(1, 0, 0, 0, -1, 8e6), CRS.from_epsg(3857), 5000)
    corners = shapely.get_coordinates(to_lonlat(np.array([window]), grid)[0])
    upper = corners[np.isclose(corners[:, 1], corners[:, 1].max(), atol=1e-12)]
    assert len(upper) > 15  # a parallel, by many short steps


def test_a_footprint_across_the_antimeridian_is_cut_there() -> None:
    grid = grid_of(Affine(100, 0, 3_337_585, 0, -100, 1_000_000), CRS.from_epsg(3832), 100)  # 180 is 2 km in
    shape, (west, south, east, north) = footprint(whole_of(grid), grid)
    assert west == pytest.approx(179.982, abs=1e-3) and east == pytest.approx(-179.928, abs=1e-3)
    assert south < north
    assert shape.geom_type == "MultiPolygon" and shape.is_valid
    assert shape.bounds[0] == -180 and shape.bounds[2] == 180
    for first in (179.999, -180.001):  # degrees that go on beyond the antimeridian
        grid = grid_of(Affine(5e-6, 0, first, 0, -5e-6, 10), CRS.from_epsg(4326), 400)
        shape, (west, _, east, _) = footprint(whole_of(grid), grid)
        assert (west, east) == (179.999, -179.999)
        assert shape.geom_type == "MultiPolygon" and np.abs(shape.bounds).max() <= 180
    plain, bounds = footprint(whole_of(grid_of(HALF_METRE, UTM)), grid_of(HALF_METRE, UTM))
    np.testing.assert_allclose(plain.bounds, bounds, atol=1e-7)


@pytest.mark.parametrize(("system", "pole"), [("EPSG:3413", 90), ("EPSG:3031", -90)])
@pytest.mark.parametrize("x", [-80, -80.3, -160, -1, -159.7])
def test_outlines_at_a_pole_are_valid(x: float, system: str, pole: int) -> None:
    grid = Grid(320, 320, Affine(0.5, 0, x, 0, -0.5, 80), CRS.from_user_input(system))
    for window in (whole_of(grid), Window(0, 0, 100, 100), Window(100, 100, 60, 60), Window(140, 0, 40, 320)):
        shape, (west, south, east, north) = footprint(window, grid)
        assert shape.is_valid and not shape.is_empty
        assert shape.bounds[0] >= -180 and shape.bounds[2] <= 180
        column, row = ~grid.transform @ (0, 0)
        if (
            window.left < column < window.left + window.width
            and window.top < row < window.top + window.height
        ):
            assert (west, east) == (-180, 180) and pole in (south, north)
    area, _ = measure(np.array([outline_of(whole_of(grid))]), grid)
    assert area[0] == pytest.approx(160 * 160, rel=0.07)  # true size lies at 70 degrees

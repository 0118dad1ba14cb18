import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from scene_arrays import HALF_METRE, UTM, ArrayPair, said

from semantic_cc.scene.geodesy import measure
from semantic_cc.scene.grid import Grid
from semantic_cc.scene.places import SIDE, class_figures, describe_places, find_regions
from semantic_cc.scene.polygons import Polygons
from semantic_cc.types import BUILDING, ROAD, ChangeDescription

GRID = Grid(2000, 1500, HALF_METRE, UTM)
NAMES = ("building", "road")
Box = tuple[int, int, int, int]  # left, top, width, height


def polygons_of(buildings: list[Box], roads: list[Box] = (), grid: Grid = GRID) -> Polygons:
    boxes = [*buildings, *roads]
    shapes = np.empty(len(boxes), object)
    shapes[:] = [shapely.box(left, top, left + width, top + height) for left, top, width, height in boxes]
    classes = np.array([BUILDING] * len(buildings) + [ROAD] * len(roads), np.uint8)
    pixels = shapely.area(shapes).astype(np.int64)
    return Polygons(shapes, classes, pixels, *measure(shapes, grid), np.ones(len(boxes)))


def test_neighbours_are_one_place_and_strangers_are_two() -> None:
    polygons = polygons_of([(100, 100, 30, 20), (150, 100, 30, 20), (900, 700, 40, 40)], [(100, 140, 90, 6)])
    regions, home = find_regions(polygons, GRID)
    assert len(regions) == 2
    assert home.tolist() == [0, 0, 1, 0]
    first, second = regions
    assert (first.window.width, first.window.height) == (SIDE, SIDE)
    assert (first.window.left, first.window.top) == (145 - 128, 0)  # pushed in at the upper edge
    assert {name: (tally.objects, tally.pixels) for name, tally in first.classes.items()} == {
        "building": (2, 1200),
        "road": (1, 540),
    }
    assert second.classes["building"].area_m2 == pytest.approx(400, rel=2e-3)


def test_far_clusters_that_fit_into_one_window_share_it() -> None:
    regions, home = find_regions(
        polygons_of([(500, 500, 20, 20), (500, 660, 20, 20), (500, 900, 20, 20)]), GRID
    )
    assert home.tolist() == [0, 0, 1]
    assert [region.pixels for region in regions] == [800, 400]


def test_a_long_road_is_cut_into_places_and_belongs_to_one() -> None:
    polygons = polygons_of([(1000, 480, 30, 15)], [(10, 500, 1900, 8)])
    regions, home = find_regions(polygons, GRID)
    assert len(regions) == 16  # 1900 halved four times is the first that fits into 192
    assert sum(region.pixels for region in regions) == polygons.pixels.sum()
    total = sum(tally.area_m2 for region in regions for tally in region.classes.values())
    assert total == pytest.approx(polygons.area_m2.sum(), rel=1e-6)
    assert all(region.classes["road"].objects == 1 for region in regions)
    assert "building" in regions[home[0]].classes


@settings(max_examples=60, deadline=None)
@given(st.lists(
    st.tuples(st.integers(0, 1990), st.integers(0, 1490), st.integers(1, 700), st.integers(1, 400)),
    max_size=25,
))  # fmt: skip
def test_windows_lie_in_the_scene_show_all_change_with_context_and_count_it_once(boxes: list[Box]) -> None:
    inside = [(x, y, min(w, 2000 - x), min(h, 1500 - y)) for x, y, w, h in boxes]
    disjoint: list[Box] = []
    for x, y, w, h in inside:
        if all(x + w < a or a + c < x or y + h < b or b + d < y for a, b, c, d in disjoint):
            disjoint.append((x, y, w, h))
    polygons = polygons_of(disjoint)
    regions, home = find_regions(polygons, GRID)
    assert sum(region.pixels for region in regions) == polygons.pixels.sum()
    assert [region.pixels for region in regions] == sorted((r.pixels for r in regions), reverse=True)
    seen = np.zeros((GRID.height, GRID.width), bool)
    for region in regions:
        window = region.window
        assert (window.width, window.height) == (SIDE, SIDE)
        assert 0 <= window.left <= GRID.width - SIDE and 0 <= window.top <= GRID.height - SIDE
        seen[window.top : window.top + SIDE, window.left : window.left + SIDE] = True
    for index, (x, y, w, h) in enumerate(disjoint):
        assert seen[y : y + h, x : x + w].all()
        assert 0 <= home[index] < len(regions)


def test_a_scene_below_the_models_least_size_is_read_beyond_its_edge() -> None:
    grid = Grid(300, 9, HALF_METRE, UTM)
    (region,), _ = find_regions(polygons_of([(250, 2, 20, 5)], grid=grid), grid)
    assert (region.window.left, region.window.top) == (44, 0)
    assert (region.window.width, region.window.height) == (SIDE, 16)


def test_no_change_has_no_places() -> None:
    regions, home = find_regions(polygons_of([]), GRID)
    assert regions == [] and len(home) == 0
    tallies = class_figures(polygons_of([]), GRID, NAMES)
    assert {name: (tally.objects, tally.area_m2) for name, tally in tallies.items()} == {
        "building": (0, 0),
        "road": (0, 0),
    }


def test_without_a_crs_areas_are_not_known() -> None:
    grid = Grid(2000, 1500, Affine.identity(), None)
    tallies = class_figures(polygons_of([(0, 0, 5, 5)], grid=grid), grid, NAMES)
    assert [stats.area_m2 for stats in tallies.values()] == [None, None]


def test_the_model_sees_each_window_with_the_unknown_black_in_both() -> None:
    rng = np.random.default_rng(0)
    before, after = rng.integers(1, 255, (2, 1500, 2000, 3), dtype=np.uint8)
    known = np.ones((1500, 2000), bool)
    known[:20] = False
    asked: list[tuple[np.ndarray, np.ndarray]] = []

    def describe(before: np.ndarray, after: np.ndarray) -> list[ChangeDescription]:
        asked.append((before, after))
        return [said(f"sentence {before[n].sum()}", changed=n == 0) for n in range(len(before))]

    boxes = [(100, 40, 60, 60), (1500, 1000, 9, 9), (1500, 100, 5, 5)]
    regions, _ = find_regions(polygons_of(boxes), GRID)
    pair = ArrayPair(GRID, before, after, known)
    batches = {}
    ticks: list[tuple[int, int]] = []
    for batch in (1, 2):
        batches[batch] = describe_places(regions, pair, describe, batch, lambda *count: ticks.append(count))
    assert ticks == [(1, 3), (2, 3), (3, 3), (2, 3), (3, 3)]
    assert [len(images) for images, _ in asked] == [1, 1, 1, 2, 1]
    assert [place.sentence for place in batches[1]] == [place.sentence for place in batches[2]]
    assert [place.number for place in batches[2]] == [1, 2, 3]
    assert [place.changed for place in batches[2]] == [True, False, True]
    for image, seen in zip((before, after), asked[0], strict=True):
        assert not seen[0, :20].any()
        np.testing.assert_array_equal(seen[0, 20:], image[20:256, 2:258])


def test_a_class_that_the_model_does_not_know_has_no_figures() -> None:
    figures = class_figures(polygons_of([(0, 0, 5, 5)]), GRID, ["building"])
    assert figures.keys() == {"building"} and figures["building"].probability == 1

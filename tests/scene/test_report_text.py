import math

import pytest
from affine import Affine
from scene_arrays import HALF_METRE, UTM

from semantic_cc.scene.grid import Grid, Window
from semantic_cc.scene.places import Place, Tally
from semantic_cc.scene.report_text import area_text, changes_text, count_text, scene_sentence, where_text

GRID = Grid(1000, 1000, HALF_METRE, UTM)
NONE = Tally(0, 0, 0.0)


def place(number: int, window: Window, sentence: str = "a house is built", **tallies: Tally) -> Place:
    return Place(window, window, tallies, number, sentence, True, None)


@pytest.mark.parametrize(
    ("area", "text"),
    [
        (0, "0 m²"), (0.0412, "0.0412 m²"), (12.44, "12.4 m²"), (1234, "1,230 m²"), (9994, "9,990 m²"),
        (9996, "1 ha"), (51_234, "5.12 ha"), (999_600, "1 km²"), (2.349e6, "2.35 km²"), (1.5e10, "15,000 km²"),
    ],
)  # fmt: skip
def test_areas_have_sensible_units(area: float, text: str) -> None:
    assert area_text(area, 7) == text


def test_without_a_place_on_earth_areas_are_pixels() -> None:
    assert area_text(math.nan, 1) == "1 pixel"
    assert area_text(math.nan, 12_345) == "12,345 pixels"


def test_counts_agree_with_their_nouns() -> None:
    counts = [count_text(name, count) for name in ("building", "road") for count in (1, 2, 1200)]
    assert counts == [
        "1 building", "2 buildings", "1,200 buildings",
        "1 stretch of road", "2 stretches of road", "1,200 stretches of road",
    ]  # fmt: skip
    assert changes_text({"building": Tally(2, 9, 340.0), "road": NONE}) == "2 buildings (340 m²)"


@pytest.mark.parametrize(
    ("left", "top", "text"),
    [
        (450, 450, "in the middle"), (450, 0, "in the north"), (900, 0, "in the north-east"),
        (900, 450, "in the east"), (900, 900, "in the south-east"), (0, 480, "in the west"),
    ],
)  # fmt: skip
def test_whereabouts_by_the_compass(left: int, top: int, text: str) -> None:
    assert where_text(Window(top, left, 100, 100), GRID) == text


def test_whereabouts_follow_a_turned_grid_and_else_the_picture() -> None:
    corner = Window(0, 900, 100, 100)
    turned = Affine.translation(621_000, 3_350_000) * Affine.rotation(-90) * Affine.scale(0.5, -0.5)
    assert where_text(corner, Grid(1000, 1000, turned, UTM)) == "in the south-east"
    assert where_text(corner, Grid(1000, 1000, Affine.identity(), None)) == "at the top right"


def test_the_scene_sentence_tells_measured_numbers_and_quotes_the_model() -> None:
    tallies = {"building": Tally(12, 13_600, 3400.0), "road": Tally(1, 32_000, 8000.0)}
    places = [
        place(1, Window(0, 740, 256, 256), "seven hundred houses are built", building=Tally(8, 8400, 2100.0)),
        place(2, Window(500, 0, 256, 256), building=Tally(4, 5200, 1300.0), road=Tally(1, 32_000, 8000.0)),
    ]
    assert scene_sentence(tallies, places, GRID, 250_000.0, 1_000_000) == (
        "12 buildings (3,400 m²) and 1 stretch of road (8,000 m²) changed in 25 ha, at 2 places. The largest, "
        "in the north-east, has 8 buildings (2,100 m²). The model says of it: seven hundred houses are built."
    )
    assert scene_sentence({"building": Tally(1, 9, 2.25), "road": NONE}, places[:1], GRID, 2.5e5, 10**6) == (
        "1 building (2.25 m²) changed in 25 ha, at one place in the north-east. The model says of it: seven "
        "hundred houses are built."
    )


def test_the_scene_sentence_without_change_crs_or_words() -> None:
    nothing = {"building": NONE, "road": NONE}
    assert scene_sentence(nothing, [], GRID, 250_000.0, 10**6) == "No change was found in 25 ha."
    flat = Grid(1000, 1000, Affine.identity(), None)
    tallies = {"building": Tally(1, 9, math.nan), "road": Tally(0, 0, math.nan)}
    assert (
        scene_sentence(tallies, [place(1, Window(400, 400, 200, 200), "")], flat, math.nan, 10**6)
        == "1 building (9 pixels) changed in an image of 1,000,000 pixels, at one place in the middle."
    )

import pytest
from affine import Affine
from scene_arrays import HALF_METRE, UTM

from semantic_cc.scene.grid import Grid, Window
from semantic_cc.scene.report_text import area_text, changes_text, count_text, scene_sentence, where_text
from semantic_cc.scene.scene_report import ClassStats, Place

GRID = Grid(1000, 1000, HALF_METRE, UTM)
NONE = ClassStats(0, 0, 0.0)


def place(number: int, window: Window, sentence: str = "a house is built", **classes: ClassStats) -> Place:
    where = where_text(window, GRID)
    return Place(number, sentence, True, None, where, window, window, None, classes)


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
    assert area_text(None, 1) == "1 pixel"
    assert area_text(None, 12_345) == "12,345 pixels"


def test_counts_agree_with_their_nouns() -> None:
    counts = [count_text(name, count) for name in ("building", "road") for count in (1, 2, 1200)]
    assert counts == [
        "1 building", "2 buildings", "1,200 buildings",
        "1 stretch of road", "2 stretches of road", "1,200 stretches of road",
    ]  # fmt: skip
    assert changes_text({"building": ClassStats(2, 9, 340.0), "road": NONE}) == "2 buildings (340 m²)"


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
    classes = {"building": ClassStats(12, 13_600, 3400.0), "road": ClassStats(1, 32_000, 8000.0)}
    places = [
        place(
            1,
            Window(0, 740, 256, 256),
            "seven hundred houses are built",
            building=ClassStats(8, 8400, 2100.0),
        ),
        place(
            2,
            Window(500, 0, 256, 256),
            building=ClassStats(4, 5200, 1300.0),
            road=ClassStats(1, 32_000, 8000.0),
        ),
    ]
    assert scene_sentence(classes, places, 250_000.0, 1_000_000) == (
        "12 buildings (3,400 m²) and 1 stretch of road (8,000 m²) changed in 25 ha, at 2 places. The largest, "
        "in the north-east, has 8 buildings (2,100 m²). The model says of it: seven hundred houses are built."
    )
    assert scene_sentence({"building": ClassStats(1, 9, 2.25), "road": NONE}, places[:1], 2.5e5, 10**6) == (
        "1 building (2.25 m²) changed in 25 ha, at one place in the north-east. The model says of it: seven "
        "hundred houses are built."
    )


def test_the_scene_sentence_without_change_crs_or_words() -> None:
    nothing = {"building": NONE, "road": NONE}
    assert scene_sentence(nothing, [], 250_000.0, 10**6) == "No change was found in 25 ha."
    classes = {"building": ClassStats(1, 9, None), "road": ClassStats(0, 0, None)}
    assert (
        scene_sentence(classes, [place(1, Window(400, 400, 200, 200), "")], None, 10**6)
        == "1 building (9 pixels) changed in an image of 1,000,000 pixels, at one place in the middle."
    )

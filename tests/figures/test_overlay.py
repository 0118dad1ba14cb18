import numpy as np
import pytest
from PIL import Image, ImageFont

from semantic_cc.figures.colours import CLASS_COLOURS, heat_colours
from semantic_cc.figures.overlay import PANEL, draw_heatmap, draw_overlay, paint_mask, wrap
from semantic_cc.types import BUILDING, NONE, ROAD, ChangeDescription, ModelIdentity


def description(
    height: int, width: int, mask: np.ndarray | None, sentence: str = "a house"
) -> ChangeDescription:
    return ChangeDescription(
        sentence=sentence,
        sentences={},
        changed=True,
        change_probability=None,
        mask=mask,
        probability=None if mask is None else (mask > 0).astype(np.float32),
        heatmap=np.zeros((height, width), np.float32),
        model=ModelIdentity("m", "d"),
        classes={} if mask is None else {ROAD: "road", BUILDING: "building"},
    )


def test_heat_grows_lighter_all_the_way() -> None:
    colours = heat_colours(np.linspace(0, 1, 101)[None])  # (1, 101, 3)
    lightness = colours @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(lightness[0]) > 0).all()
    assert colours.min() >= 0
    assert colours.max() <= 255


def test_paint_changes_the_masked_pixels_alone() -> None:
    grey = Image.new("RGB", (40, 30), (90, 90, 90))
    mask = np.zeros((30, 40), np.uint8)
    mask[5:20, 5:15], mask[5:20, 25:35] = ROAD, BUILDING
    painted = np.asarray(paint_mask(grey, mask))
    np.testing.assert_array_equal((painted != 90).any(axis=-1), mask != NONE)
    for value, left in ((ROAD, 5), (BUILDING, 25)):
        assert tuple(painted[5, left]) == CLASS_COLOURS[value]  # the outline
        inside = painted[12, left + 5].astype(int)
        assert tuple(inside) != CLASS_COLOURS[value]
        assert (np.sign(inside - 90) == np.sign(np.array(CLASS_COLOURS[value]) - 90)).all()


@pytest.mark.parametrize(("height", "width"), [(16, 16), (256, 256), (40, 700), (900, 300)])
def test_overlay_holds_two_panels_of_any_size(height: int, width: int) -> None:
    image = np.full((height, width, 3), 80, np.uint8)
    overlay = draw_overlay(description(height, width, np.zeros((height, width), np.uint8)), image, image)
    factor = PANEL / max(height, width)
    assert overlay.mode == "RGB"
    assert overlay.width > 2 * round(width * factor)
    assert overlay.height > round(height * factor)


def test_a_longer_sentence_makes_the_overlay_higher() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    heights = [
        draw_overlay(description(64, 64, None, "word " * count), image, image).height for count in (1, 100)
    ]
    assert heights[0] < heights[1]


def test_the_later_panel_shows_the_change() -> None:
    image = np.full((64, 64, 3), 80, np.uint8)
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 16:48] = BUILDING
    plain = np.asarray(draw_overlay(description(64, 64, np.zeros_like(mask)), image, image)).astype(int)
    changed = np.asarray(draw_overlay(description(64, 64, mask), image, image)).astype(int)
    rows, columns = np.nonzero(np.abs(changed - plain).sum(axis=-1)[:540])  # above the legend
    assert columns.min() > plain.shape[1] // 2
    assert rows.size > 50_000


def test_heatmap_keeps_the_size_and_glows_where_it_is_hot() -> None:
    heat = np.zeros((20, 30), np.float32)
    heat[:, 15:] = 1
    picture = np.asarray(draw_heatmap(heat, np.full((20, 30, 3), 100, np.uint8))).astype(int)
    assert picture.shape == (20, 30, 3)
    assert picture[0, 29].sum() > picture[0, 0].sum()


def test_wrap_breaks_between_words_and_loses_none() -> None:
    font = ImageFont.load_default(20)
    text = "many houses are built on both sides of the road " * 3
    lines = wrap(text, font, 200)
    assert " ".join(lines) == text.strip()
    assert all(font.getlength(line) <= 200 for line in lines)
    assert wrap("", font, 200) == [""]
    assert wrap("unbreakable" * 9, font, 50) == ["unbreakable" * 9]

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scene_arrays import HALF_METRE, UTM, ArrayPair, save

from semantic_cc.figures.colours import CLASS_COLOURS
from semantic_cc.scene import report_images
from semantic_cc.scene.grid import Grid, Window
from semantic_cc.scene.report_images import UNKNOWN, jpeg, make_overview, mask_png, read_crop
from semantic_cc.types import BUILDING, ROAD


@pytest.fixture
def scene(tmp_path: Path) -> tuple[ArrayPair, Path]:
    """130 x 75 pixels, unknown in the first ten columns, one changed pixel and a road."""
    rng = np.random.default_rng(0)
    before, after = rng.integers(0, 256, (2, 75, 130, 3), dtype=np.uint8)
    known = np.ones((75, 130), bool)
    known[:, :10] = False
    mask = np.zeros((75, 130), np.uint8)
    mask[74, 129], mask[20:30, 40:90], mask[0, 0] = BUILDING, ROAD, 7
    grid = Grid(130, 75, HALF_METRE, UTM)
    return ArrayPair(grid, before, after, known), save(tmp_path / "mask.tif", mask, grid)


@pytest.mark.parametrize("block", [1024, 17])
def test_the_overview_is_the_mean_and_loses_no_change(
    scene: tuple[ArrayPair, Path], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_images, "OVERVIEW_SIDE", 30)
    monkeypatch.setattr(report_images, "BLOCK", block)
    pair, mask = scene
    overview = make_overview(pair, mask)
    assert overview.factor == 5 and overview.before.shape == (15, 26, 3)
    assert (overview.after[:, :2] == UNKNOWN).all()
    mean = pair.before[10:15, 20:25].mean(axis=(0, 1))
    np.testing.assert_allclose(overview.before[2, 4], mean, atol=0.51)
    assert overview.mask[14, 25] == BUILDING
    assert (overview.mask[4:6, 8:18] == ROAD).all() and (overview.mask > 0).sum() == 21


def test_a_small_scene_is_shown_pixel_for_pixel(scene: tuple[ArrayPair, Path]) -> None:
    pair, mask = scene
    overview = make_overview(pair, mask)
    assert overview.factor == 1
    np.testing.assert_array_equal(overview.after[:, 10:], pair.after[:, 10:])


def test_a_crop_reaches_over_the_edge(scene: tuple[ArrayPair, Path]) -> None:
    pair, mask = scene
    crop = read_crop(pair, mask, Window(70, 120, 16, 16))
    assert crop.before.shape == (16, 16, 3)
    np.testing.assert_array_equal(crop.before[:5, :10], pair.before[70:, 120:])
    assert (crop.before[5:] == UNKNOWN).all() and crop.mask[4, 9] == BUILDING and crop.mask.sum() == BUILDING


def test_the_mask_is_clear_where_nothing_changed_and_edged_where_something_did() -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[5:15, 5:15], mask[5:15, 20:28] = BUILDING, ROAD
    with Image.open(io.BytesIO(mask_png(mask))) as picture:
        rgba = np.asarray(picture.convert("RGBA"))
    np.testing.assert_array_equal(rgba[..., 3] > 0, mask > 0)
    for value, left in ((BUILDING, 5), (ROAD, 20)):
        edge, inside = rgba[5, left], rgba[10, left + 4]
        assert tuple(edge) == (*CLASS_COLOURS[value], 255)
        assert tuple(inside[:3]) == CLASS_COLOURS[value] and 0 < inside[3] < 255


def test_a_jpeg_is_the_image() -> None:
    image = np.full((16, 24, 3), (200, 100, 50), np.uint8)
    with Image.open(io.BytesIO(jpeg(image))) as picture:
        assert picture.format == "JPEG" and picture.size == (24, 16)
        np.testing.assert_allclose(np.asarray(picture), image, atol=4)

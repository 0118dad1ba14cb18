"""Collars and fill values without a tag are unknown; dark water and white roofs are not."""

import io
from pathlib import Path

import numpy as np
import pytest
from drawn_pairs import collar, drawn_pair
from PIL import Image
from scenes import PLACE, read_window, write_raster
from scipy import ndimage

from semantic_cc.scene.common_grid import open_pair
from semantic_cc.scene.grid import Window
from semantic_cc.scene.raster import Raster
from semantic_cc.scene.unknown_areas import find_fill

GROUND = drawn_pair(200)[1]
WHOLE = Window(0, 0, 200, 200)


def known_of(path: Path) -> np.ndarray:
    with Raster(path) as image:
        return read_window(image, Window(0, 0, image.grid.height, image.grid.width))[1]


def agreement(found: np.ndarray, expected: np.ndarray) -> float:
    """Intersection over union."""
    return float((found & expected).sum() / (found | expected).sum())


@pytest.mark.parametrize("value", [0, 1, 254, 255])
@pytest.mark.parametrize("kind", ["strip", "sides", "frame", "wedge", "slanted", "notch"])
def test_a_constant_collar_is_unknown(kind: str, value: int, tmp_path: Path) -> None:
    hidden = collar((200, 200), kind)
    path = write_raster(tmp_path / "a.tif", np.where(hidden[..., None], np.uint8(value), GROUND))
    with Raster(path) as image:
        unknown = ~read_window(image, WHOLE)[1]
        assert any("collar without a nodata tag" in note for note in image.notes)
    assert agreement(unknown, hidden) > 0.995


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("kind", ["strip", "wedge", "slanted"])
def test_a_collar_with_the_noise_of_jpeg_is_unknown(kind: str, value: int, tmp_path: Path) -> None:
    hidden = collar((200, 200), kind)
    buffer = io.BytesIO()
    Image.fromarray(np.where(hidden[..., None], np.uint8(value), GROUND)).save(buffer, "JPEG", quality=75)
    path = write_raster(tmp_path / "a.tif", np.array(Image.open(buffer)))
    assert agreement(~known_of(path), hidden) > 0.94


@pytest.mark.parametrize("kind", ["uint16", "float32"])
def test_a_collar_of_zeros_in_deep_images_is_unknown(kind: str, tmp_path: Path) -> None:
    hidden = collar((200, 200), "slanted")
    deep = (GROUND * np.float64(1 / 255 if kind == "float32" else 16)).astype(kind)
    deep[hidden] = 0
    assert agreement(~known_of(write_raster(tmp_path / "a.tif", deep)), hidden) > 0.99


@pytest.mark.parametrize("value", [0, 255])
def test_a_constant_collar_with_a_ragged_edge_around_a_mosaic_is_unknown(value: int, tmp_path: Path) -> None:
    rows, columns = np.mgrid[0:200, 0:200] - 100
    around = np.arctan2(rows, columns)
    hidden = np.hypot(rows, columns) > 92 + 7 * np.sin(7 * around) + 4 * np.sin(17 * around)
    picture = np.where(hidden[..., None], np.uint8(value), GROUND.clip(3, 252))
    assert agreement(~known_of(write_raster(tmp_path / "a.tif", picture)), hidden) > 0.99


def water(noise: int, where: str) -> np.ndarray:
    """Ground with a dark lake of irregular shore, within the image or at its border."""
    rng = np.random.default_rng(1)
    shore = ndimage.gaussian_filter(rng.normal(size=(200, 200)), 8)
    shore /= np.abs(shore).max()
    rows, columns = np.mgrid[0:200, 0:200]
    middle = (100, 100) if where == "inside" else (190, 60)
    lake = np.hypot(rows - middle[0], columns - middle[1]) < 55 + 45 * shore
    picture = GROUND.copy()
    picture[lake] = rng.integers(0, noise + 1, (int(lake.sum()), 3))
    return picture


def test_dark_water_around_an_island_is_known(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[0:200, 0:200] - 100
    sea = np.hypot(rows, columns) > 70
    picture = np.where(sea[..., None], rng.integers(0, 5, (200, 200, 3)), GROUND).astype(np.uint8)
    assert known_of(write_raster(tmp_path / "a.tif", picture)).all()


@pytest.mark.parametrize(("noise", "where"), [(12, "border"), (12, "inside"), (0, "inside")])
def test_dark_water_is_known(noise: int, where: str, tmp_path: Path) -> None:
    assert known_of(write_raster(tmp_path / "a.tif", water(noise, where))).all()


def test_white_roofs_are_known_at_the_border_too(tmp_path: Path) -> None:
    picture = GROUND.copy()
    for top, left in ((80, 80), (0, 90), (160, 0), (0, 0)):
        picture[top : top + 40, left : left + 36] = 255
    assert known_of(write_raster(tmp_path / "a.tif", picture)).all()


def test_a_plain_image_has_no_collar(tmp_path: Path) -> None:
    assert known_of(write_raster(tmp_path / "a.tif", GROUND)).all()


def test_a_collar_is_found_on_a_reduced_image_and_cut_at_full_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("semantic_cc.scene.raster.SAMPLE_SIDE", 60)
    hidden = collar((200, 200), "slanted")
    path = write_raster(tmp_path / "a.tif", np.where(hidden[..., None], np.uint8(0), GROUND))
    assert agreement(~known_of(path), hidden) > 0.995


def test_a_collar_stays_unknown_on_another_grid(tmp_path: Path) -> None:
    from affine import Affine

    hidden = collar((200, 200), "wedge")
    before = write_raster(tmp_path / "before.tif", GROUND)
    holed = np.where(hidden[..., None], np.uint8(255), GROUND)
    after = write_raster(tmp_path / "after.tif", holed, PLACE @ Affine.translation(0.4, 0.3))
    with open_pair(before, after) as pair:
        known = pair.read(Window(0, 0, pair.grid.height, pair.grid.width))[2]
    expected = hidden[: known.shape[0], : known.shape[1]]
    assert agreement(~known, expected) > 0.93


@pytest.mark.parametrize(
    ("kind", "fill"), [("int16", -9999), ("float32", -9999.0), ("float32", 3.4e38), ("int16", -32768)]
)
def test_a_fill_value_is_unknown_and_sets_no_stretch(kind: str, fill: float, tmp_path: Path) -> None:
    deep = (GROUND * np.float64(1 / 255 if kind == "float32" else 30)).astype(kind)
    plain = write_raster(tmp_path / "plain.tif", deep)
    hidden = np.zeros((200, 200), bool)
    hidden[40:90, 70:] = True
    deep[hidden] = fill
    with Raster(plain) as first, Raster(write_raster(tmp_path / "filled.tif", deep)) as second:
        pixels, known = read_window(second, WHOLE)
        np.testing.assert_array_equal(known, ~hidden)
        np.testing.assert_array_equal(pixels[known], read_window(first, WHOLE)[0][known])
        assert any("taken for nodata" in note for note in second.notes)


def test_a_fill_value_lies_apart() -> None:
    values = np.random.default_rng(0).normal(-5, 2, (3, 40, 40))
    assert find_fill(values, np.ones((40, 40), bool)) is None
    values[:, :3] = -9999
    assert find_fill(values, np.ones((40, 40), bool)) == -9999

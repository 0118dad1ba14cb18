"""One picture in two encodings is noticed; two dates, and a change in one place, are not."""

from io import BytesIO

import numpy as np
import pytest
from drawn_pairs import drawn_pair
from PIL import Image

from semantic_cc.images import read_pair
from semantic_cc.same_picture import PictureComparison

BEFORE, AFTER = drawn_pair(160)


def encoded(picture: np.ndarray, form: str, **options) -> np.ndarray:
    content = BytesIO()
    Image.fromarray(picture).save(content, form, **options)
    return np.array(Image.open(content).convert("RGB"))


def warning(before: np.ndarray, after: np.ndarray, known: np.ndarray | None = None) -> str | None:
    """Of a picture that comes in four windows of unequal height."""
    comparison = PictureComparison()
    for rows in (slice(0, 64), slice(64, 128), slice(128, 157), slice(157, 160)):
        comparison.add(before[rows], after[rows], None if known is None else known[rows])
    return comparison.warning("a", "b")


@pytest.mark.parametrize("quality", [40, 75, 95])
def test_a_jpeg_of_a_picture_is_the_picture(quality: int) -> None:
    assert "a and b show one picture" in warning(BEFORE, encoded(BEFORE, "JPEG", quality=quality))
    assert warning(BEFORE, BEFORE) is not None


def test_a_change_in_one_place_is_another_picture() -> None:
    assert warning(BEFORE, AFTER) is None
    after = encoded(BEFORE, "JPEG", quality=75)
    after[40:50, 60:72] = 255 - after[40:50, 60:72]
    assert warning(BEFORE, after) is None
    hidden = np.ones((160, 160), bool)
    hidden[40:50, 60:72] = False
    assert warning(BEFORE, after, hidden) is not None
    assert warning(BEFORE, BEFORE, np.zeros((160, 160), bool)) is None


def test_dark_water_of_two_dates_is_not_one_picture() -> None:
    """Levels that are alike without showing the same."""
    dates = [np.random.default_rng(seed).normal(24, 4, (160, 160, 3)).astype(np.uint8) for seed in (1, 2)]
    assert warning(*dates) is None


def test_another_light_is_another_date() -> None:
    assert warning(BEFORE, (BEFORE * 0.75 + 10).astype(np.uint8)) is None


def test_a_pair_of_files_gets_the_warning(tmp_path) -> None:
    paths = tmp_path / "a.png", tmp_path / "b.jpg"
    for path in paths:
        Image.fromarray(BEFORE).save(path)
    assert [note for note in read_pair(*paths, check=True)[2] if "show one picture" in note]
    assert read_pair(*paths)[2] == ()

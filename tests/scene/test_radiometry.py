"""The rule from any numbers to 8 bits, and the match of two dates."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from drawn_pairs import drawn_pair
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import write_raster

from semantic_cc.scene.common_grid import open_pair
from semantic_cc.scene.grid import Window
from semantic_cc.scene.radiometric_matching import match_levels
from semantic_cc.scene.radiometry import Encoding, Stretch, find_stretch

BEFORE, AFTER = drawn_pair(160)
FLAT = AFTER.reshape(-1, 3).T.astype(float)


def read(
    paths: tuple[Path, Path], **options: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
    with open_pair(*paths, **options) as pair:
        return *pair.read(Window(0, 0, pair.grid.height, pair.grid.width)), pair.notes


def write_pair(folder: Path, before: np.ndarray, after: np.ndarray, **profile: object) -> tuple[Path, Path]:
    folder.mkdir(exist_ok=True)
    return (
        write_raster(folder / "before.tif", before, **profile),
        write_raster(folder / "after.tif", after, **profile),
    )


@settings(deadline=None, max_examples=60)
@given(bits=st.integers(9, 16), factor=st.floats(0.6, 1.0))
def test_integers_of_any_depth_come_back(bits: int, factor: float) -> None:
    top = 2**bits - 1
    stretch = find_stretch((FLAT / FLAT.max() * top * factor).round(), Encoding("uint16"))
    assert stretch.rule == "full scale"
    assert stretch.high == pytest.approx([top] * 3) and stretch.low == pytest.approx([0] * 3)


def test_significant_bits_of_the_file_count() -> None:
    dark = (FLAT * 2).round()
    assert find_stretch(dark, Encoding("uint16")).high[0] == 511
    assert find_stretch(dark, Encoding("uint16", bits=10)).high[0] == 1023


@pytest.mark.parametrize("share", [0.02, 0.1, 0.33, 0.6, 0.9])
@pytest.mark.parametrize("value", [9000, 60000])
def test_clouds_and_bright_neighbours_do_not_set_the_stretch(value: int, share: float) -> None:
    ground = FLAT * 8
    count = int(ground.shape[1] * share / (1 - share))
    bright = value + np.random.default_rng(0).normal(0, 50, (3, count))
    alone = find_stretch(ground, Encoding("uint16"))
    beside = find_stretch(np.concatenate([ground, bright], axis=1), Encoding("uint16"))
    assert beside == alone or ((beside.low == alone.low).all() and (beside.high == alone.high).all())


def test_scale_and_offset_tags_are_applied() -> None:
    reflectance = FLAT / 255 * 0.5
    encoding = Encoding("uint16", (2.75e-5,) * 3, (-0.2,) * 3)
    stretch = find_stretch((reflectance + 0.2) / 2.75e-5, encoding)
    assert stretch.low[0] == pytest.approx(0.2 / 2.75e-5) and stretch.high[0] == pytest.approx(0.7 / 2.75e-5)


def test_the_match_is_of_levels() -> None:
    stretch = Stretch(np.array([0.0, 10, 20]), np.array([100.0, 200, 300]))
    values = np.random.default_rng(0).uniform(0, 300, (3, 50))
    gain, offset = np.array([1.5, 0.7, 1.0]), np.array([10.0, -4, 0])
    np.testing.assert_allclose(
        stretch.matched(gain, offset).levels(values),
        stretch.levels(values) * gain[:, None] + offset[:, None],
        rtol=1e-4, atol=1e-3,
    )  # fmt: skip


def test_dates_of_one_scale_are_compared_as_they_are(tmp_path: Path) -> None:
    hazy = (AFTER * 0.8 + 30).round()  # what 8-bit images would keep
    before, after, _, notes = read(
        write_pair(tmp_path, BEFORE.astype("uint16") * 16, (hazy * 16).astype("uint16"))
    )
    assert np.abs(after - hazy).max() <= 1.5 and np.abs(before.astype(int) - BEFORE).max() <= 1
    assert not any("matched" in note for note in notes)


@pytest.mark.parametrize(("gain", "offset"), [(3.0, 0), (1.6, 900), (0.3, 0)])
def test_dates_of_other_gain_agree_where_nothing_changed(gain: float, offset: float, tmp_path: Path) -> None:
    pair = write_pair(
        tmp_path, BEFORE.astype("uint16") * 16, (AFTER * (16 * gain) + offset).round().astype("uint16")
    )
    same = (BEFORE == AFTER).all(axis=2)
    before, after, _, _ = read(pair)
    assert np.abs(before[same].astype(float) - after[same]).mean() < 6
    off = read(pair, match_radiometry=False)
    assert np.abs(off[0][same].astype(float) - off[1][same]).mean() > 6  # each date has its own stretch


def test_a_deep_date_is_matched_to_an_8_bit_one(tmp_path: Path) -> None:
    paths = (
        write_raster(tmp_path / "before.tif", BEFORE),
        write_raster(tmp_path / "after.tif", AFTER.astype("uint16") * 7 + 4000),
    )
    before, after, _, notes = read(paths)
    np.testing.assert_array_equal(before, BEFORE)
    assert np.abs(after.astype(float) - AFTER).mean() < 6
    assert any("after.tif: radiometry matched to" in note for note in notes)


def test_unrelated_dates_are_not_matched() -> None:
    rng = np.random.default_rng(0)
    assert match_levels(rng.uniform(0, 255, (3, 4000)), rng.uniform(0, 255, (3, 4000))) is None


def test_a_place_has_one_answer_in_a_larger_extent(tmp_path: Path) -> None:
    """Twice the extent, with other ground beside it: the same levels at the same place."""
    other = np.rot90(drawn_pair(160, seed=4)[0])
    small = write_pair(tmp_path / "small", BEFORE.astype("uint16") * 16, AFTER.astype("uint16") * 16)
    large = write_pair(
        tmp_path / "large",
        *(np.concatenate([image, other], axis=1).astype("uint16") * 16 for image in (BEFORE, AFTER)),
    )
    for one, two in zip(read(small)[:2], read(large)[:2], strict=True):
        np.testing.assert_array_equal(one, two[:, :160])


def test_8_bits_are_taken_as_they_are(tmp_path: Path) -> None:
    dark = BEFORE // 4
    before, after, _, notes = read(write_pair(tmp_path, dark, AFTER))
    np.testing.assert_array_equal(before, dark)
    np.testing.assert_array_equal(after, AFTER)
    assert notes == ()


def test_tags_of_the_file_reach_the_rule(tmp_path: Path) -> None:
    paths = write_pair(tmp_path, *(np.round(i / 255 / 1e-4 + 1000).astype("uint16") for i in (BEFORE, AFTER)))
    for path in paths:
        with rasterio.open(path, "r+") as file:
            file.scales, file.offsets = (1e-4,) * 3, (-0.1,) * 3
    before, after, _, _ = read(paths)
    assert np.abs(before.astype(int) - BEFORE).max() <= 1 and np.abs(after.astype(int) - AFTER).max() <= 1

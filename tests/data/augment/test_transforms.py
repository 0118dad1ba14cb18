"""Augmentation: what must stay true stays true."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semantic_cc.data.augment import transforms
from semantic_cc.data.augment.place_words import move_places
from semantic_cc.data.augment.symmetry import SYMMETRIES
from semantic_cc.data.augment.transforms import (
    augment_caption,
    augment_change,
    augment_scene,
    change_light,
    change_look,
    crop,
    exchange,
    shift,
    turn,
)
from semantic_cc.types import NOT_BUILDING, UNKNOWN, Pair

SAID = "a house is built on the left"


def make(height=24, width=24):
    """Each pixel of the mask can be told from the images: red of both dates is the mask's value."""
    rng = np.random.default_rng(0)
    label = rng.choice(np.array([0, 128, 255], np.uint8), (height, width))
    place = (np.arange(label.size) % 251).astype(np.uint8).reshape(label.shape)
    before = np.dstack([label, np.full_like(label, 60), place])
    after = before.copy()
    after[..., 1] = 190
    return Pair("a", before, after, label, (SAID,), True)


def assert_equal(one: Pair, other: Pair) -> None:
    for name in ("before", "after", "label"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert (one.name, one.sentences, one.changed) == (other.name, other.sentences, other.changed)


@pytest.fixture
def moves_alone(monkeypatch):
    """Symmetries and exchange of the dates, nothing else."""
    for name in ("BRIGHTNESS", "CONTRAST", "GAMMA", "COLOUR", "CROPPED", "SHIFT", "BLURRED", "COMPRESSED"):
        monkeypatch.setattr(transforms, name, 0)


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_a_moved_picture_is_a_copy_that_may_be_written(symmetry):
    image = make().before
    image.setflags(write=False)  # as an image that Pillow holds
    moved = symmetry.of_array(image)
    assert moved.flags.writeable and moved.flags.c_contiguous and not np.shares_memory(moved, image)


def test_masks_move_with_both_dates(moves_alone):
    pair, rng = make(), np.random.default_rng(1)
    seen, orders = set(), set()
    for _ in range(200):
        moved = augment_change(pair, rng)
        np.testing.assert_array_equal(moved.before[..., 0], moved.label)
        np.testing.assert_array_equal(moved.after[..., 0], moved.label)
        np.testing.assert_array_equal(moved.before[..., 2], moved.after[..., 2])
        seen.add(moved.label.tobytes())
        orders.add((int(moved.before[0, 0, 1]), int(moved.after[0, 0, 1])))
        assert moved.sentences == ()
        assert moved.changed is True
        assert moved.name == "a"
        assert all(array.flags.c_contiguous for array in (moved.before, moved.after, moved.label))
    assert len(seen) == 8  # every symmetry of the square
    assert orders == {(60, 190), (190, 60)}  # dates in both orders


def test_sentences_move_with_both_dates_and_the_mask(moves_alone):
    pair, rng = make(), np.random.default_rng(1)
    seen = set()
    for _ in range(200):
        moved = augment_caption(pair, rng)
        (sentence,) = moved.sentences
        np.testing.assert_array_equal(moved.before[..., 0], moved.label)
        assert ("removed" in sentence) == (moved.before[0, 0, 1] == 190)
        (symmetry,) = (s for s in SYMMETRIES if np.array_equal(s.of_array(pair.label), moved.label))
        assert sentence.replace("removed", "built") == move_places(SAID, symmetry)
        seen.add((sentence, symmetry))
    assert len(seen) == 16


def test_a_move_that_a_sentence_cannot_follow_is_not_made(moves_alone):
    rng = np.random.default_rng(1)
    held = replace(make(), sentences=("more cars have left the parking lot",))
    moved = [augment_caption(held, rng) for _ in range(50)]
    assert {item.sentences for item in moved} == {held.sentences}
    assert len({item.label.tobytes() for item in moved}) == 2  # as it was, and upside down
    np.testing.assert_array_equal(moved[0].before[..., 1], held.before[..., 1])
    one_of_two = replace(make(), sentences=(SAID, "a new house is built"))
    assert exchange(one_of_two) is None
    assert turn(replace(one_of_two, sentences=(SAID, "a house to the west")), SYMMETRIES[1]) is None


@given(st.sampled_from(SYMMETRIES), st.integers(2, 9), st.integers(2, 9))
def test_turning_back_gives_back_the_pair(symmetry, height, width):
    pair = make(height, width)
    assert_equal(turn(turn(pair, symmetry), symmetry.inverse), pair)


def test_exchanging_twice_gives_back_the_pair():
    pair = make()
    once = exchange(pair)
    np.testing.assert_array_equal(once.before, pair.after)
    assert once.sentences == ("a house is removed on the left",)
    assert_equal(exchange(once), pair)


def test_a_rectangle_keeps_its_shape(moves_alone):
    pair, rng = make(16, 24), np.random.default_rng(1)
    for augment in (augment_change, augment_caption):
        moved = [augment(pair, rng) for _ in range(50)]
        assert {item.before.shape for item in moved} == {(16, 24, 3)}
        assert len({item.label.tobytes() for item in moved}) == 4


def test_crops_keep_size_mask_and_place():
    pair = make(40, 40)
    cut = crop(pair, 10, 4, 20, 20)
    assert cut.before.shape == (40, 40, 3) and cut.label.shape == (40, 40)
    np.testing.assert_array_equal(cut.label, pair.label[4:24, 10:30].repeat(2, 0).repeat(2, 1))
    sharp = cut.before[..., 0].astype(int)  # bilinear: near, not equal
    assert np.corrcoef(sharp.ravel(), cut.label.ravel())[0, 1] > 0.8
    assert (cut.before[..., 1] == 60).all() and (cut.after[..., 1] == 190).all()


def test_a_crop_that_misses_the_change_is_refused():
    label = np.zeros((40, 40), np.uint8)
    label[:5, :5] = 255
    pair = replace(make(40, 40), label=label)
    assert crop(pair, 5, 5, 30, 30) is None
    assert crop(pair, 4, 4, 30, 30) is not None
    assert crop(replace(pair, label=None), 4, 4, 30, 30) is None  # who knows
    for value in (NOT_BUILDING, UNKNOWN):
        said = np.where(label == 0, value, label).astype(np.uint8)
        assert crop(replace(pair, label=said), 5, 5, 30, 30) is None
        assert set(np.unique(crop(replace(pair, label=said), 4, 4, 30, 30).label)) == {value, 255}
    assert crop(replace(pair, label=label * 0, changed=False), 5, 5, 30, 30).changed is False


def test_masks_alone_are_cropped_and_sentences_never(monkeypatch):
    for name in ("BRIGHTNESS", "CONTRAST", "GAMMA", "COLOUR", "SHIFT", "BLURRED", "COMPRESSED"):
        monkeypatch.setattr(transforms, name, 0)
    monkeypatch.setattr(transforms, "CROPPED", 1)
    pair, rng = make(40, 40), np.random.default_rng(1)
    whole = {symmetry.of_array(pair.label).tobytes() for symmetry in SYMMETRIES}
    assert any(augment_change(pair, rng).label.tobytes() not in whole for _ in range(5))
    assert all(augment_caption(pair, rng).label.tobytes() in whole for _ in range(20))


def test_windows_of_a_scene_differ_in_place_and_scale(moves_alone, monkeypatch):
    scene = replace(make(96, 128), sentences=(), changed=None)
    rng = np.random.default_rng(1)
    drawn = [augment_scene(scene, 32, rng) for _ in range(30)]
    assert {window.before.shape for window in drawn} == {(32, 32, 3)}
    assert len({window.label.tobytes() for window in drawn}) == 30
    monkeypatch.setattr(transforms, "WINDOW", (1, 1))
    monkeypatch.setattr(transforms, "SYMMETRIES", SYMMETRIES[:1])
    window = augment_scene(scene, 32, rng)  # without scaling it is a part of the scene
    np.testing.assert_array_equal(window.before[..., 0], window.label)
    parts = np.lib.stride_tricks.sliding_window_view(scene.label, (32, 32))
    assert (parts == window.label).all(axis=(2, 3)).any()


def test_a_window_is_no_larger_than_its_scene(monkeypatch):
    monkeypatch.setattr(transforms, "WINDOW", (1.5, 1.5))
    assert augment_scene(make(32, 40), 32, np.random.default_rng(0)).label.shape == (32, 32)


def test_shift_moves_by_whole_pixels():
    image = make(8, 9).before
    moved = shift(image, 2, -1)
    np.testing.assert_array_equal(moved[:-1, 2:], image[1:, :-2])
    np.testing.assert_array_equal(moved[-1], moved[-2])
    np.testing.assert_array_equal(moved[:, 0], moved[:, 2])
    np.testing.assert_array_equal(shift(image, 0, 0), image)


def test_only_the_earlier_date_is_shifted(monkeypatch):
    for name in ("BRIGHTNESS", "CONTRAST", "GAMMA", "COLOUR", "BLURRED", "COMPRESSED"):
        monkeypatch.setattr(transforms, name, 0)
    pair, rng, shifted = make(), np.random.default_rng(1), 0
    for _ in range(20):
        moved = augment_caption(pair, rng)
        np.testing.assert_array_equal(moved.after[..., 0], moved.label)
        shifted += not np.array_equal(moved.before[..., 0], moved.label)
    assert shifted > 10


@pytest.mark.parametrize("name", ["BLURRED", "COMPRESSED"])
def test_blur_and_jpeg_are_mild(moves_alone, monkeypatch, name):
    monkeypatch.setattr(transforms, name, 1)
    y, x = np.mgrid[0:64, 0:64]
    ramps = np.dstack([y * 3, x * 3, 192 - y * 3])
    image = (ramps + np.random.default_rng(0).integers(0, 24, ramps.shape)).astype(np.uint8)
    for seed in range(20):
        looked = change_look(image, np.random.default_rng(seed))
        assert looked.shape == image.shape and looked.dtype == np.uint8
        difference = np.abs(looked.astype(int) - image)
        assert difference.max() < 60 and difference.mean() < 8
    assert difference.any()


def test_without_a_mask():
    pair = make()
    assert augment_change(Pair("a", pair.before, pair.after), np.random.default_rng(0)).label is None


@pytest.mark.parametrize("augment", [augment_change, augment_caption])
def test_the_input_is_not_modified(augment):
    pair, kept = make(), make()
    for seed in range(10):
        augmented = augment(pair, np.random.default_rng(seed))
        assert augmented.changed is True
        assert (augmented.before != pair.before).any()
        assert (augmented.after != pair.after).any()
    assert_equal(pair, kept)


def test_light_keeps_order_and_is_mild():
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    for seed in range(50):
        lit = change_light(ramp, np.random.default_rng(seed))
        assert lit.dtype == np.uint8
        assert lit.shape == ramp.shape
        assert (np.diff(lit.astype(int), axis=1) >= 0).all()
        assert np.abs(lit.astype(int) - ramp).mean() < 70


def test_no_light_is_the_identity(moves_alone):
    image = make().before
    np.testing.assert_array_equal(change_light(image, np.random.default_rng(0)), image)


@pytest.mark.parametrize("augment", [augment_change, augment_caption])
def test_same_seed_same_result(augment):
    one, two, other = (augment(make(), np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert_equal(one, two)
    assert not np.array_equal(one.before, other.before)

"""Augmentation: what must stay true stays true."""

import numpy as np
import pytest

from semantic_cc.data import transforms
from semantic_cc.data.transforms import augment_caption, augment_change, change_light
from semantic_cc.types import Pair


def make(height=24, width=24):
    """Each pixel of the mask can be told from the images: red of both dates is the mask's value."""
    rng = np.random.default_rng(0)
    label = rng.choice(np.array([0, 128, 255], np.uint8), (height, width))
    place = (np.arange(label.size) % 251).astype(np.uint8).reshape(label.shape)
    before = np.dstack([label, np.full_like(label, 60), place])
    after = before.copy()
    after[..., 1] = 190
    return Pair("a", before, after, label, ("a house on the left",), True)


@pytest.fixture
def no_light(monkeypatch):
    for name in ("BRIGHTNESS", "CONTRAST", "GAMMA", "COLOUR"):
        monkeypatch.setattr(transforms, name, 0.0)


def test_masks_move_with_both_dates(no_light):
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


def test_a_rectangle_keeps_its_shape(no_light):
    pair, rng = make(16, 24), np.random.default_rng(1)
    moved = [augment_change(pair, rng) for _ in range(50)]
    assert {item.before.shape for item in moved} == {(16, 24, 3)}
    assert len({item.label.tobytes() for item in moved}) == 4


def test_without_a_mask():
    pair = make()
    assert augment_change(Pair("a", pair.before, pair.after), np.random.default_rng(0)).label is None


def test_light_alone_for_captions():
    pair = make()
    kept = [array.copy() for array in (pair.before, pair.after, pair.label)]
    changed = augment_caption(pair, np.random.default_rng(0))
    assert changed.sentences == pair.sentences
    assert changed.label is pair.label
    assert changed.changed is True
    assert (changed.before != pair.before).any()
    assert (changed.after != pair.after).any()
    augment_change(pair, np.random.default_rng(0))
    for array, before in zip((pair.before, pair.after, pair.label), kept, strict=True):
        np.testing.assert_array_equal(array, before)


def test_light_keeps_order_and_is_mild():
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    for seed in range(50):
        lit = change_light(ramp, np.random.default_rng(seed))
        assert lit.dtype == np.uint8
        assert lit.shape == ramp.shape
        assert (np.diff(lit.astype(int), axis=1) >= 0).all()
        assert np.abs(lit.astype(int) - ramp).mean() < 70


def test_no_light_is_the_identity(no_light):
    image = make().before
    np.testing.assert_array_equal(change_light(image, np.random.default_rng(0)), image)


def test_same_seed_same_result():
    one, two = (augment_change(make(), np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one.before, two.before)
    np.testing.assert_array_equal(one.label, two.label)

"""Pairs -> batch."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from semantic_cc.data.collate import collate
from semantic_cc.errors import DataError
from semantic_cc.types import Pair


def make(name="a", side=16, **more):
    rng = np.random.default_rng(len(name))
    before, after = rng.integers(0, 256, (2, side, side + 8, 3), dtype=np.uint8)
    label = rng.choice(np.array([0, 128, 255], np.uint8), (side, side + 8))
    return Pair(name, before, after, **{"label": label, "sentences": ("x",), "changed": True, **more})


def test_shapes_types_and_values():
    pairs = [make("a"), make("bb", changed=False)]
    batch = collate(pairs)
    assert len(batch) == 2
    assert batch.names == ["a", "bb"]
    assert batch.sentences == [("x",), ("x",)]
    assert batch.before.shape == batch.after.shape == (2, 3, 16, 24)
    assert batch.before.dtype == torch.float32
    assert batch.before.is_contiguous()
    assert batch.before[1, 2, 3, 4] == pytest.approx(pairs[1].before[3, 4, 2] / 255)
    assert batch.after[0, 0, 5, 6] == pytest.approx(pairs[0].after[5, 6, 0] / 255)
    assert batch.before.min() >= 0
    assert batch.before.max() <= 1
    assert batch.label.shape == (2, 16, 24)
    assert batch.label.dtype == torch.int64
    np.testing.assert_array_equal(np.array([0, 128, 255])[batch.label[0]], pairs[0].label)
    assert batch.changed.dtype == torch.float32
    assert batch.changed.tolist() == [1, 0]


def test_flags_that_are_not_all_known_are_left_out():
    assert collate([make(), make("bb", changed=None)]).changed is None


def test_a_mask_that_says_nothing_about_roads_has_a_class_for_that():
    pair = make(label=np.array([[0, 64], [128, 255]], np.uint8).repeat(8, 0).repeat(12, 1))
    assert collate([pair]).label[0, ::8, ::12].tolist() == [[0, 3], [1, 2]]


def test_a_pixel_of_which_nothing_is_known_has_a_class_for_that():
    pair = make(label=np.array([[0, 32], [64, 255]], np.uint8).repeat(8, 0).repeat(12, 1))
    assert collate([pair]).label[0, ::8, ::12].tolist() == [[0, 4], [3, 2]]


def test_unknown_stays_unknown():
    batch = collate([make(label=None, changed=None, sentences=())])
    assert batch.label is None
    assert batch.changed is None
    assert batch.sentences == [()]


def test_every_tensor_is_on_the_device():
    batch = collate([make()], "meta")
    assert {t.device.type for t in (batch.before, batch.after, batch.label, batch.changed)} == {"meta"}
    assert {t.dtype for t in (batch.before, batch.after, batch.changed)} == {torch.float32}
    assert batch.label.dtype == torch.int64


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "at least one pair"),
        ([make(), make("bb", side=32)], "bb: its size differs within the batch"),
        ([replace(make(), after=make(side=32).after)], "a: its size differs"),
        ([replace(make(), label=make(side=32).label)], "a: its size differs"),
        ([make(), make("bb", label=None)], "only 1 of 2 pairs of a batch have masks"),
        ([make(label=np.full((16, 24), 7, np.uint8))], r"a: mask value 7 is not one of"),
    ],
)
def test_refused(pairs, message):
    with pytest.raises(DataError, match=message):
        collate(pairs)

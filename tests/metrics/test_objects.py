"""Objects found, missed and false, by hand; and that no object is counted twice."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from semantic_cc.errors import DataError
from semantic_cc.metrics.objects import ObjectMetric, find_objects

MASKS = arrays(bool, (12, 12), elements=st.booleans())


def mask(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """(x, y, width, height) of what is set in 64 x 64."""
    out = np.zeros((64, 64), bool)
    for x, y, width, height in boxes:
        out[y : y + height, x : x + width] = True
    return out


def score(prediction: np.ndarray, truth: np.ndarray):
    metric = ObjectMetric()
    metric.update(prediction, truth)
    return metric.compute()


def test_counted_by_hand() -> None:
    truth = mask((0, 0, 10, 10), (20, 0, 10, 10), (40, 0, 4, 4), (0, 30, 20, 20))
    # One patch over the first two, nothing on the small one, less than half of the large one, and a speck.
    prediction = mask((0, 0, 30, 10), (0, 30, 20, 9), (60, 60, 1, 1))
    result = score(prediction, truth)
    assert (result.found, result.missed, result.right, result.false) == (2, 2, 2, 1)
    assert (result.precision, result.recall) == pytest.approx((200 / 3, 50))
    assert result.f1 == pytest.approx(400 / 7)
    rows = {row.pixels: (row.found, row.missed, row.right, row.false) for row in result.by_size}
    assert rows == {
        "1-63": (0, 1, 0, 1),
        "64-255": (2, 0, 1, 0),
        "256-1023": (0, 1, 1, 0),
        "1024 and more": (0,) * 4,
    }
    assert json.loads(json.dumps(result.to_json()))["by_size"][0]["pixels"] == "1-63"


def test_half_is_enough_and_less_is_not() -> None:
    truth = mask((0, 0, 10, 10))
    assert score(mask((0, 0, 5, 10)), truth).found == 1
    assert score(mask((0, 0, 5, 10)) & ~mask((0, 0, 1, 1)), truth).missed == 1
    assert score(mask((0, 0, 20, 10)), truth).right == 1
    assert score(mask((0, 0, 20, 10), (0, 10, 1, 1)), truth).false == 1


def test_corners_touch() -> None:
    assert find_objects(np.eye(5, dtype=bool))[1] == 1


def test_nothing_is_zero() -> None:
    result = score(mask(), mask())
    assert (result.found, result.false, result.precision, result.recall, result.f1) == (0, 0, 0, 0, 0)
    with pytest.raises(DataError, match="differ in shape"):
        score(np.zeros((2, 2), bool), np.zeros((2, 3), bool))


@settings(deadline=None)
@given(MASKS, MASKS)
def test_each_object_is_counted_once_and_masks_change_roles(one: np.ndarray, other: np.ndarray) -> None:
    there, back = score(one, other), score(other, one)
    assert there.found + there.missed == find_objects(other)[1]
    assert (there.found, there.missed) == (back.right, back.false)
    assert sum(row.false for row in there.by_size) == there.false

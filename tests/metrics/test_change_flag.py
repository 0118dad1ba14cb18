"""The rule that reads a change flag from a sentence."""

import pytest

from semantic_cc.errors import DataError
from semantic_cc.metrics import change_flag_accuracy, says_change

NO_CHANGE = """there is no difference
the two scenes seem identical
the scene is the same as before
no change has occurred
almost nothing has changed
Nothing has changed.
There are no obvious changes between the two images.
the scene has not changed
the scene hasn't changed
the scene remains unchanged
it stays the same
the two images look almost identical
nothing is different
without any visible change
the area is the same as before
identical"""

CHANGE = """many houses are built along the road
two identical houses are built
three same villas appear on the right side of the scene
the trees are no longer green
a house is built between two similar houses
cars on the road have changed
the direction of the original road changes
the scene is the same as before except for a new house
nothing has changed but a road was built
two new houses are built in a group of the same kind of houses
the trees disappear and no houses are left"""


@pytest.mark.parametrize("sentence", NO_CHANGE.split("\n"))
def test_no_change(sentence):
    assert not says_change(sentence)
    assert not says_change(f" {sentence.upper()} .")


@pytest.mark.parametrize("sentence", CHANGE.split("\n"))
def test_change(sentence):
    assert says_change(sentence)


def test_silence_says_no_change():
    assert not says_change("")
    assert not says_change(" . ")


def test_accuracy():
    truth = {"a": True, "b": False, "c": True, "d": False}
    assert change_flag_accuracy({**truth, "d": True}, truth) == 75
    with pytest.raises(DataError, match="names must be the same"):
        change_flag_accuracy({"a": True}, truth)
    with pytest.raises(DataError, match="0 true ones"):
        change_flag_accuracy({}, {})

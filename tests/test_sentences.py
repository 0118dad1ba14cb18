"""The one rule that reads a change flag from a sentence."""

import pytest

from semantic_cc.sentences import UNCHANGED, says_change

NO_CHANGE = (
    "",
    "   ",
    " . ",
    UNCHANGED,
    "there is no difference",
    "there are no obvious changes",
    "almost nothing has changed",
    "the scene hasn't changed",
    "the scene has not changed at all",
    "the two scenes seem identical",
    "Identical images.",
    "the images remain unchanged",
    "the place looks the same",
    "it is the same as before",
)
CHANGE = (
    "a house is built",
    "no change but a new road on the left",
    "the scenes are the same except for two houses",
    "the trees are no longer green",
    "two identical houses are built",
    "some trees removed and a road appears",
    "not only houses but also roads appear",
    "the houses have changed into a road",
)


@pytest.mark.parametrize("sentence", NO_CHANGE)
def test_says_no_change(sentence: str) -> None:
    assert not says_change(sentence)


@pytest.mark.parametrize("sentence", CHANGE)
def test_says_change(sentence: str) -> None:
    assert says_change(sentence)


@pytest.mark.parametrize("sentence", [*NO_CHANGE, *CHANGE])
def test_case_and_full_stop_do_not_matter(sentence: str) -> None:
    assert says_change(sentence.upper() + " .") == says_change(sentence)

"""Counts and places of a sentence, against the references'."""

import pytest

from semantic_cc.metrics.count_location import count_location_accuracy

THREE = ("three houses are built", "houses appear beside the road", "3 trees are removed")


@pytest.mark.parametrize(
    ("said", "references", "right"),
    [
        ("three villas are built", THREE, 1),
        ("two houses are built", THREE, 0),
        ("houses are built", THREE, 0),  # an omission
        ("some houses are built", THREE, 0),
        ("a house and two buildings are built", THREE, 1),  # three buildings, however they are called
        ("many houses are built", ("five houses are built",), 1),
        ("four houses are built", ("rows of houses are built", "some houses appear"), 1),
        ("a residential area with many houses is built", ("four houses are built",), 1),
        ("a residential area and two houses are built", ("two houses are built",), 0),
        ("there is no difference", THREE, 0),
    ],
)
def test_counts(said: str, references: tuple[str, ...], right: int) -> None:
    found, _ = count_location_accuracy({"a": said}, {"a": references})
    assert (found.pairs, found.right, found.share) == (1, right, 100.0 * right)


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("a house is built in the top left corner", 1),
        ("a house is built on the left", 1),
        ("a house is built on the right", 0),
        ("a house is built on the left and a road appears on the right", 0),
        ("a house is built", 0),
    ],
)
def test_places(said: str, right: int) -> None:
    references = {
        "a": ("a house is built in the upper left corner", "a house appears on the left of the scene")
    }
    assert count_location_accuracy({"a": said}, references)[1].right == right


def test_pairs_whose_references_tell_nothing_are_not_asked() -> None:
    counts, places = count_location_accuracy(
        {"a": "two houses are built", "b": "x"}, {"a": ("houses are built",), "b": ("no change",)}
    )
    assert counts == places and counts.to_json() == {"pairs": 0, "right": 0, "share": None}

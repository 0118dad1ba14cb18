"""Sentences under the symmetries of the square: by example, by algebra, against masks, on the real captions."""

import json
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared import SHARED

from semantic_cc.data.augment.place_words import mentions_place, move_places
from semantic_cc.data.augment.symmetry import SYMMETRIES, Symmetry
from semantic_cc.synth.procedural import draw_label, is_changed, plan_pair
from semantic_cc.synth.procedural.caption_writer import write_sentences
from semantic_cc.synth.procedural.pair_plan import generator
from semantic_cc.synth.procedural.scene_objects import Event

MIRROR, FLIP, TURN, HALF = Symmetry(0, True), Symmetry(2, True), Symmetry(1), Symmetry(2)
SYMMETRY = st.sampled_from(SYMMETRIES)
SEED = 33


@pytest.mark.parametrize(
    ("symmetry", "said", "moved"),
    [
        (MIRROR, "a house appears on the left", "a house appears on the right"),
        (MIRROR, "a house appears at the top left corner", "a house appears at the top right corner"),
        (MIRROR, "a villa at the right bottom corner", "a villa at the left bottom corner"),
        (MIRROR, "a road is built in the upper-left", "a road is built in the upper right"),
        (MIRROR, "a road at the bottomleft and the topright", "a road at the bottomright and the topleft"),
        (MIRROR, "houses on the left and right sides", "houses on the right and left sides"),
        (MIRROR, "houses on the top of the building", "houses on the top of the building"),
        (MIRROR, "the grass above and in front of the house", "the grass above and in front of the house"),
        (MIRROR, "a road to the left of the house", "a road to the right of the house"),
        (FLIP, "some trees in the upper left corner", "some trees in the lower-left corner"),
        (FLIP, "some trees on the lower-right", "some trees on the upper right"),
        (FLIP, "many cars have left the lot at the top", "many cars have left the lot at the bottom"),
        (FLIP, "the grass below becomes a road", "the grass above becomes a road"),
        (FLIP, "two vertical roads appear at the top", "two vertical roads appear at the bottom"),
        (HALF, "in the top left and bottom right corners", "in the bottom right and top left corners"),
        (TURN, "a house is built on the left", "a house is built at the bottom"),
        (TURN, "a house is built at the top of the scene", "a house is built on the left of the scene"),
        (TURN, "a house on the right side of the road", "a house on the top side of the road"),
        (TURN, "villas in the upper part of the scene", "villas in the left part of the scene"),
        (TURN, "villas in the right half", "villas in the upper half"),
        (TURN, "a road in the middle right area", "a road in the middle upper area"),
        (TURN, "a road on the upper left", "a road on the lower-left"),
        (TURN, "a road at a right angle at the bottom", "a road at a right angle on the right"),
        (TURN, "a road vertical to the main road", "a road vertical to the main road"),
        (TURN, "houses are built on both sides of the road", "houses are built on both sides of the road"),
    ],
)
def test_examples(symmetry, said, moved):
    assert move_places(said, symmetry) == moved


@pytest.mark.parametrize(
    ("symmetry", "said"),
    [
        (MIRROR, "many cars have left the parking lot"),
        (MIRROR, "a road turns right at the top"),
        (MIRROR, "a house on the right-hand side"),
        (MIRROR, "a house in the top left and right corner"),  # a corner, or the whole right?
        (MIRROR, "a road from left to right"),
        (MIRROR, "The house on the Left"),
        (MIRROR, "a house on the leftmost plot"),
        (MIRROR, "a house in the north"),
        (FLIP, "a road is built on top of the scene"),
        (FLIP, "panels on the top of the building"),
        (FLIP, "a road in front of the forest"),
        (FLIP, "a house in the higher right corner"),
        (TURN, "two vertical roads are built"),
        (TURN, "a road to the left of the house"),
        (TURN, "the wasteland above becomes a road"),
        (TURN, "a house to the west"),
    ],
)
def test_what_is_not_surely_read_is_not_rewritten(symmetry, said):
    assert mentions_place(said)
    assert move_places(said, symmetry) is None


def test_words_that_say_no_place():
    for said in ("many trees in the forest", "a road at a right angle", "a house under construction"):
        assert not mentions_place(said)
        assert all(move_places(said, symmetry) == said for symmetry in SYMMETRIES)


@given(SYMMETRY, SYMMETRY, st.sampled_from([(-1, 0), (1, 1), (0, 1), (1, -1)]))
def test_symmetries_compose_as_pictures_do(first, second, direction):
    picture = np.arange(12).reshape(3, 4)
    both = first.then(second)
    np.testing.assert_array_equal(second.of_array(first.of_array(picture)), both.of_array(picture))
    assert second.of_direction(first.of_direction(direction)) == both.of_direction(direction)
    np.testing.assert_array_equal(first.inverse.of_array(first.of_array(picture)), picture)


@given(SYMMETRY, st.integers(0, 2), st.integers(0, 2))
def test_directions_move_as_pixels_do(symmetry, row, column):
    picture = np.zeros((3, 3))
    picture[row, column] = 1
    (y, x), *_ = np.argwhere(symmetry.of_array(picture))
    assert symmetry.of_direction((column - 1, row - 1)) == (x - 1, y - 1)


@pytest.fixture(scope="module")
def spoken():
    """Sentences of the world that name a place."""
    plans = [plan_pair(SEED, index) for index in range(300)]
    said = {s for i, p in enumerate(plans) for s in write_sentences(p.events, generator(SEED, i, 2))}
    return sorted(filter(mentions_place, said))


def test_every_sentence_of_the_world_moves_and_comes_back(spoken):
    assert len(spoken) > 100
    for said in spoken:
        for symmetry in SYMMETRIES:
            moved = move_places(said, symmetry)
            assert moved is not None, said
            assert move_places(moved, symmetry.inverse) == said


@given(st.integers(0, 10**6), SYMMETRY, SYMMETRY)
def test_one_after_the_other_is_both_in_one(spoken, index, first, second):
    said = spoken[index % len(spoken)]
    assert move_places(move_places(said, first), second) == move_places(said, first.then(second))


LABEL = {"house": 255, "building": 255, "road": 128}
SIDE = {"left": (1, 0), "right": (1, 1), "top": (0, 0), "bottom": (0, 1), "upper": (0, 0), "lower": (0, 1)}
"""Word -> (axis of the mask, which half of it)."""


def places_held_against_masks(count: int) -> int:
    """Rewrites the sentences of `count` pairs under every symmetry and looks where the mask then is.

    Read are pairs with a single event that the mask shows, so that every place named is that event's.
    """
    held = 0
    for index in range(count):
        if not is_changed(SEED, index):
            continue
        plan = plan_pair(SEED, index)
        if len(plan.events) != 1 or not shown(plan.events[0]):
            continue
        label = draw_label(plan, 64)
        for said in write_sentences(plan.events, generator(SEED, index, 2)):
            for symmetry in SYMMETRIES:
                moved = move_places(said, symmetry)
                assert moved is not None
                sides = sides_in(moved)
                assert len(sides) == len(sides_in(said))
                for word in sides:
                    axis, half = SIDE[word]
                    centre = np.argwhere(symmetry.of_array(label) == LABEL[plan.events[0].kind]).mean(0)[axis]
                    assert (centre > 31.5) == half, (said, symmetry, moved)
                    held += 1
    return held


def sides_in(sentence: str) -> list[str]:
    return [word for word in re.split("[ -]", sentence) if word in SIDE]


def shown(event: Event) -> bool:
    return event.kind in LABEL and event.place not in ("", "middle")


def test_no_sentence_contradicts_its_mask():
    assert places_held_against_masks(400) > 1000


@pytest.mark.slow
def test_no_sentence_contradicts_its_mask_on_ten_thousand_pairs():
    assert places_held_against_masks(10_000) > 25_000


@pytest.fixture(scope="module")
def captions():
    path = SHARED / "data" / "levir_cc" / "captions.json"
    if not path.exists():
        pytest.skip(f"{path} is not here; set SEMANTIC_CC_SHARED to the directory that holds data/levir_cc")
    images = json.loads(path.read_text())["images"]
    said = (s["raw"].removesuffix(" .").strip() for i in images if i["changeflag"] for s in i["sentences"])
    return [sentence for sentence in said if mentions_place(sentence)]


PLACE_WORD = re.compile(r"\b(?:(?:top|bottom|upper|lower|left|right|above|below)[ -]?)+|\b(?:on|at) ")


def test_real_captions(captions):
    """Lower bounds of docs/augmentation.md; and nothing but places and their prepositions changes."""
    assert len(captions) == 6369
    for symmetry, least in ((MIRROR, 0.99), (FLIP, 0.96), (HALF, 0.95), (TURN, 0.88)):
        pairs = [(said, move_places(said, symmetry)) for said in captions]
        done = [(said, moved) for said, moved in pairs if moved is not None]
        assert len(done) > least * len(captions), symmetry
        for said, moved in done:
            assert other_words(said) == other_words(moved), (said, moved)


def other_words(sentence: str) -> Counter[str]:
    return Counter(PLACE_WORD.sub(" ", sentence).split())

"""The sentences are true: numbers, places, grounds and roads are read back and held against the layout."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from shared import SHARED

from semantic_cc.data.world import UNCHANGED, plan_pair
from semantic_cc.data.world.plan import generator
from semantic_cc.data.world.sentences import LONGEST, write_sentences

SEED, COUNT = 21, 500
NUMBERS = {"a": (1, 1), "two": (2, 2), "three": (3, 3), "four": (4, 4), "five": (5, 5),
           "some": (2, 99999), "several": (3, 8), "many": (9, 99999), "lots of": (9, 99999)}  # fmt: skip
NOUNS = {
    "house": {"house"},
    "villa": {"house"},
    "building": {"house", "building"},
    "parking lot": {"parking lot"},
    "swimming pool": {"pool"},
    "road": {"road"},
    "crossroad": {"road"},
}
# "a t-shaped road" is two roads that meet, so it does not count as a number.
MENTION = re.compile(
    r"\b(a|two|three|four|five|some|several|many|lots of) "
    r"(?:(?:large|big|detached|straight|curved|winding|cement) )?"
    r"(house|villa|building|parking lot|swimming pool|crossroad|road)s?\b"
)
GROUNDS = {"grassland": "grassland", "meadow": "grassland", "grass": "grassland", "bareland": "bareland",
           "wasteland": "bareland", "desert": "desert", "woods": "woods", "forest": "woods"}  # fmt: skip
PLACE = re.compile(
    r"\b(?:top|bottom)(?: (?:left|right) corner)?\b|\b(?:left|right)\b(?! corner)|\b(?:middle|center)\b"
)


@pytest.fixture(scope="module")
def world():
    plans = [plan_pair(SEED, i) for i in range(COUNT)]
    return [(p, write_sentences(p.events, generator(SEED, i, 2))) for i, p in enumerate(plans) if p.changed]


def test_numbers_are_true(world):
    for plan, sentences in world:
        for text in sentences:
            for number, noun in MENTION.findall(text):
                low, high = NUMBERS[number]
                fits = [
                    e
                    for e in plan.events
                    if e.kind in NOUNS[noun] and low <= (1 if noun == "crossroad" else e.count) <= high
                ]
                assert fits, (text, plan.events)


def test_facts_count_what_changed_in_the_layout(world):
    things = {
        "house": "houses",
        "building": "buildings",
        "road": "roads",
        "parking lot": "lots",
        "pool": "pools",
    }
    for plan, _ in world:
        for kind, name in things.items():
            for gone in (False, True):
                n = sum(x.before == gone and x.after != gone for x in getattr(plan, name))
                told = sum(e.count for e in plan.events if (e.kind, e.gone) == (kind, gone))
                assert told == n, (kind, gone, plan.recipe)
        assert not (plan.trees.after & ~plan.trees.before).any()


def test_places_are_true(world):
    for plan, sentences in world:
        for event in plan.events:
            x, y = (np.clip(np.array([(b.x, b.y) for b in event.boxes]), 0, 256) / 256).T
            if "left" in event.place:
                assert x.max() < 0.57
            if "right" in event.place:
                assert x.min() > 0.43
            if "top" in event.place:
                assert y.max() < 0.57
            if "bottom" in event.place:
                assert y.min() > 0.43
        places = {e.place for e in plan.events}
        for text in sentences:
            for found in PLACE.findall(text):
                assert found.replace("center", "middle") in places, (text, places)


def test_grounds_are_true(world):
    for plan, sentences in world:
        grounds = {e.ground for e in plan.events}
        kinds = {plan.ground, "woods", *(p.kind for p in plan.patches)}
        assert grounds - {""} <= kinds
        for text in sentences:
            named = {GROUNDS[w] for w in text.split() if w in GROUNDS}
            assert named <= grounds, (text, plan.events)
            if "woods" in named or "trees" in text:
                assert (plan.trees.before & ~plan.trees.after).any(), text


def test_roads_are_true(world):
    for plan, sentences in world:
        events = [e for e in plan.events if e.kind != "road"]
        for text in sentences:
            if re.search(r"(along|beside|next to|near|sides? of) the (newly built )?roads?\b", text):
                assert any(e.road for e in events), text
            if "cement road" in text:
                assert any(r.tone == "cement" and r.after and not r.before for r in plan.roads), text
            if "newly built" in text:
                assert any(e.road == "new" for e in events) and any(
                    r.after and not r.before for r in plan.roads
                )
            if "both sides" in text:
                assert any(e.sides == 2 for e in events), text
            if "one side" in text:
                assert any(e.sides == 1 for e in events), text
            for number, rows in (("a row", 1), ("two rows", 2), ("three rows", 3), ("four rows", 4)):
                if number in text:
                    assert any(e.rows == rows for e in events), text


def test_houses_told_beside_a_road_are_near_it(world):
    for plan, _ in world:
        for event in (e for e in plan.events if e.kind == "house" and e.road):
            roads = [r for r in plan.roads if r.after]
            for box in event.boxes:
                assert min(box.distance(r.path).min() - r.width / 2 for r in roads) < 45


def test_coming_and_going_are_not_mixed_up(world):
    went = re.compile(
        r"(house|villa|building)s? (?:is|are|has been|have been)? ?(removed|demolished|disappears?)"
    )
    for plan, sentences in world:
        for text in sentences:
            if went.search(text):
                assert any(e.gone and e.kind in ("house", "building") for e in plan.events), text


def test_form(world):
    assert len({s for _, five in world for s in five}) > len(world) * 3
    for _, five in world:
        assert len(set(five)) == 5
        for text in five:
            assert re.fullmatch(r"[a-z-]+( [a-z-]+)+", text), text
            assert 3 <= len(text.split()) <= LONGEST


def test_kinds_of_change_are_varied(world):
    gone = sum(any(e.gone and e.kind != "tree" for e in p.events) for p, _ in world) / len(world)
    assert 0.07 < gone < 0.2
    assert {e.kind for p, _ in world for e in p.events} == {
        "house",
        "building",
        "road",
        "parking lot",
        "tree",
        "pool",
    }


def test_unchanged_sentences_are_the_datasets():
    assert write_sentences((), generator(0, 0, 2)) == UNCHANGED
    assert UNCHANGED[0] == "there is no difference" and UNCHANGED[4] == "almost nothing has changed"


def test_words_are_the_datasets(world):
    path = SHARED / "data" / "levir_cc" / "captions.json"
    if not path.exists():
        pytest.skip(f"{path} is not here; set SEMANTIC_CC_SHARED to the directory that holds data/levir_cc")
    images = json.loads(path.read_text())["images"]
    known = {w for i in images if i["split"] == "train" for s in i["sentences"] for w in s["raw"].split()}
    assert {w for _, five in world for s in five for w in s.split()} <= known

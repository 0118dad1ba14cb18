"""The sentences are true: numbers, places, grounds and roads are read back and held against the layout."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from shared import SHARED

from semantic_cc.metrics.consistency import check_sentence
from semantic_cc.synth.procedural import UNCHANGED, draw_label, plan_pair
from semantic_cc.synth.procedural.caption_writer import LONGEST, SHORTEST, write_sentences
from semantic_cc.synth.procedural.pair_plan import generator

SEED, COUNT = 21, 500
NUMBERS = {"a": (1, 1), "two": (2, 2), "three": (3, 3), "four": (4, 4), "five": (5, 5),
           "some": (2, 99999), "several": (3, 8), "many": (9, 99999), "lots of": (9, 99999),
           "massive": (9, 99999), "more": (2, 99999), "a few": (3, 4)}  # fmt: skip
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
    r"\b(a|a few|two|three|four|five|some|several|many|lots of|massive|more) "
    r"(?:(?:large|big|small|detached|straight|curved|winding|cement) )?"
    r"(house|villa|building|parking lot|swimming pool|crossroad|road)s?\b"
)
GROUNDS = {"grassland": "grassland", "meadow": "grassland", "grass": "grassland", "bareland": "bareland",
           "wasteland": "bareland", "space": "bareland", "clearing": "bareland", "desert": "desert",
           "woods": "woods", "forest": "woods"}  # fmt: skip
PLACE = re.compile(r"\b(?:top|bottom|upper|lower)(?:[ -](?:left|right))?\b|\b(?:left|right|middle|center)\b")
SAME = {"upper": "top", "lower": "bottom", "center": "middle"}


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
                assert told == n, (kind, gone, plan.scenario)
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
                words = [SAME.get(word, word) for word in re.split("[ -]", found)]
                assert " ".join([*words, "corner"] if len(words) == 2 else words) in places, (text, places)


def test_grounds_are_true(world):
    for plan, sentences in world:
        grounds = {e.ground for e in plan.events}
        kinds = {plan.ground, "woods", *(p.kind for p in plan.patches)}
        assert grounds - {""} <= kinds
        for text in sentences:
            named = {GROUNDS[w] for w in text.split() if w in GROUNDS}
            assert named <= grounds, (text, plan.events)
            if "woods" in named or re.search("trees|plants|bushes|vegetation", text):
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
            for house in plan.houses:
                if house.before == event.gone and house.after != event.gone:
                    assert min(r.gap(b.grid()).min() for r in roads for b in house.boxes) < 45


def test_coming_and_going_are_not_mixed_up(world):
    went = re.compile(
        r"(house|villa|building)s? (?:is|are|has|have|has been|have been)? ?(?:removed|demolished|disappear|vanish)"
    )
    for plan, sentences in world:
        for text in sentences:
            if went.search(text):
                assert any(e.gone and e.kind in ("house", "building") for e in plan.events), text


def test_what_is_said_of_other_houses_is_true(world):
    said = 0
    for plan, sentences in world:
        old = [h.boxes[0] for h in plan.houses if h.before and h.after]
        for text in sentences:
            if re.search(r"\bmore (?:houses|buildings)\b", text):
                assert old, text
            if "original house" in text:
                fresh = [h.boxes[0] for h in plan.houses if h.before != h.after]
                assert min(np.hypot(a.x - b.x, a.y - b.y) for a in fresh for b in old) < 75, text
                said += 1
            if "small" in text:
                assert any(e.small and e.boxes[0].w * e.boxes[0].h < 620 for e in plan.events), text
    assert said


def test_both_sides_of_every_road_have_new_houses(world):
    for plan, _ in world:
        for event in plan.events:
            if event.sides == 2:
                changed = [h for h in plan.houses if h.before == event.gone and h.after != event.gone]
                for road in {h.road for h in changed}:
                    for side in (-1, 1):
                        assert sum((h.road, h.side) == (road, side) for h in changed) >= 2


def test_no_sentence_contradicts_its_mask(world):
    """Held against the mask by the same reader that judges models; what it misreads is under one in fifty."""
    wrong = total = 0
    for plan, sentences in world[:120]:
        mask = draw_label(plan)
        for text in sentences:
            total += 1
            wrong += any(not check.agrees for check in check_sentence(text, mask))
    assert wrong <= 0.02 * total, (wrong, total)


def test_form(world):
    assert len({s for _, five in world for s in five}) > len(world) * 3
    for _, five in world:
        assert len(set(five)) == 5
        for text in five:
            assert re.fullmatch(r"[a-z-]+( [a-z-]+)+", text), text
            assert SHORTEST <= len(text.split()) <= LONGEST


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


@pytest.fixture(scope="module")
def captions() -> Path:
    path = SHARED / "data" / "levir_cc" / "captions.json"
    if not path.exists():
        pytest.skip(f"{path} is not here; set SEMANTIC_CC_SHARED to the directory that holds data/levir_cc")
    return path


def test_words_are_the_datasets(world, captions):
    images = json.loads(captions.read_text())["images"]
    known = {w for i in images if i["split"] == "train" for s in i["sentences"] for w in s["raw"].split()}
    assert {w for _, five in world for s in five for w in s.split()} <= known


def test_lengths_counts_and_places_stay_near_the_real_ones(world, captions):
    """The distances that runs/caption_words.py prints, with room for the smaller number of pairs."""
    script = runpy.run_path(str(Path(__file__).resolve().parents[3] / "runs" / "caption_words.py"))
    real, ours = script["real_sentences"](captions), [text for _, five in world for text in five]
    for name, most in (("words in a sentence", 0.2), ("count words", 0.2), ("place words", 0.26)):
        assert (
            script["distance"](*(script["count"](t, script["FEATURES"][name]) for t in (real, ours))) < most
        ), name

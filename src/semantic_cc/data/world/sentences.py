"""Facts -> five sentences in LEVIR-CC's manner. Knows events only, no layout and no pixels."""

from __future__ import annotations

import numpy as np

from semantic_cc.errors import SemanticCCError

from .layout import Event
from .phrases import (
    Choose,
    counted,
    house_subjects,
    on_ground,
    place_tail,
    plural_of,
    road_subject,
    road_tail,
    short_clause,
    verb_came,
    verb_gone,
)

UNCHANGED = (
    "there is no difference",
    "the two scenes seem identical",
    "the scene is the same as before",
    "no change has occurred",
    "almost nothing has changed",
)
"""The five sentences of every unchanged pair, as in LEVIR-CC and in its order."""

SHORTEST, LONGEST = 5, 16
"""Words of a sentence; a shorter one is taken only where the facts give no five longer ones."""


def write_sentences(events: tuple[Event, ...], rng: np.random.Generator) -> tuple[str, ...]:
    """Five different true sentences about `events`; `UNCHANGED` where there are none.

    Args:
        events: the facts, the weightiest first.
        rng: draws the phrasing; the same state gives the same sentences.
    """
    if not events:
        return UNCHANGED

    def pick(*options: str) -> str:
        return options[int(rng.integers(len(options)))]

    out: list[str] = []
    # Most people name the main change; with several changes about half the sentences join two.
    for attempt in range(400):
        if len(events) > 1 and rng.random() < 0.5:
            text = _joined(events, pick, rng)
        else:
            main = events[0] if rng.random() < 0.85 else events[int(rng.integers(len(events)))]
            text = _single(main, pick)
        text = " ".join(text.split())
        least = SHORTEST if attempt < 100 else 3
        if text not in out and least <= len(text.split()) <= LONGEST:
            out.append(text)
        if len(out) == 5:
            return tuple(out)
    raise SemanticCCError(f"world: no five sentences for {events}; report this as a bug")  # pragma: no cover


def _single(e: Event, pick: Choose) -> str:
    if e.kind == "road":
        return _road(e, pick)
    if e.kind == "tree":
        return _tree(e, pick)
    subject, plural = house_subjects(e, pick) if e.kind == "house" else counted(e, pick)
    if e.gone:
        tail = pick(place_tail(e, pick), place_tail(e, pick), road_tail(e, pick), "")
        return f"{subject} {verb_gone(plural, pick)} {tail}"
    verb = verb_came(plural, pick)
    road, ground, place = road_tail(e, pick), on_ground(e, pick), place_tail(e, pick)
    if e.kind == "pool":
        return pick(
            f"{subject} {verb} {place}",
            f"{subject} {verb} beside the house" if e.count == 1 else f"{subject} {verb} beside the houses",
        )
    forms = [f"{subject} {verb} {road}", f"{subject} {verb} {ground}", f"{subject} {verb} {place}",
             f"{subject} {verb} {ground} {place}", f"{subject} {verb} {road} {place}"]  # fmt: skip
    if road and e.ground != "woods":
        forms += [f"{subject} {verb} {road} {ground}"]
    if e.trees:
        cleared = pick("the trees are removed and", "some trees are removed and", "trees are cut down and")
        forms += [f"{cleared} {subject} {verb} {road}", f"{cleared} {subject} {verb} {place}"]
    if e.ground == "woods":
        replace = "replace" if plural else "replaces"
        lost = pick("the woods", "the trees", "the forest")
        forms += [
            f"{subject} {replace} {lost} {pick(road, place, '')}",
            f"{subject} {verb} in place of the {pick('woods', 'forest')}",
        ]
    elif e.kind == "home" and e.count > 8 and not (e.ground or e.place):
        forms += ["a residential area appears", f"a residential area with {subject} appears"]
    elif e.ground and e.kind in ("house", "home") and e.count > 8 and not e.place:
        forms += [
            f"a residential area with {subject} appears {ground}",
            f"the {pick(*_LAND[e.ground])} becomes a residential area",
        ]
    return pick(*forms)


_LAND = {"grassland": ("grassland", "meadow"), "bareland": ("bareland", "wasteland"), "desert": ("desert",),
         "field": ("field",)}  # fmt: skip


def _road(e: Event, pick: Choose) -> str:
    subject, plural = road_subject(e, pick)
    verb = verb_came(plural, pick)
    forms = [
        f"{subject} {verb} {on_ground(e, pick)}",
        f"{subject} {verb} {place_tail(e, pick)}",
        f"{subject} {verb}",
    ]
    if e.trees:
        cut = pick("the trees are removed and", "some trees are removed and")
        forms += [f"{cut} {subject} {verb}"]
    return pick(*forms)


def _tree(e: Event, pick: Choose) -> str:
    subject, _ = counted(e, pick)
    verb = pick("are removed", "disappear", "have been removed", "are cut down", "have been cut down")
    return f"{subject} {verb} {pick(place_tail(e, pick), '')}"


def _joined(events: tuple[Event, ...], pick: Choose, rng: np.random.Generator) -> str:
    """Two events in one sentence."""
    first = events[0]
    other = events[1] if len(events) == 2 or rng.random() < 0.7 else events[int(rng.integers(2, len(events)))]
    kinds = {first.kind, other.kind}
    house = next((e for e in (first, other) if e.kind == "house" and not e.gone), None)
    road = next((e for e in (first, other) if e.kind == "road"), None)
    if house and road:
        return _houses_and_road(house, road, pick)
    if kinds == {"building", "parking lot"} and not first.gone and first.count == other.count == 1:
        verb = verb_came(False, pick)
        big = pick("a large building", "a building", "a big building")
        return f"{big} with a parking lot {verb} {pick(on_ground(first, pick), road_tail(first, pick), '')}"
    parts = [short_clause(e, pick) for e in (first, other)]
    if rng.random() < 0.3:
        parts.reverse()
    return " and ".join(parts)


def _houses_and_road(house: Event, road: Event, pick: Choose) -> str:
    homes, _ = house_subjects(house, pick)
    way, _ = road_subject(road, pick)
    ground = on_ground(house, pick) if house.ground == road.ground else ""
    verb = verb_came(True, pick)
    forms = [f"{homes} and {way} {verb} {ground}", f"{way} and {homes} {verb} {ground}"]
    if house.road == "new" and house.roads == road.count:
        roads = "roads" if road.count > 1 else "road"
        link = "with houses built along" if house.count > 1 else "with a house built beside"
        forms += [
            f"{way} {verb_came(plural_of(way), pick)} {link}",
            f"{homes} {verb_came(house.count > 1, pick)} along the newly built {roads}",
        ]
        if house.sides == 2:
            forms += [f"{way} {verb_came(plural_of(way), pick)} with {homes} on both sides"]
    if house.ground == "woods" and road.ground == "woods":
        forms += [
            f"{pick('the woods', 'the trees')} {pick('are', 'have been')} replaced by {way} and {homes}"
        ]
    return pick(*forms)

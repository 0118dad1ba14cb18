"""Writes five LEVIR-CC style captions from change events; does not access the layout or the pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from semantic_cc.errors import SemanticCCError
from semantic_cc.synth.procedural.caption_phrases import (
    Choose,
    bare_of,
    clearing,
    counted,
    house_subjects,
    on_ground,
    place_tail,
    road_subject,
    road_tail,
    short_clause,
    tail_of,
    tree_verb,
    verb_came,
    verb_gone,
)
from semantic_cc.synth.procedural.scene_objects import Event

UNCHANGED = (
    "there is no difference",
    "the two scenes seem identical",
    "the scene is the same as before",
    "no change has occurred",
    "almost nothing has changed",
)
"""The five captions of every unchanged pair, in the order of LEVIR-CC."""

SHORTEST, LONGEST = 3, 21
"""Minimum and maximum number of words in a caption."""

_SHORT = {SHORTEST: 0.1, 4: 0.1, 5: 0.15, 6: 0.35, 7: 0.5, 8: 0.8}
"""Number of words -> probability of accepting a short caption while longer ones are available."""


def write_sentences(events: tuple[Event, ...], rng: np.random.Generator) -> tuple[str, ...]:
    """Writes five different correct captions for `events`; `UNCHANGED` if there are no events.

    Args:
        events: the change events, most important first.
        rng: selects the phrasing; the same state gives the same captions.
    """
    if not events:
        return UNCHANGED
    pick = _chooser(rng)
    events = _one_place(events)
    out: list[str] = []
    # Annotators usually name the main change; with several changes more than half of the captions combine two.
    for attempt in range(400):
        if len(events) > 1 and rng.random() < 0.72:
            text = _joined(events, pick, rng)
        else:
            main = events[0] if rng.random() < 0.8 else events[int(rng.integers(len(events)))]
            text = _single(main, pick)
        text = " ".join(text.split())
        words = len(text.split())
        taken = attempt >= 100 or rng.random() < _SHORT.get(words, 1.0)
        if taken and text not in out and SHORTEST <= words <= LONGEST:
            out.append(text)
        if len(out) == 5:
            return tuple(out)
    raise SemanticCCError(
        f"synthetic pairs: no five sentences for {events}; report this as a bug"
    )  # pragma: no cover


def _one_place(events: tuple[Event, ...]) -> tuple[Event, ...]:
    """Keeps only the location of the main change: annotators do not write captions with two locations."""
    place = events[0].place
    return tuple(e if e.place == place else replace(e, place="") for e in events)


def _chooser(rng: np.random.Generator) -> Choose:
    def pick(*options: str | tuple[str, float]) -> str:
        pairs = [o if isinstance(o, tuple) else (o, 1.0) for o in options]
        at = rng.random() * sum(w for _, w in pairs)
        for text, weight in pairs:
            at -= weight
            if at < 0:
                return text
        return pairs[-1][0]

    return pick


def _single(e: Event, pick: Choose) -> str:
    if e.kind == "road":
        return _road(e, pick)
    if e.kind == "tree":
        subject, plural = counted(e, pick)
        where = tail_of(pick, place_tail(e, pick), ("in the scene", bare_of(e)))
        return f"{subject} {tree_verb(plural, pick)} {where}"
    subject, plural = house_subjects(e, pick) if e.kind == "house" else counted(e, pick)
    road, ground, place, bare = road_tail(e, pick), on_ground(e, pick), place_tail(e, pick), bare_of(e)
    if e.gone:
        where = tail_of(pick, (place, 1.5), (road, 1.5 * bare), f"{road} {place}", (near_old(e), 0.7 * bare))
        return f"{subject} {verb_gone(plural, pick)} {where}"
    verb = verb_came(plural, pick)
    if e.kind == "pool":
        beside = "beside the house" if e.count == 1 else "beside the houses"
        return pick(f"{subject} {verb} {place}", (f"{subject} {verb} {beside}", bare))
    tails: list[str | tuple[str, float]] = [
        (road, 1.8 * bare), (ground, 1.8 * bare), (place, 0.6), (f"{ground} {place}", 0.7), (f"{road} {place}", 0.7),
        (near_old(e), 1.5 * bare), (f"{near_old(e)} {place}" if near_old(e) else "", 1),
    ]  # fmt: skip
    if road and e.ground != "woods":
        tails += [(f"{road} {ground}", 2 * bare), (f"{road} {ground} {place}", 0.8)]
    plain = f"{subject} {verb} {tail_of(pick, *tails)}"
    forms: list[str | tuple[str, float]] = [(plain, 6)]
    if e.trees:
        where = tail_of(pick, (road, bare), place, f"{road} {place}")
        forms += [(f"{clearing(pick)} {subject} {verb} {where}", 1.2)]
    if e.ground == "woods":
        lost = pick("the woods", "the trees", "the forest")
        are = "is" if lost == "the forest" else "are"
        where = tail_of(pick, (road, bare), place, f"{road} {place}")
        forms += [
            (f"{subject} {'replace' if plural else 'replaces'} {lost} {where}", 3),
            (f"{lost} {are} replaced by {subject} {where}", 1.5),
            (f"{subject} {verb} in place of {lost}", 0.3 * bare),
        ]
    elif e.kind == "home" and e.count > 8 and not (e.ground or e.place):
        forms += ["a residential area appears", f"a residential area with {subject} appears"]
    elif e.ground and e.kind in ("house", "home") and e.count > 8 and not e.place:
        land = pick(*_LAND[e.ground])
        forms += [
            f"a residential area with {subject} {verb_came(False, pick)} {ground}",
            (f"the {land} becomes a residential area", 0.5),
            (f"the {land} is replaced by {subject} {road}", 0.7),
        ]
    return pick(*forms)


_LAND = {"grassland": ("grassland", "meadow"), "bareland": ("bareland", "wasteland"), "desert": ("desert",),
         "field": ("field",)}  # fmt: skip


_ACROSS = {
    "grassland": "the grass",
    "bareland": "the bareland",
    "desert": "the desert",
    "woods": "the forest",
    "field": "the field",
}


def near_old(e: Event) -> str:
    """The phrase for an adjacent older house; "" if there is none nearby."""
    return "next to the original house" if e.beside and e.count == 1 else ""


def _road(e: Event, pick: Choose) -> str:
    subject, plural = road_subject(e, pick)
    verb, ground, place = verb_came(plural, pick), on_ground(e, pick), place_tail(e, pick)
    through = e.ground and e.shape in ("straight", "curved") and not e.place
    across = f"across {_ACROSS[e.ground]}" if through else ""
    bare = bare_of(e)
    where = tail_of(pick, (ground, 2 * bare), place, f"{ground} {place}", (across, 2))
    plain = f"{subject} {verb} {pick((where, 6), ('', bare))}"
    return pick((plain, 2), f"{clearing(pick)} {subject} {verb} {place}") if e.trees else plain


def _joined(events: tuple[Event, ...], pick: Choose, rng: np.random.Generator) -> str:
    """Combines two events in one caption."""
    first = events[0]
    other = events[1] if len(events) == 2 or rng.random() < 0.7 else events[int(rng.integers(2, len(events)))]
    kinds = {first.kind, other.kind}
    house = next((e for e in (first, other) if e.kind == "house" and not e.gone), None)
    road = next((e for e in (first, other) if e.kind == "road"), None)
    if house and road:
        return _houses_and_road(house, road, pick)
    if kinds == {"building", "parking lot"} and not first.gone and not other.gone and other.count == 1:
        big, plural = counted(first, pick)
        bare, place = bare_of(first), place_tail(first, pick)
        tail = pick(*((text, bare) for text in (on_ground(first, pick), road_tail(first, pick), "")), place)
        link = pick("with", ("and", 0.5))
        return f"{big} {link} a parking lot {verb_came(plural or link == 'and', pick)} {tail}"
    parts = [short_clause(e, pick) for e in (first, other)]
    # Removed trees are usually named before the new objects.
    if other.kind == "tree" or rng.random() < 0.3:
        parts.reverse()
    return " and ".join(parts)


def _houses_and_road(house: Event, road: Event, pick: Choose) -> str:
    homes, many = house_subjects(house, pick)
    way, plural = road_subject(road, pick)
    ground = on_ground(house, pick) if house.ground == road.ground else ""
    place = place_tail(house, pick) if house.place == road.place else ""
    where = tail_of(pick, (ground, 2 * bare_of(house) if place else 2), place, f"{ground} {place}")
    verb, verb_way = verb_came(True, pick), verb_came(plural, pick)
    if (house.place or road.place) and house.place != road.place:  # only one of them has a location
        part = pick((place_tail(road, pick), 3), (ground, bare_of(road)), ("", bare_of(road)))
        return f"{way} {verb_way} {part} and {short_clause(house, pick)}"
    forms: list[str | tuple[str, float]] = [
        (f"{homes} and {way} {verb} {where}", 2),
        (f"{way} and {homes} {verb} {where}", 2),
        (f"{way} {verb_way} {pick(place_tail(road, pick), ground, '')} and {short_clause(house, pick)}", 2),
    ]
    if house.road == "new" and house.roads == road.count:
        several = house.count > 1
        some = pick((homes, 2), *(("houses", "villas") if several else ("a house",)))
        along = pick(("built along", 2), "built around") if several else "built beside"
        roads = "roads" if road.count > 1 else "road"
        forms += [
            (f"{way} with {some} {along} {verb_way} {where}", 3),
            (f"{way} {verb_way} {where} with {some} {along}", 2.5),
            (f"{homes} {verb_came(many, pick)} along the newly built {roads} {ground}", 0.7),
            (f"{homes} along the {roads} {verb_came(many, pick)} {where}", 0.7),
        ]
        if house.sides == 2:
            road_of = pick(f" of the {roads}", ("", 2))
            forms += [
                (f"{way} with {some} on both sides {verb_way} {where}", 3),
                (f"{way} {verb_way} {where} with {some} on both sides{road_of}", 2.5),
            ]
    if house.count > 8:
        forms += [(f"a residential area with {way} and {homes} {verb_came(False, pick)} {where}", 1)]
    if house.ground == "woods" and road.ground == "woods":
        lost = pick("the woods", "the trees")
        forms += [(f"{lost} {pick('are', 'have been')} replaced by {way} and {homes}", 2)]
    plain = pick(*forms)
    return f"{clearing(pick)} {plain}" if house.trees and pick(("", 3), "clear") else plain

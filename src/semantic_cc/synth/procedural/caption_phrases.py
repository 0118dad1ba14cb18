"""Caption phrases: subjects with counts, verbs, and phrases for location, ground and road.

The weights follow the word frequencies of the LEVIR-CC training captions for the objects that procedural pairs contain
(runs/caption_words.py prints the comparison).
"""

from __future__ import annotations

from collections.abc import Callable

from semantic_cc.synth.procedural.scene_objects import Event

Choose = Callable[..., str]
"""Selects one of its arguments at random; each is a text (weight 1) or a (text, weight) pair."""

AT_LEAST = ("home", "roof")
"""Event kinds whose count is a lower bound: "home" for houses, "roof" for buildings of any type."""

_PLURAL: dict[str, tuple[str | tuple[str, float], ...]] = {
    "house": (("houses", 6), ("buildings", 2.2), ("villas", 1.6)),
    "home": (("houses", 6), ("buildings", 2.2)),
    "building": ("buildings",),
    "roof": ("buildings",),
    "parking lot": ("parking lots",),
    "tree": ("trees",),
    "pool": ("swimming pools",),
}
_SINGLE: dict[str, tuple[str | tuple[str, float], ...]] = {
    "house": (("house", 5), ("building", 2.5), ("villa", 1.6)),
    "home": (("house", 5), ("building", 2.5)),
    "roof": ("building",),
    "building": (("building", 2), "large building", ("big building", 0.3)),
    "parking lot": (("parking lot", 4), "large parking lot"),
    "tree": ("tree",),
    "pool": ("swimming pool",),
}
_TREES = (("trees", 4), "plants", ("vegetation", 0.6), ("bushes", 0.2))
_ROADS: dict[str, tuple[str | tuple[str, float], ...]] = {
    "straight": (("a road", 6), "a straight road"),
    "curved": (("a road", 4), "a winding road", ("a curved road", 0.4)),
    "crossroad": ("a crossroad", ("two roads", 2), "some roads", ("roads", 0.5)),
    "t-shaped": ("a t-shaped road", "two roads", "some roads", ("roads", 0.3)),
}
_GROUND: dict[str, tuple[str | tuple[str, float], ...]] = {
    "grassland": (("on the grass", 2), ("on the meadow", 1.5), "on the grassland"),
    "bareland": (("on the bareland", 6), ("on bareland", 1.5), ("in the bareland", 1.5), "in the open space",
                 "in the clearing", ("on the wasteland", 0.6)),
    "desert": (("in the desert", 3), "on the desert"),
    "woods": (("in the woods", 2), ("in the forest", 1.5), ("among the trees", 0.6)),
    "field": ("in the field", "on the field"),
}  # fmt: skip


def number_words(kind: str, count: int) -> tuple[str | tuple[str, float], ...]:
    """The correct number words for `count`: exact numbers for small counts, "some" or "several" from 3, "many" from 9.

    Kinds in `AT_LEAST` get "some" or a bare plural below 9, and "many", "lots of" or "some" from 9.
    """
    if count == 1:
        return ("a",)
    if kind in AT_LEAST:
        return ("some", "some", "") if count < 9 else ("many", "many", "lots of", "some")
    if kind == "tree":
        return (("some", 2), "several") if count < 15 else (("many", 2), ("some", 2), ("lots of", 0.3))
    if count == 2:
        return ("two",)
    if count == 3:
        return (("three", 4), ("some", 1.5), "several", ("a few", 0.3))
    if count <= 8:
        exact = {4: ("four", 1.2), 5: ("five", 0.4)}
        return (("some", 3), ("several", 1.3), *([exact[count]] if count in exact else []))
    return (("many", 6), ("some", 1), ("lots of", 0.4), *([("massive", 0.5)] if kind == "house" else []))


def counted(e: Event, pick: Choose) -> tuple[str, bool]:
    """The counted subject and whether it takes a plural verb, for example ("some houses", True)."""
    if e.kind == "tree":
        noun = pick(*_TREES)
        if noun == "vegetation":
            return pick("the vegetation", "some vegetation"), False
        return pick((f"{pick(*number_words('tree', e.count))} {noun}", 3), noun, (f"the {noun}", 0.4)), True
    noun = pick(*(_SINGLE if e.count == 1 else _PLURAL)[e.kind])
    n = pick(*number_words(e.kind, e.count))
    if e.kind == "house" and n != "massive" and e.count > 2 and noun == "houses":
        noun = pick(("houses", 9), "detached houses")
    if e.small and noun in ("house", "building"):
        noun = pick(noun, f"small {noun}")
    if e.more and e.count > 1 and noun in ("houses", "buildings"):
        n = pick((n, 12), "more")
    if e.kind == "house" and e.count > 2:
        return pick((f"{n} {noun}", 18), noun), True
    return f"{n} {noun}", e.count > 1


def house_subjects(e: Event, pick: Choose) -> tuple[str, bool]:
    """As `counted`; houses in rows may be described as rows."""
    if 1 <= e.rows <= 4 and pick("rows", ("count", 2)) == "rows":
        noun = pick(("houses", 5), "villas", "detached houses", "buildings")
        n = ("a row of", "two rows of", "three rows of", "four rows of")[e.rows - 1]
        if e.rows > 1:
            n = pick(n, "rows of")
        return f"{n} {noun}", e.rows > 1
    return counted(e, pick)


def road_subject(e: Event, pick: Choose) -> tuple[str, bool]:
    """The subject of a road event, and whether it takes a plural verb."""
    if e.count == 1 and e.tone == "cement" and pick("tone", ("shape", 12)) == "tone":
        text = "a cement road"
    elif e.shape in _ROADS:
        text = pick(*_ROADS[e.shape])
    elif e.count == 1:
        text = "a road"
    else:
        text = pick("two roads", ("some roads", 1.5), ("roads", 0.5)) if e.count == 2 else "some roads"
    return text, plural_of(text)


def plural_of(subject: str) -> bool:
    """Whether a subject takes a plural verb."""
    return not subject.startswith(("a ", "the vegetation", "some vegetation"))


def verb_came(plural: bool, pick: Choose) -> str:
    """A verb phrase for an appearance."""
    are, have, s = ("are", "have", "") if plural else ("is", "has", "s")
    return pick(
        (f"{are} built", 7), (f"{are} constructed", 2.2), (f"appear{s}", 7.5), (f"{have} been built", 1.4),
        (f"{have} been constructed", 0.5), (f"{have} appeared", 0.4), (f"show{s} up", 0.4), (f"{are} erected", 0.25),
    )  # fmt: skip


def verb_gone(plural: bool, pick: Choose) -> str:
    """A verb phrase for a disappearance."""
    are, have, s = ("are", "have", "") if plural else ("is", "has", "s")
    return pick(
        (f"{are} removed", 2), (f"disappear{s}", 2), (f"{have} been removed", 0.7), (f"{have} disappeared", 0.5),
        (f"{are} demolished", 0.3), (f"{have} vanished", 0.2),
    )  # fmt: skip


def on_ground(e: Event, pick: Choose) -> str:
    """The phrase for the previous ground; "" where the ground is mixed."""
    return pick(*_GROUND[e.ground]) if e.ground else ""


def place_tail(e: Event, pick: Choose) -> str:
    """The phrase for the location in the scene; "" or "in the scene" where the event has no place."""
    p = e.place
    if not p:
        plain = e.kind in AT_LEAST or (e.kind == "building" and e.count > 1)  # few other words
        return pick("", "in the scene") if plain else ""
    if p.endswith("corner"):
        down, across, _ = p.split()
        corner = f"upper {across}" if down == "top" else f"lower-{across}"  # spelled as in LEVIR-CC
        return pick(
            (f"in the {p}", 1.2), f"in the {p} of the scene", (f"at the {p}", 0.5), (f"at the {down} {across}", 0.6),
            (f"in the {corner} corner", 1.3),
        )  # fmt: skip
    if p == "middle":
        return pick(
            "in the middle of the scene", "in the middle", "in the center", "in the center of the scene"
        )
    if p in ("left", "right"):
        return pick((f"on the {p} side of the scene", 1.2), (f"on the {p}", 2), (f"on the {p} side", 0.6))
    return pick(f"at the {p} of the scene", (f"at the {p}", 2))


def bare_of(e: Event) -> float:
    """The weight of a phrase without the location: annotators usually name the location if there is one."""
    return 0.1 if e.place else 1.0


def road_tail(e: Event, pick: Choose) -> str:
    """The phrase for the adjacent road; "" where there is none."""
    if not e.road:
        return ""
    noun = "road" if e.roads == 1 else "roads"
    new = e.road == "new" and not e.gone
    if e.sides == 2:
        return pick((f"on both sides of the {noun}", 2), f"along the {noun}", (f"around the {noun}", 0.5))
    if e.count == 1 or e.kind != "house":
        return pick(
            (f"beside the {noun}", 3), (f"next to the {noun}", 1.2), (f"near the {noun}", 1.5),
            (f"by the {noun}", 0.3), ("by the roadside", 0.6), *((f"beside the newly built {noun}",) if new else ()),
        )  # fmt: skip
    one_side = (f"on one side of the {noun}",) if e.sides == 1 else ()
    return pick(
        (f"along the {noun}", 2), (f"beside the {noun}", 1.2), (f"near the {noun}", 1), (f"around the {noun}", 0.9),
        *one_side, *(((f"along the newly built {noun}", 0.5),) if new else ()),
    )  # fmt: skip


def short_clause(e: Event, pick: Choose) -> str:
    """A short clause for one event, to be joined with another clause."""
    if e.kind == "road":
        subject, plural = road_subject(e, pick)
    else:
        subject, plural = house_subjects(e, pick) if e.kind == "house" else counted(e, pick)
    bare, place = bare_of(e), place_tail(e, pick)
    if e.gone:
        verb = verb_gone(plural, pick) if e.kind != "tree" else tree_verb(plural, pick)
        return f"{subject} {verb} {pick((place if e.place else '', 1), ('', bare))}".strip()
    road = road_tail(e, pick) if e.kind != "road" else ""
    tail = tail_of(pick, (place, 0.8), (on_ground(e, pick), bare), (road, 2 * bare))
    return f"{subject} {verb_came(plural, pick)} {pick((tail, 2.5), ('', bare))}".strip()


def tail_of(pick: Choose, *options: tuple[str, float] | str) -> str:
    """One of the non-empty `options`; "" if all are empty."""
    full = [o for o in options if (o if isinstance(o, str) else o[0]).strip()]
    return pick(*full) if full else ""


def tree_verb(plural: bool, pick: Choose) -> str:
    """A verb phrase for the removal of trees."""
    are, have, s = ("are", "have", "") if plural else ("is", "has", "s")
    return pick(
        (f"{are} removed", 6), (f"disappear{s}", 1.5), (f"{have} been removed", 1.5), (f"{are} cut down", 0.5),
        (f"{have} disappeared", 0.4),
    )  # fmt: skip


def clearing(pick: Choose) -> str:
    """A clause for trees removed to make room for new objects."""
    noun = pick(*_TREES)
    subject = pick(noun, f"the {noun}", f"some {noun}")
    return f"{subject} {tree_verb(noun != 'vegetation', pick)} and"

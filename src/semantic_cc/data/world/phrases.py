"""The parts of the sentences: subjects with their number, verbs, and tails of place, ground and road."""

from __future__ import annotations

from collections.abc import Callable

from .layout import Event

Choose = Callable[..., str]
"""Picks one of its arguments."""

AT_LEAST = ("home", "roof")
"""Kinds of events whose count is a lower bound: buildings that are houses, buildings of any kind."""

_NUMBERS = ("", "a", "two", "three", "four", "five")
_PLURAL = {
    "house": ("houses", "houses", "houses", "villas", "buildings"),
    "home": ("houses", "houses", "houses", "buildings"),
    "building": ("buildings",),
    "roof": ("buildings",),
    "parking lot": ("parking lots",),
    "tree": ("trees", "trees", "plants"),
    "pool": ("swimming pools",),
}
_SINGLE = {
    "house": ("house", "house", "house", "villa", "building"),
    "home": ("house", "house", "house", "building"),
    "building": ("large building", "building", "big building"),
    "roof": ("building",),
    "parking lot": ("parking lot",),
    "tree": ("tree",),
    "pool": ("swimming pool",),
}
_ROADS = {
    "straight": ("a road", "a road", "a straight road"),
    "curved": ("a road", "a curved road", "a winding road"),
    "crossroad": ("a crossroad", "two roads", "some roads"),
    "t-shaped": ("a t-shaped road", "two roads", "some roads"),
}
_GROUND = {
    "grassland": ("on the grassland", "on the meadow", "on the grass"),
    "bareland": ("on the bareland", "on the bareland", "in the bareland"),
    "desert": ("in the desert", "in the desert", "on the desert"),
    "woods": ("in the woods", "in the forest"),
    "field": ("in the field", "on the field"),
}


def number_words(kind: str, count: int) -> tuple[str, ...]:
    """The words that tell `count` truly: exact to four, "some", "several" from 3 to 8, "many" from 9 on.

    Of a kind of `AT_LEAST` "some", from 9 on "many", or nothing but the plural.
    """
    if count == 1:
        return ("a",)
    if kind in AT_LEAST:
        return ("some", "some", "") if count < 9 else ("many", "many", "lots of", "some")
    if kind == "tree":
        return ("some", "some", "several") if count < 15 else ("many", "some", "lots of")
    if count <= 2:
        return ("two",)
    if count <= 4:
        return (_NUMBERS[count], _NUMBERS[count], "some", "several")
    if count <= 8:
        return ("some", "some", "several", *((_NUMBERS[5],) if count == 5 else ()))
    return ("many", "many", "many", "lots of")


def counted(e: Event, pick: Choose) -> tuple[str, bool]:
    """(subject, whether it takes a plural verb), for example ("some houses", True)."""
    n = pick(*number_words(e.kind, e.count))
    noun = pick(*(_SINGLE if e.count == 1 else _PLURAL)[e.kind])
    if e.kind == "house" and e.count > 2 and pick("plain", "plain", "plain", "detached") == "detached":
        noun = "detached houses"
    return f"{n} {noun}", e.count > 1


def house_subjects(e: Event, pick: Choose) -> tuple[str, bool]:
    """As `counted`, or as rows where the houses stand in rows."""
    if 1 <= e.rows <= 4 and pick("rows", "rows", "count") == "rows":
        noun = pick("houses", "houses", "villas", "detached houses")
        n = ("a row of", "two rows of", "three rows of", "four rows of")[e.rows - 1]
        if e.rows > 1:
            n = pick(n, n, "rows of")
        return f"{n} {noun}", e.rows > 1
    return counted(e, pick)


def road_subject(e: Event, pick: Choose) -> tuple[str, bool]:
    """The subject of a road event and whether it takes a plural verb."""
    if e.count == 1 and e.tone == "cement" and pick("tone", "shape", "shape") == "tone":
        text = "a cement road"
    elif e.shape in _ROADS:
        text = pick(*_ROADS[e.shape])
    else:
        text = pick("two roads", "some roads") if e.count == 2 else "some roads"
    return text, plural_of(text)


def plural_of(subject: str) -> bool:
    """Whether a subject takes a plural verb."""
    return not subject.startswith("a ")


def verb_came(plural: bool, pick: Choose) -> str:
    """A verb of coming."""
    are, have, s = ("are", "have", "") if plural else ("is", "has", "s")
    return pick(
        f"{are} built", f"{are} built", f"{are} constructed", f"appear{s}", f"appear{s}", f"{have} been built"
    )


def verb_gone(plural: bool, pick: Choose) -> str:
    """A verb of going."""
    are, have, s = ("are", "have", "") if plural else ("is", "has", "s")
    return pick(
        f"{are} removed", f"disappear{s}", f"disappear{s}", f"{have} been removed", f"{are} demolished"
    )


def on_ground(e: Event, pick: Choose) -> str:
    """In place of what; "" where the ground is mixed."""
    return pick(*_GROUND[e.ground]) if e.ground else ""


def place_tail(e: Event, pick: Choose) -> str:
    """Where in the scene; "" where it spreads."""
    p = e.place
    if not p:
        plain = e.kind in AT_LEAST or (e.kind == "building" and e.count > 1)  # few words besides
        return pick("", "in the scene") if plain else ""
    if p.endswith("corner"):
        return pick(f"in the {p}", f"in the {p} of the scene", f"at the {p} of the scene", f"at the {p}")
    if p == "middle":
        return pick("in the middle of the scene", "in the middle", "in the center of the scene")
    if p in ("left", "right"):
        return pick(f"on the {p} side of the scene", f"on the {p}", f"on the {p} side")
    return pick(f"at the {p} of the scene", f"at the {p}", f"at the {p}")


def road_tail(e: Event, pick: Choose) -> str:
    """Beside which road; "" where there is none."""
    if not e.road:
        return ""
    noun = "road" if e.roads == 1 else "roads"
    new = e.road == "new" and not e.gone
    if e.sides == 2:
        return pick(f"on both sides of the {noun}", f"along the {noun}")
    if e.count == 1 or e.kind != "house":
        return pick(
            f"beside the {noun}",
            f"next to the {noun}",
            f"beside the newly built {noun}" if new else f"near the {noun}",
        )
    one_side = (f"on one side of the {noun}",) if e.sides == 1 else ()
    return pick(
        f"along the {noun}",
        f"along the {noun}",
        f"beside the {noun}",
        *one_side,
        *((f"along the newly built {noun}",) if new else ()),
    )


def short_clause(e: Event, pick: Choose) -> str:
    """One event in few words, to be joined with another."""
    if e.kind == "road":
        subject, plural = road_subject(e, pick)
    else:
        subject, plural = house_subjects(e, pick) if e.kind == "house" else counted(e, pick)
    if e.gone:
        return f"{subject} {pick('are', 'have been') if plural else pick('is', 'has been')} removed"
    tail = pick(place_tail(e, pick), road_tail(e, pick), "", "") if e.kind != "road" else ""
    return f"{subject} {verb_came(plural, pick)} {tail}".strip()

"""Reads from a caption which objects changed, how many, and where, as far as a mask can confirm it.

Masks label buildings and roads. Trees, pools, parking lots and the ground are read too, so that they are not taken for
something else, but no mask can confirm them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from semantic_cc.data.augment.place_words import named_places
from semantic_cc.data.augment.symmetry import Direction
from semantic_cc.nouns import BUILDINGS, ROADS, SETTLEMENTS, pattern
from semantic_cc.sentences import says_change

BUILDING, ROAD = "building", "road"

_BUILDING = re.compile(rf"\b{pattern(BUILDINGS)}$")
_SETTLEMENT = re.compile(rf"\b{pattern(SETTLEMENTS)}$")
_ROAD = re.compile(rf"\b{pattern(ROADS)}$")
_NUMBERS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10,
}  # fmt: skip
_SOME = re.compile(
    r"^(?:some|several|a few|few|both|rows?|a row|\w+ rows?|lots|a lot|many|numerous|a number) "
)
_MIDDLE = re.compile(
    r"\b(?:in|at) the (?:middle|cent(?:er|re))(?! of (?!the (?:scene|picture|image|area)))(?!-)"
)

_DONE = r"built|constructed|erected|completed|added|removed|demolished|destroyed|torn down|rebuilt|planted|cut down"
_HAVE = r"(?:(?:is|are|was|were|been|being|has|have|had|newly) )*"
_VERB = re.compile(
    rf" (?:{_HAVE}(?:{_DONE})"
    rf"|{_HAVE}(?:(?:dis)?appear(?:s|ed)?|vanish(?:es|ed)?|emerge[sd]?|shows? up)"
    rf"|(?P<by>{_HAVE}replaced (?:by|with))"
    rf"|(?P<into>becomes?|became|turns? into|{_HAVE}(?:turned|developed|converted|transformed|changed) (?:in)?to"
    rf"|{_HAVE}filled with)"
    r"|(?P<takes>replaces?|replaced|in place of))(?![\w-])"
)
_BREAK = re.compile(r" and |, | with | while | but | where ")
_BESIDE = re.compile(
    r" (?:along(?:side)?|among|around|at|beside|between|by|in|near|next to|on|to|from|within|inside|through|across"
    r"|behind|under|above|below|of the)\b"
    r"|(?<=[a-z]s) (?:neatly|arranged|arrayed|scattered|distributed|surrounding|lined)\b"
)


@dataclass(frozen=True)
class ChangedObject:
    """An object that a caption says appeared or disappeared.

    Attributes:
        kind: `BUILDING` or `ROAD`; None for an object that masks do not label, or an unknown one.
        words: its words in the caption.
        least, most: bounds of the number of objects; `most` is None without an upper bound.
        places: where in the image, (0, 0) for the middle; empty where the caption does not say it.
        counted: whether a word gives the number: a numeral, "some", "many", "rows"; a plural does not.
    """

    kind: str | None
    words: str
    least: int = 1
    most: int | None = None
    places: tuple[Direction, ...] = ()
    counted: bool = False


def parse_caption(sentence: str) -> tuple[ChangedObject, ...]:
    """The changed objects of a caption; empty if it says no change or has no known verb.

    An object is read before each verb of appearing or disappearing ("two houses and a road are built", but not the
    house of "a pool appears beside the house"), after "replaced by" and "becomes", and on both sides of "replaces". Its
    places are those of the same clause.

    Example:
        >>> [(found.kind, found.least) for found in parse_caption("two houses are built on the left")]
        [('building', 2)]
    """
    text = " ".join(re.sub(r"[^\w\s',-]", " ", sentence.lower()).split())
    if not says_change(text):
        return ()
    text, places = _without_places(text)
    verbs = list(_VERB.finditer(f" {text}"))
    text = f" {text}"
    objects: list[ChangedObject] = []
    for number, verb in enumerate(verbs):
        before = text[verbs[number - 1].end() if number else 0 : verb.start()]
        after = text[verb.end() : verbs[number + 1].start() if number + 1 < len(verbs) else len(text)]
        subject = before if number == 0 else _second_part(before)
        turned = verb["by"] or verb["into"] or verb["takes"]
        things = ("" if verb["into"] else subject) + (f" and {after}" if turned else "")
        where = after if turned else _BREAK.split(after, maxsplit=1)[0]
        named = _places_in(f"{subject} {where}", places)
        objects += [_changed_object(thing, named) for thing in _BREAK.split(things) if thing.strip()]
    return tuple(objects)


def _without_places(text: str) -> tuple[str, list[tuple[Direction, ...]]]:
    """The text with each place written as " on @0", so that an "and" within it parts no clauses; and the places."""
    spans = named_places(text) + [(found.start(), found.end(), ((0, 0),)) for found in _MIDDLE.finditer(text)]
    parts: list[str] = []
    directions: list[tuple[Direction, ...]] = []
    at = 0
    for start, end, named in sorted(spans):
        if start < at:
            continue
        parts += [text[at:start], f"on @{len(directions)}"]
        directions.append(named)
        at = end
    return "".join([*parts, text[at:]]), directions


def _second_part(text: str) -> str:
    """What belongs to the next verb: "beside the road and two houses" -> "two houses"."""
    _, *rest = _BREAK.split(text, maxsplit=1)
    return rest[0] if rest else ""


def _places_in(text: str, places: list[tuple[Direction, ...]]) -> tuple[Direction, ...]:
    return tuple(direction for number in re.findall(r"@(\d+)", text) for direction in places[int(number)])


def _changed_object(words: str, places: tuple[Direction, ...]) -> ChangedObject:
    head = _BESIDE.split(f" {words.strip()}", maxsplit=1)[0].strip().removeprefix("the ")
    if _SETTLEMENT.search(head):
        return ChangedObject(BUILDING, head, places=places)
    if _ROAD.search(head):
        return ChangedObject(ROAD, head, places=places)  # roads that cross are one in a mask
    if not _BUILDING.search(head):
        return ChangedObject(None, head, places=places)
    if _SOME.match(head):
        return ChangedObject(BUILDING, head, 2, None, places, counted=True)
    number = _NUMBERS.get(head.split()[0])
    if number is not None:
        return ChangedObject(BUILDING, head, number, number, places, counted=True)
    return ChangedObject(BUILDING, head, 2 if head.endswith("s") else 1, None, places)

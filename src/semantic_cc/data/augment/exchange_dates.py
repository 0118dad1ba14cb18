"""Rewrites a sentence for exchanged dates: "a house is built" becomes "a house is removed".

A sentence is rewritten only if a closed grammar of plain things, numbers, places and known verbs of appearance and
disappearance covers all of it. Any other word ("new", "more", "rebuilt", "the original road") may be true for one order
of the dates only.
"""

from __future__ import annotations

import re

from semantic_cc.nouns import BUILDINGS, PATHS, PLANTED, ROADS, TREES, pattern
from semantic_cc.sentences import says_change

_BE = r"(?:is|are|was|were|has been|have been)"
_DONE = r"built|constructed|erected|planted|removed|demolished|cut down"
_SEEN = r"(?:dis)?appear(?:s|ed)?|vanish(?:es|ed)?|shows? up"
_VERB = rf" (?:(?P<be>{_BE} )(?P<done>{_DONE})|(?P<have>(?:has |have )?)(?P<seen>{_SEEN}))(?![\w-])"
_VERBS = re.compile(_VERB)
_REPLACED = re.compile(rf"(?P<old>.+?) {_BE} replaced by (?P<new>.+)")
_REPLACES = re.compile(r"(?P<new>.+?) replaces? (?P<old>.+)")
_IN_PLACE = re.compile(rf"(?P<new>.+?){_VERB} (?P<where>.*)in place of (?P<old>.+)")

_OF_SEEN = {
    "appear": "disappear",
    "appears": "disappears",
    "appeared": "disappeared",
    "show up": "disappear",
    "shows up": "disappears",
    "disappear": "appear",
    "disappears": "appears",
    "disappeared": "appeared",
    "vanish": "appear",
    "vanishes": "appears",
    "vanished": "appeared",
}
_OF_BUILT = {
    "built": "removed",
    "constructed": "demolished",
    "erected": "removed",
    "removed": "built",
    "demolished": "constructed",
}
_OF_PLANTS = {"planted": "removed", "removed": "planted", "cut down": "planted"}

_BUILT = re.compile(
    rf"{pattern(BUILDINGS, ROADS, PATHS)}|(?:parking lot|playground|residential area|square|swimming pool)s?"
)
_PLANTS = re.compile(pattern(TREES, PLANTED))
_OTHER = re.compile(
    r"bareland|cars?|clearing|desert|grass|grassland|ground|lake|meadow|wasteland"
    r"|center|corner|edge|middle|scene|sides?"
    r"|an?|the|one(?= side)|two|three|four|five|some|several|many|few|lots of|rows? of|of|both|either"
    r"|big|cement|circular|concrete|curved|dense|detached|dirt|huge|large|long|massive|narrow|sparse|small"
    r"|straight|t-shaped|wide|winding"
    r"|along|alongside|among|and|around|at|beside|between|by|in|near|next to|on|with"
    r"|left|right|top|bottom|upper|lower|lower-left|lower-right"
)
_PLAIN = re.compile(rf"(?:(?:{_BUILT.pattern}|{_PLANTS.pattern}|{_OTHER.pattern})(?: |$))+")
_WHERE = re.compile(r" (?:along|alongside|among|around|at|beside|between|by|in|near|next|on|with)\b.*")


def exchange_dates(sentence: str) -> str | None:
    """The sentence for exchanged dates, or None if it cannot be rewritten reliably.

    Swaps appearance and disappearance ("trees are cut down and a house appears" -> "trees are planted and a house
    disappears") and the two sides of a replacement. A sentence without change is returned as is. Two exchanges give an
    equivalent sentence, possibly in other words ("erected" becomes "built").
    """
    if not says_change(sentence):
        return sentence
    if found := _IN_PLACE.fullmatch(sentence):
        return _exchange_in_place(found)
    if found := _REPLACED.fullmatch(sentence) or _REPLACES.fullmatch(sentence):
        return _exchange_replaced(found, passive=" replaced by " in sentence)
    return _exchange_clauses(sentence)


def _exchange_clauses(sentence: str) -> str | None:
    """Rewrites clauses of subject, verb of appearance or disappearance, and place, joined by "and"."""
    written, at = [], 0
    for found in _VERBS.finditer(sentence):
        between = sentence[at : found.start()]
        where, link, subject = between.partition(" and ") if at else ("", "", between)
        verb = _exchange_verb(found, subject)
        if verb is None or not _is_where(where):
            return None
        written += [where, link, subject, verb]
        at = found.end()
    return "".join(written) + sentence[at:] if at and _is_where(sentence[at:]) else None


def _exchange_verb(verb: re.Match[str], subject: str) -> str | None:
    """The opposite verb with its auxiliary; None if the subject does not fit the verb or is not plain."""
    if not _PLAIN.fullmatch(subject):
        return None
    if verb["seen"]:
        return f" {verb['have']}{_OF_SEEN[verb['seen']]}"
    head = _WHERE.sub("", subject)
    built, plants = _BUILT.search(head), _PLANTS.search(head)
    opposite = (
        None if built and plants else (_OF_BUILT if built else _OF_PLANTS if plants else {}).get(verb["done"])
    )
    return opposite and f" {verb['be']}{opposite}"


def _is_where(text: str) -> bool:
    """Whether the words after a verb only state a place: none, or plain words without "with".

    "a road is removed with houses on both sides" does not state what happens to the houses.
    """
    return not text or (bool(_PLAIN.fullmatch(text[1:])) and " with " not in text)


def _exchange_replaced(found: re.Match[str], passive: bool) -> str | None:
    old, new = found["old"], found["new"]
    if not (_is_thing(old) and _is_thing(new)):
        return None
    if passive:
        return f"{new} {'are' if _is_plural(new) else 'is'} replaced by {old}"
    return f"{old} {'replace' if _is_plural(old) else 'replaces'} {new}"


def _exchange_in_place(found: re.Match[str]) -> str | None:
    old, new, where = found["old"], found["new"], found["where"]
    if not (_is_thing(old) and _is_thing(new) and _is_where((" " + where).rstrip())):
        return None
    return f"{old} {'appear' if _is_plural(old) else 'appears'} {where}in place of {new}"


def _is_thing(text: str) -> bool:
    """Whether the words are a plain thing with its attributes, such as "the trees along the road"."""
    return bool(_PLAIN.fullmatch(text)) and not _WHERE.match(" " + text)


def _is_plural(thing: str) -> bool:
    """Whether a thing takes a plural verb: "some trees in the woods", "a house and a road"."""
    head = _WHERE.sub("", thing)
    if " and " in head or head.startswith("lots of "):
        return True
    noun = head.split(" of ")[0]
    return noun.endswith("s") and not noun.endswith("grass")

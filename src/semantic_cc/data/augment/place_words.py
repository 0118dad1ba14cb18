"""Rewrites a sentence for a symmetry of the square: "on the left" becomes "on the right" or "at the top".

Each place word is parsed to a direction, the symmetry is applied to the direction, and the result is written as a place
word. The word lists come from the 25,190 sentences of changed pairs in LEVIR-CC (docs/augmentation.md).
"""

from __future__ import annotations

import re

from semantic_cc.data.augment.symmetry import Direction, Symmetry
from semantic_cc.nouns import BUILDINGS, ROADS, TREES, pattern

_DIRECTIONS: dict[str, Direction] = {
    "left": (-1, 0),
    "right": (1, 0),
    "top": (0, -1),
    "bottom": (0, 1),
    "upper": (0, -1),
    "lower": (0, 1),
    "above": (0, -1),
    "below": (0, 1),
}
_ACROSS = {-1: "left", 1: "right"}
_DOWN = {-1: "top", 1: "bottom"}
_DOWN_UPPER = {-1: "upper", 1: "lower"}
_BESIDE = {-1: "above", 1: "below"}

_TERM = (
    r"(?:(?:top|bottom|upper|lower)[ -]?(?:left|right)|(?:left|right)[ -](?:top|bottom)"
    r"|top|bottom|upper|lower|left|right)(?![\w-])"
)
_PLACE = re.compile(
    rf"(?:\b(?P<preposition>\w+) )?\bthe (?P<middle>(?:middle )?)(?>(?P<terms>{_TERM}(?: and {_TERM})*))"
    r"(?! angle| turn\b)(?=(?: (?P<next>\w+)(?P<of> the \w+)?)?)"
    r"|\b(?P<relative>above|below)\b"
)
_WORDS = re.compile("top|bottom|upper|lower|left|right")

_PARTS = re.compile(r"(?:area|half|halve|part|room|road|building|house|field|space)s?")
"""Nouns that go with "upper" and "lower" rather than with "top" and "bottom"."""
_NOUNS = re.compile(rf"{_PARTS.pattern}|(?:side|edge|corner)s?|middle")
_FRAME = re.compile(r" the (?:scene|picture|image|screen|area)$")

_THINGS = re.compile(rf"(?:room|field|space)s?|{pattern(BUILDINGS, ROADS, TREES)}")
"""Nouns after a place word: "the upper road" identifies a road, not the place of a change."""
_OF_THING = re.compile(
    rf"(?: (?:{_NOUNS.pattern}))? of (?!(?:the |this )?(?:scene|picture|image|screen|area|photo|map)\b)"
)

_NO_PLACE = re.compile(r"\bright[ -]angles?\b|\bvertical(?:ly)? to\b|\bunder construction\b")
"""Place words that name no place; annotators write "vertical to" for "at a right angle to"."""
_UNREAD: tuple[tuple[re.Pattern[str], tuple[Direction, ...]], ...] = (
    (re.compile(r"\b(?:left|right)"), ((1, 0),)),
    (re.compile(r"\b(?:top|bottom|upper|lower|higher|above|below|under|beneath|underneath)"), ((0, 1),)),
    (
        re.compile(
            r"\b(?:front|fore(?:ground)?\b|behind|ahead|forward|back|rear|upward|downward|up and down)"
        ),
        ((0, 1),),
    ),
    (re.compile(r"\b(?:north|south|east|west)"), ((1, 0), (0, 1))),
)
"""Other words that may name a place, with the directions that a symmetry must not change.

Word prefixes, case-insensitive: "leftmost" and "right-hand" match. "left" as a verb also matches and rules out some
symmetries needlessly, which is better than a false sentence. Compass directions do not rotate with the image.
"""
_AXES = re.compile(r"\b(?:vertical|horizontal|longitudinal)", re.I)
"""Orientations of roads. "two vertical roads" often means that they cross at a right angle: not rewritten."""


def mentions_place(sentence: str) -> bool:
    """Whether the sentence has a possible place word, so that some symmetry could make it false."""
    text = _NO_PLACE.sub("", sentence.lower())
    return any(words.search(text) for words, _ in _UNREAD) or bool(_AXES.search(text))


def named_places(sentence: str) -> list[tuple[int, int, tuple[Direction, ...]]]:
    """The places in the image that a lower-case sentence names, as (start, end, directions).

    "at the top left corner and on the right" names (-1, -1), then (1, 0). "on the left and right" names two directions.
    Excludes words that may not refer to the whole image: "to the left of", "on the left side of the road", "on top of",
    "the upper road", "above".
    """
    places = []
    for found in _PLACE.finditer(sentence):
        follower = found["next"] or ""
        relative = found["relative"] or found["preposition"] == "to" or _OF_THING.match(sentence, found.end())
        if relative or _THINGS.fullmatch(follower):
            continue
        directions = tuple(_direction(term) for term in found["terms"].split(" and "))
        places.append((found.start(), found.end(), directions))
    return places


def move_places(sentence: str, symmetry: Symmetry) -> str | None:
    """The sentence for the transformed images, or None if it cannot be rewritten reliably.

    Rewrites places with their article: "the left", "the top left corner", "the lower-right", "the left and right", and
    "above" and "below". Under a quarter turn "on the left" becomes "at the top", "upper part" becomes "left part".
    With an ambiguous word ("on top of the road", "in front of", "have left"), the result is None unless the symmetry
    keeps the word's axis.

    Rewriting for two symmetries in sequence equals rewriting for their composition, except for the choice between "top"
    and "upper".
    """
    if symmetry == Symmetry():
        return sentence
    written, unread, at = [], [], 0
    for found in _PLACE.finditer(sentence):
        moved = _move_place(found, symmetry)
        between = sentence[at : found.start()]
        written += [between, found[0] if moved is None else moved]
        unread += [between, found[0] if moved is None else "|"]
        at = found.end()
    written.append(sentence[at:])
    unread.append(sentence[at:])
    return "".join(written) if _keeps("".join(unread).lower(), symmetry) else None


def _keeps(text: str, symmetry: Symmetry) -> bool:
    """Whether the parts of `text` that are not rewritten stay true."""
    text = _NO_PLACE.sub("", text)
    if symmetry.swaps_axes and _AXES.search(text):
        return False
    return all(
        symmetry.of_direction(direction) == direction
        for words, directions in _UNREAD
        if words.search(text)
        for direction in directions
    )


def _move_place(found: re.Match[str], symmetry: Symmetry) -> str | None:
    """Rewrites one place; None if it is ambiguous, or has no good wording after the symmetry."""
    if found["relative"]:
        x, y = symmetry.of_direction(_DIRECTIONS[found["relative"]])
        return None if x else _BESIDE[y]
    terms = found["terms"].split(" and ")
    are_words = all(len(_WORDS.findall(term)) == 1 for term in terms)
    if not are_words and any(len(_WORDS.findall(term)) == 1 for term in terms):
        return None  # "the top left and right": the second may be a corner or a side
    preposition, follower = found["preposition"], found["next"] or ""
    if preposition == "on" and "top" in terms and follower == "of" and not _FRAME.match(found["of"] or ""):
        return None  # "on the top of the house": its roof
    if symmetry.swaps_axes and are_words and not _NOUNS.fullmatch(follower):
        if preposition == "to":
            return None  # "to the left of the road", but not "to the top of the road"
        # "on the left", but "at the top"
        preposition = {"on": "at", "at": "on"}.get(preposition, preposition)
    down = _DOWN_UPPER if _PARTS.fullmatch(follower) else _DOWN
    moved = " and ".join(_move_term(term, symmetry, down) for term in terms)
    return f"{preposition + ' ' if preposition else ''}the {found['middle']}{moved}"


def _direction(term: str) -> Direction:
    """The direction of "left" or "lower-right"."""
    words = [_DIRECTIONS[word] for word in _WORDS.findall(term)]
    return sum(x for x, _ in words), sum(y for _, y in words)


def _move_term(term: str, symmetry: Symmetry, down: dict[int, str]) -> str:
    """Rewrites one term such as "left" or "lower-right" in its original style.

    Args:
        down: words for up (-1) and down (1) if the term has none.
    """
    words = _WORDS.findall(term)
    x, y = symmetry.of_direction(_direction(term))
    if {"upper", "lower"} & set(words):
        down = _DOWN_UPPER
    elif {"top", "bottom"} & set(words):
        down = _DOWN
    if len(words) == 1:
        return _ACROSS[x] if x else down[y]
    link = term[len(words[0]) : len(term) - len(words[1])]
    if down is _DOWN_UPPER and link:
        link = " " if y < 0 else "-"  # LEVIR-CC writes "upper left", but "lower-left"
    pair = (down[y], _ACROSS[x]) if words[0] in ("top", "bottom", "upper", "lower") else (_ACROSS[x], down[y])
    return link.join(pair)

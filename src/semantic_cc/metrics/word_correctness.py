"""Correctness of each word of a sentence: green and red in the paper's Figs. 6 and 7.

The paper's authors chose the colours by hand; here a rule does. A word is judged if it belongs to one of the families
below: what changed, how, how many and where. It is correct if a reference has a word of the same family, so "house"
matches "villa". A location is correct if a reference names it for any object. Words without a family are not judged. If
sentence and references disagree on whether something changed, all words are wrong; if both say no change, all are
correct.
"""

from __future__ import annotations

from collections.abc import Sequence

from semantic_cc.metrics.tokenisation import words
from semantic_cc.nouns import (
    BARE_GROUND,
    BUILDINGS,
    GRASS,
    PATHS,
    PLANTED,
    ROADS,
    SPORTS_GROUNDS,
    TREES,
    WATER,
)
from semantic_cc.sentences import says_change

FAMILIES: dict[str, str] = {
    "building": " ".join((*BUILDINGS, "residential")),
    "road": " ".join((*ROADS, "crossroads", *PATHS)),
    "trees": " ".join((*TREES, "woods", *PLANTED)),
    "grass": " ".join((*GRASS, *PLANTED)),
    "bare": " ".join(BARE_GROUND),
    "water": " ".join(WATER),
    "parking": "parking",
    "playground": " ".join(SPORTS_GROUNDS),
    "come": "built build constructed construct appear appears appeared erected emerge emerges completed complete added "
    "established planted show shows replace replaced",
    "gone": "removed disappear disappears disappeared demolished destroyed vanish vanishes vanished cut torn cleared "
    "replace replaced",
    "one": "a an one single",
    "two": "two pair both",
    "three": "three",
    "many": "some several many numerous massive lots rows row four five six seven eight nine ten few group",
    "left": "left",
    "right": "right",
    "top": "top upper above",
    "bottom": "bottom lower below",
    "middle": "middle center centre",
    "along": "along alongside beside next near roadside sides side",
    "around": "around surrounding surrounded scattered",
    "corner": "corner",
    "edge": "edge",
}
"""Family -> its words; a word may belong to two families."""

_OF: dict[str, set[str]] = {}
for _name, _members in FAMILIES.items():
    for _word in _members.split():
        _OF.setdefault(_word, set()).add(_name)

ARTICLES = frozenset(("a", "an"))
"""Count as "one" in a reference, but are not judged in a prediction: "a road" gives no number."""


def judge_words(sentence: str, references: Sequence[str]) -> list[tuple[str, bool | None]]:
    """The words of `sentence`, lower case and without full stop, with their correctness; None = not judged.

    Args:
        sentence: predicted sentence.
        references: reference sentences, at least one.
    """
    said = words(sentence).split()
    change = says_change(sentence)
    true = 2 * sum(map(says_change, references)) > len(references)
    if change != true or not change:
        return [(word, change == true) for word in said]
    known = set().union(*(families_of(word) for text in references for word in words(text).split()))
    return [(word, _is_right(word, known)) for word in said]


def families_of(word: str) -> set[str]:
    """The families of a word, or else of its singular; empty if there are none."""
    word = word.strip(",;:'\"()")
    forms = (word, word.removesuffix("s"), word.removesuffix("es"), word.removesuffix("ies") + "y")
    return next((found for form in forms if (found := _OF.get(form))), set())


def _is_right(word: str, known: set[str]) -> bool | None:
    own = families_of(word)
    return None if not own or word in ARTICLES else bool(own & known)

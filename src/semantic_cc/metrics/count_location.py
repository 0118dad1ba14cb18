"""Count and location accuracy: how often a sentence agrees with the number and location in its references.

Word overlap metrics give little weight to these words. A pair is scored if at least one reference has such a word; a
sentence without one is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from semantic_cc.data.caption_parser import BUILDING, ChangedObject, parse_caption

EXACT = 3
"""Counts up to this must match exactly; all larger ones, "some" and "many" are equal."""


@dataclass(frozen=True)
class CountLocationAccuracy:
    """Accuracy of one kind of word.

    Attributes:
        pairs: number of pairs whose references have such a word.
        right: number of these pairs whose sentence agrees with the references.
    """

    pairs: int
    right: int

    @property
    def share(self) -> float | None:
        """Accuracy in percent; None without pairs."""
        return 100 * self.right / self.pairs if self.pairs else None

    def to_json(self) -> dict[str, Any]:
        """Plain values: ``pairs``, ``right``, ``share``."""
        return {"pairs": self.pairs, "right": self.right, "share": self.share}


def count_location_accuracy(
    predictions: Mapping[str, str], references: Mapping[str, Sequence[str]]
) -> tuple[CountLocationAccuracy, CountLocationAccuracy]:
    """Compares counts and locations in the predictions with those in the references.

    A count is the number of buildings in a sentence: 1, 2, 3 or more, as a numeral or as "some", "many" or "rows". A
    plural without a number has no count, but "a residential area with many houses" has the count many. A count is
    correct if a reference has the same one. Locations are the halves, corners or middle where something appeared or
    disappeared. They are correct if the sentence has any and the references contain all of them.

    Args:
        predictions: name -> sentence.
        references: name -> sentences, with the same names.

    Returns:
        The accuracy of counts and of locations.
    """
    predicted = {name: parse_caption(sentence) for name, sentence in predictions.items()}
    true = {name: [parse_caption(text) for text in references[name]] for name in predictions}
    return _accuracy(predicted, true, _counts), _accuracy(predicted, true, _places)


_Objects = Sequence[ChangedObject]


def _accuracy(
    predicted: Mapping[str, _Objects],
    true: Mapping[str, Sequence[_Objects]],
    words_of: Callable[[_Objects], set[Any]],
) -> CountLocationAccuracy:
    known = {name: set().union(*map(words_of, sentences)) for name, sentences in true.items()}
    asked = [name for name in predicted if known[name]]
    right = sum(bool(found := words_of(predicted[name])) and found <= known[name] for name in asked)
    return CountLocationAccuracy(len(asked), right)


def _counts(objects: _Objects) -> set[int]:
    """The number of buildings in a sentence, at most `EXACT` + 1; empty if it has none."""
    buildings = [found for found in objects if found.kind == BUILDING]
    if any(found.counted and found.most is None for found in buildings):
        return {EXACT + 1}  # "some" or "many" plus any other count stays many
    if not buildings or not all(found.counted for found in buildings):
        return set()
    return {min(sum(found.least for found in buildings), EXACT + 1)}


def _places(objects: _Objects) -> set[Any]:
    return {place for found in objects for place in found.places}

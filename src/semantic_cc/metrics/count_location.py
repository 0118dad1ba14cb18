"""How often a sentence tells the number and the place that the references tell.

Scores of overlap hardly see the one word that an analyst needs. Here a pair counts where at least one reference has
such a word, and a sentence that leaves it out is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from semantic_cc.data.caption_parser import BUILDING, Claim, read_claims

EXACT = 3
"""Up to this many things the number itself must be right; above, "some" or "many" says as much as a number."""


@dataclass(frozen=True)
class Told:
    """Attributes: pairs whose references tell it, and in how many of these the sentence tells it right."""

    pairs: int
    right: int

    @property
    def share(self) -> float | None:
        """In percent; None without pairs."""
        return 100 * self.right / self.pairs if self.pairs else None


def told(predictions: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Counts and places of the predictions held against the references', for JSON.

    A count is that of the buildings in a sentence: 1, 2, 3 or more, as a numeral or as "some", "many" or "rows"; a
    plural alone tells none, but "a residential area with many houses" tells many. It is right if a reference tells
    the same. Places are the halves, corners or the middle where anything is said to have come or gone; they are
    right if there are some and references tell each of them.

    Args:
        predictions: name -> sentence.
        references: name -> sentences, of the same names.

    Returns:
        ``count`` and ``place``, each with ``pairs``, ``right`` and ``share``.
    """
    claims = {name: read_claims(sentence) for name, sentence in predictions.items()}
    true = {name: [read_claims(text) for text in references[name]] for name in predictions}
    kinds: dict[str, Callable[[Sequence[Claim]], set[Any]]] = {"count": _counts, "place": _places}
    report = {}
    for kind, of in kinds.items():
        known = {name: set().union(*map(of, said)) for name, said in true.items()}
        asked = [name for name in claims if known[name]]
        right = sum(bool(of(claims[name])) and of(claims[name]) <= known[name] for name in asked)
        found = Told(len(asked), right)
        report[kind] = {**asdict(found), "share": found.share}
    return report


def _counts(claims: Sequence[Claim]) -> set[int]:
    """The number of buildings that a sentence tells, `EXACT` + 1 for any above; empty where it tells none."""
    buildings = [claim for claim in claims if claim.thing == BUILDING]
    if any(claim.counted and claim.most is None for claim in buildings):
        return {EXACT + 1}  # whatever stands beside "some" or "many" makes them no fewer
    if not buildings or not all(claim.counted for claim in buildings):
        return set()
    return {min(sum(claim.least for claim in buildings), EXACT + 1)}


def _places(claims: Sequence[Claim]) -> set[Any]:
    return {place for claim in claims for place in claim.places}

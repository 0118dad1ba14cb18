"""Pairs whose change flag, sentences and mask contradict each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from semantic_cc.data.caption_parser import ROAD as ROAD_KIND
from semantic_cc.data.caption_parser import parse_caption
from semantic_cc.data.items import ChangeDataset, Item, item_label
from semantic_cc.data.labels import in_threads
from semantic_cc.data.progress_callback import Progress, counter
from semantic_cc.errors import DataError
from semantic_cc.sentences import says_change
from semantic_cc.types import BUILDING, NOT_BUILDING, ROAD


@dataclass(frozen=True)
class Contradiction:
    """One contradiction of one pair.

    Attributes:
        name: of the pair.
        kind: "flag" (flag against sentences), "unchanged_with_mask" or "changed_without_mask".
        what: one line for people.
    """

    name: str
    kind: str
    what: str

    def to_json(self) -> dict[str, Any]:
        """Plain values by field."""
        return dict(vars(self))


def find_contradictions(
    dataset: ChangeDataset, progress: Progress | None = None
) -> tuple[Contradiction, ...]:
    """Finds the pairs of a dataset whose flag, sentences and mask contradict each other.

    - flag: the change flag is not what most of the sentences say (`says_change`);
    - unchanged_with_mask: the flag, or most of the sentences where there is no flag, say no change, and the mask has
      changed pixels;
    - changed_without_mask: most of the sentences name a changed building or road (`parse_caption`), and the mask has no
      changed pixel. Only labelled classes count: trees never do, and roads do not where they are not labelled.

    Args:
        dataset: an opened dataset; its labels are read.
        progress: called with the number of items checked and of all.

    Returns:
        In the dataset's order. Pairs whose mask cannot be read are left out; `check_dataset` names them.

    Example:
        >>> data = open_dataset("LEVIR-MCI", "train")  # doctest: +SKIP
        >>> data = data.without(found.name for found in find_contradictions(data))  # doctest: +SKIP
    """
    advance = counter(len(dataset), progress)
    found: list[Contradiction] = []
    for contradictions in in_threads(_of_item, dataset.items):
        found += contradictions
        advance()
    return tuple(found)


def _of_item(item: Item) -> list[Contradiction]:
    found = []
    said = [says_change(sentence) for sentence in item.sentences]
    mostly = None if not said else 2 * sum(said) > len(said)
    changed = mostly if item.changed is None else item.changed
    if mostly is not None and changed != mostly:
        words = ("unchanged", "changed")
        what = f"is flagged {words[bool(changed)]}, but most of its sentences say {words[mostly]}"
        found.append(Contradiction(item.name, "flag", what))
    try:
        label = item_label(item)
    except DataError:
        return found
    if label is None:
        return found
    pixels = int(((label == BUILDING) | (label == ROAD)).sum())
    if changed is False and pixels:
        source = "flag" if item.changed is False else "sentences"
        what = f"is unchanged by its {source}, but {pixels} pixels of its mask are changed"
        found.append(Contradiction(item.name, "unchanged_with_mask", what))
    if not pixels and item.sentences and _name_labelled(item, label):
        what = "most of its sentences name a changed building or road, but its mask has no changed pixel"
        found.append(Contradiction(item.name, "changed_without_mask", what))
    return found


def _name_labelled(item: Item, label: np.ndarray) -> bool:
    """Whether most of the sentences name a changed object of a class that the mask labels."""
    roads = "road" in item.classes and not (label == NOT_BUILDING).any()
    named = [
        any(found.kind and (roads or found.kind != ROAD_KIND) for found in parse_caption(sentence))
        for sentence in item.sentences
    ]
    return 2 * sum(named) > len(named)

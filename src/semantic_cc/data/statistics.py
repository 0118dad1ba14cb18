"""Counts of what a dataset holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from semantic_cc.data.items import ChangeDataset, Item, item_label, item_size
from semantic_cc.data.layouts.detect_layout import detect_layout
from semantic_cc.data.open_dataset import index
from semantic_cc.data.progress_callback import Progress, counter
from semantic_cc.errors import DataError
from semantic_cc.types import BUILDING, NONE, ROAD, SPLITS, UNKNOWN


@dataclass(frozen=True)
class SplitStatistics:
    """Counts of one split; a share without anything to count is None.

    Attributes:
        items, masks, captioned, both: items, and those with a mask, with sentences, with both.
        sentences, words: sentences, and distinct words in them.
        words_per_sentence: their mean length.
        flags: items whose change flag is known.
        changed: share of these that changed, in [0, 1].
        classes: the classes that the masks label.
        building: share of the masks' labelled pixels that are a changed building.
        road: share of the pixels without building that are a changed road; None where roads are not labelled.
        unknown: share of the masks' pixels that are not labelled.
        sizes: "256x256" (width, height) -> items, the most frequent first.
    """

    items: int
    masks: int
    captioned: int
    both: int
    sentences: int
    words: int
    words_per_sentence: float | None
    flags: int
    changed: float | None
    classes: tuple[str, ...]
    building: float | None
    road: float | None
    unknown: float | None
    sizes: Mapping[str, int]


@dataclass(frozen=True)
class DatasetStatistics:
    """Counts of a dataset.

    Attributes:
        data: its path.
        layout: name of its layout.
        splits: split -> counts, of the splits that have items.
    """

    data: str
    layout: str
    splits: Mapping[str, SplitStatistics]

    def to_json(self) -> dict[str, Any]:
        """Plain values by field."""
        return asdict(self)


def dataset_statistics(root: str | Path, progress: Progress | None = None) -> DatasetStatistics:
    """Counts each split of a dataset; every mask is decoded, of the images the headers are read.

    Args:
        root: a folder in any layout, or a file that `semantic-cc data match` wrote.
        progress: called with the number of items counted and of all.

    Raises:
        DataError: no dataset or no items, a mask that cannot be read.
    """
    root = Path(root)
    splits = {split: items for split in SPLITS if (items := index(root, split))}
    if not splits:
        raise DataError(f"{root}: no items; check the folder")
    advance = counter(sum(map(len, splits.values())), progress)
    found = {}
    for split, items in splits.items():
        pixels: Counter[int] = Counter()
        sizes: Counter[str] = Counter()
        for item in items:
            sizes["{}x{}".format(*item_size(item))] += 1
            pixels += _pixels(item)
            advance()
        found[split] = _statistics(items, pixels, sizes)
    return DatasetStatistics(str(root), "matches" if root.is_file() else detect_layout(root).NAME, found)


def _statistics(items: Sequence[Item], pixels: Counter[int], sizes: Counter[str]) -> SplitStatistics:
    sentences = [sentence.lower().split() for item in items for sentence in item.sentences]
    flags = [item.changed for item in items if item.changed is not None]
    return SplitStatistics(
        items=len(items),
        masks=sum(item.label is not None for item in items),
        captioned=sum(bool(item.sentences) for item in items),
        both=sum(item.label is not None and bool(item.sentences) for item in items),
        sentences=len(sentences),
        words=len({word for words in sentences for word in words}),
        words_per_sentence=_share(sum(map(len, sentences)), len(sentences)),
        flags=len(flags),
        changed=_share(sum(flags), len(flags)),
        classes=ChangeDataset(items).classes,
        building=_share(pixels[BUILDING], pixels.total() - pixels[UNKNOWN]),
        road=_share(pixels[ROAD], pixels[ROAD] + pixels[NONE]),
        unknown=_share(pixels[UNKNOWN], pixels.total()),
        sizes=dict(sizes.most_common()),
    )


def _pixels(item: Item) -> Counter[int]:
    """Mask value -> pixels of the item's mask."""
    label = item_label(item)
    counts = np.bincount(label.ravel(), minlength=256) if label is not None else np.zeros(0, int)
    return Counter({int(value): int(counts[value]) for value in np.flatnonzero(counts)})


def _share(part: int, of: int) -> float | None:
    return part / of if of else None

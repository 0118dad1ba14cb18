"""Counting what a dataset holds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from semantic_cc.data.items import Item, item_label, item_size
from semantic_cc.data.layouts.detect_layout import recognise
from semantic_cc.data.open_dataset import index
from semantic_cc.data.progress_callback import Progress, counter
from semantic_cc.errors import DataError
from semantic_cc.types import BUILDING, NONE, ROAD, SPLITS, UNKNOWN


def dataset_stats(root: str | Path, progress: Progress | None = None) -> dict[str, Any]:
    """Counts each split of a dataset; every mask is read, of the images the headers alone.

    Args:
        root: a folder in any layout, or a file that `semantic-cc data match` wrote.
        progress: told after each item.

    Returns:
        A dict for JSON: ``data``, ``layout`` and ``splits``, split name -> ``items``; ``masks``, ``captioned``
        and ``both``: items that have them; ``sentences``; ``words``: distinct words; ``words_per_sentence``;
        ``flags``: items whose change flag is known; ``changed``: the share of these that changed;
        ``building``: share of the masks' known pixels; ``road``: share of their pixels without building, where roads
        are labelled; ``unknown``: share of the masks' pixels of which nothing is known; all shares in [0, 1];
        ``sizes``: "256x256" -> items. What there is nothing to count of is None.

    Raises:
        DataError: no dataset or no items, a mask that cannot be read.
    """
    root = Path(root)
    splits = {split: items for split in SPLITS if (items := index(root, split))}
    if not splits:
        raise DataError(f"{root}: no items; check the folder")
    advance = counter(sum(map(len, splits.values())), progress)
    report: dict[str, Any] = {}
    for split, items in splits.items():
        pixels: Counter[int] = Counter()
        sizes: Counter[str] = Counter()
        for item in items:
            sizes["{}x{}".format(*item_size(item))] += 1
            pixels += _pixels(item)
            advance()
        report[split] = {**_count(items), **_shares(pixels), "sizes": dict(sizes.most_common())}
    layout = "matches" if root.is_file() else recognise(root).NAME
    return {"data": str(root), "layout": layout, "splits": report}


def _count(items: list[Item]) -> dict[str, Any]:
    sentences = [sentence.lower().split() for item in items for sentence in item.sentences]
    flags = [item.changed for item in items if item.changed is not None]
    return {
        "items": len(items),
        "masks": sum(item.label is not None for item in items),
        "captioned": sum(bool(item.sentences) for item in items),
        "both": sum(item.label is not None and bool(item.sentences) for item in items),
        "sentences": len(sentences),
        "words": len({word for words in sentences for word in words}),
        "words_per_sentence": _share(sum(map(len, sentences)), len(sentences)),
        "flags": len(flags),
        "changed": _share(sum(flags), len(flags)),
    }


def _pixels(item: Item) -> Counter[int]:
    """Label value -> pixels of the item's mask."""
    label = item_label(item)
    counts = np.bincount(label.ravel(), minlength=256) if label is not None else np.zeros(0, int)
    return Counter({int(value): int(counts[value]) for value in np.flatnonzero(counts)})


def _shares(pixels: Counter[int]) -> dict[str, float | None]:
    return {
        "building": _share(pixels[BUILDING], pixels.total() - pixels[UNKNOWN]),
        "road": _share(pixels[ROAD], pixels[ROAD] + pixels[NONE]),
        "unknown": _share(pixels[UNKNOWN], pixels.total()),
    }


def _share(part: int, of: int) -> float | None:
    return part / of if of else None

"""Finding captioned pairs among change-detection tiles by what they show.

LEVIR-CC's images are tiles of LEVIR-CD's scenes and of others, under new names. Small grey thumbnails of both
dates find the likeliest tile; the pixels at full size decide. Recompressed images are found too; shifted,
turned or rescaled ones are not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from semantic_cc.data.items import ChangeDataset, Item
from semantic_cc.data.layouts.detect_layout import index
from semantic_cc.data.match_file import Key, Match
from semantic_cc.data.progress_callback import Progress, counter
from semantic_cc.errors import DataError
from semantic_cc.types import SPLITS, Pair

THUMBNAIL = 16
"""Side of a thumbnail in pixels."""
LIKELY = 0.9
"""Least correlation of the thumbnails, mean of both dates, for a look at the pixels."""
SAME = 0.95
"""Least correlation of the pixels at full size, of each date."""
_ROWS = 1024  # thumbnails compared at once


def find_matches(captions: str | Path, masks: str | Path, progress: Progress | None = None) -> list[Match]:
    """For each captioned pair the tile that shows the same at both dates, in any split, where there is one.

    Args:
        captions: a dataset with sentences, LEVIR-CC for one.
        masks: a dataset with masks, LEVIR-CD for one, in 256-pixel tiles if the captioned images are of 256.
        progress: called after each pair and tile.

    Returns:
        The matches in the captions' order; empty where nothing is the same.

    Raises:
        DataError: a folder without sentences or without masks, an image that cannot be read.
    """
    captioned = _images(Path(captions), "sentences", lambda item: bool(item.sentences))
    tiles = _images(Path(masks), "masks", lambda item: item.label is not None)
    advance = counter(len(captioned) + len(tiles), progress)
    best, likely = _nearest(_thumbnails(captioned, advance), _thumbnails(tiles, advance))
    matches = {}
    # In the order of the tiles, which share scenes.
    for row in sorted(np.flatnonzero(likely >= LIKELY).tolist(), key=lambda row: best[row]):
        pair, tile = captioned[row], tiles[best[row]]
        correlation = _same(pair, tile)
        if correlation >= SAME:
            matches[row] = Match(_key(pair), _key(tile), correlation)
    return [matches[row] for row in sorted(matches)]


def _images(root: Path, what: str, wanted: Callable[[Item], bool]) -> ChangeDataset:
    """The wanted items of all splits without their masks, named SPLIT/NAME."""
    items = [
        replace(item, name=f"{split}/{item.name}", label=None)
        for split in SPLITS
        for item in index(root, split)
        if wanted(item)
    ]
    if not items:
        raise DataError(f"{root}: has no items with {what}; give a dataset that has some")
    return ChangeDataset(items)


def _key(pair: Pair) -> Key:
    split, _, name = pair.name.partition("/")
    return split, name


def _thumbnails(images: ChangeDataset, advance: Callable[[], None]) -> np.ndarray:
    """(n, 2 t t) float32, t the side; the product of two rows is the mean correlation of both dates."""
    rows = np.empty((len(images), 2 * THUMBNAIL**2), np.float32)
    for position, row in enumerate(rows):
        pair = images[position]
        dates = [_centred(_thumbnail(image)) for image in (pair.before, pair.after)]
        row[:] = np.concatenate(dates) / 2**0.5
        advance()
    return rows


def _nearest(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row of `first` the position of the likest row of `second`, and how like it is."""
    best = np.empty(len(first), int)
    likeness = np.empty(len(first), np.float32)
    for start in range(0, len(first), _ROWS):
        part = slice(start, start + _ROWS)
        products = first[part] @ second.T  # (rows, m)
        best[part] = products.argmax(axis=1)
        likeness[part] = products.max(axis=1)
    return best, likeness


def _same(first: Pair, second: Pair) -> float:
    """The correlation of all pixels, the lower of both dates; -1 for other sizes."""
    if first.before.shape != second.before.shape:
        return -1.0
    dates = ((first.before, second.before), (first.after, second.after))
    return min(float(_centred(one) @ _centred(other)) for one, other in dates)


def _thumbnail(image: np.ndarray) -> np.ndarray:
    grey = Image.fromarray(image).convert("L")
    return np.asarray(grey.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX))


def _centred(image: np.ndarray) -> np.ndarray:
    """The values as one vector of mean 0 and length 1; all 0 for an image of one colour, which is like none."""
    values = image.astype(np.float32).ravel()
    values -= values.mean()
    length = np.linalg.norm(values)
    return values / length if length else values

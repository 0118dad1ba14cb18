"""LEVIR-CD as it is distributed; the scenes are cut into tiles on the fly.

Chen and Shi, Remote Sensing 12(10), 2020 (doi 10.3390/rs12101662).

::

    ROOT/{train,val,test}/{A,B,label}/NAME.png      1024x1024; labels of buildings only, read at a threshold of 128
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from semantic_cc.data.items import Item, image_size
from semantic_cc.data.labels import declared_classes
from semantic_cc.data.layouts import custom_folder
from semantic_cc.data.layouts.faults import FaultHandler, raise_fault
from semantic_cc.data.layouts.pair_folder import items_of, scan
from semantic_cc.errors import DataError
from semantic_cc.types import LABELLED_CLASSES, SPLITS

NAME = "LEVIR-CD"
LOOKS_FOR = "{train,val,test}/A without captions"
TILE = 256
"""Side of a tile in pixels: the size of LEVIR-CC's images."""


def fits(root: Path) -> bool:
    """Whether `root` has this layout."""
    return any((root / split / "A").is_dir() for split in SPLITS) and not custom_folder.caption_files(root)


def index(
    root: Path, split: str, skip_missing: bool = False, on_fault: FaultHandler = raise_fault
) -> list[Item]:
    """The tiles of one split, scene by scene, left to right in rows from the top.

    A scene whose sides are both multiples of `TILE` is cut, and a tile is called ``NAME_Y_X.png`` after its
    upper left corner in pixels; any other image is one item under its own name.

    Raises:
        DataError: missing images or labels, a file that is no image.
    """
    folder = scan(root / split)
    scenes = items_of(
        folder,
        folder.entries,
        masked=True,
        classes=declared_classes(root) or LABELLED_CLASSES[0],
        skip_missing=skip_missing,
        on_fault=on_fault,
    )
    return [tile for scene in scenes for tile in _tiles(scene, on_fault)]


def _tiles(scene: Item, on_fault: FaultHandler) -> Iterator[Item]:
    try:
        width, height = image_size(scene.before)
    except DataError as fault:
        on_fault(fault, [scene.name])
        return
    if width % TILE or height % TILE or width == height == TILE:
        yield scene
        return
    stem, suffix = os.path.splitext(scene.name)
    for y in range(0, height, TILE):
        for x in range(0, width, TILE):
            yield replace(scene, name=f"{stem}_{y:04d}_{x:04d}{suffix}", box=(x, y, x + TILE, y + TILE))

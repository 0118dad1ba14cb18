"""The file that `semantic-cc data match` writes: sentences of one dataset joined to masks of another.

Read as a dataset it is the union of both: the captioned pairs, those that were found with their mask, and
the tiles that were not found. So a stage that needs a mask, sentences or both finds the paper's D_cd, D_cc
and D_cd-cc in it, and no place is counted twice.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

from semantic_cc.data.items import Item
from semantic_cc.data.layouts import detect_layout
from semantic_cc.errors import DataError
from semantic_cc.types import SPLITS

Key = tuple[str, str]
"""Split and name of an item."""


@dataclass(frozen=True)
class Match:
    """A captioned pair and the tile that shows the same.

    Attributes:
        captioned, tile: split and name of each.
        correlation: of the pixels at full size, the lower of both dates, in [-1, 1].
    """

    captioned: Key
    tile: Key
    correlation: float


def dump(captions: Path, masks: Path, matches: list[Match], file: Path) -> bytes:
    """The content of `file`; the folders are named relative to it."""
    content = {
        "captions": os.path.relpath(captions, file.parent),
        "masks": os.path.relpath(masks, file.parent),
        "matches": [[*match.captioned, *match.tile, round(match.correlation, 4)] for match in matches],
    }
    return (json.dumps(content, indent=1) + "\n").encode()


def index(file: Path, split: str, skip_missing: bool = False) -> list[Item]:
    """The items of one split.

    A place is of the split where its captioned pair is, also where LEVIR-CD has it in another one: so no
    place of the captions' test split is learned from. A matched item has the tile's pixels, which its mask
    fits, unless the captioned pair has a mask of its own.

    Raises:
        DataError: another file, a match that names an unknown item, and as `detect_layout.index`.
    """
    captions, masks, tile_of = _read(file)
    captioned = detect_layout.index(captions, split, skip_missing)
    tiles = {(part, item.name): item for part in SPLITS for item in detect_layout.index(masks, part)}
    unknown = next((tile for tile in tile_of.values() if tile not in tiles), None)
    if unknown is not None:
        raise DataError(f"{file}: names {unknown[1]}, which {masks} does not have; match again")
    joined = []
    for item in captioned:
        tile = tile_of.get((split, item.name))
        if tile is not None and item.label is None:
            item = replace(tiles[tile], name=item.name, sentences=item.sentences, changed=item.changed)
        joined.append(item)
    taken = set(tile_of.values())
    return joined + [item for key, item in tiles.items() if key[0] == split and key not in taken]


def _read(file: Path) -> tuple[Path, Path, dict[Key, Key]]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        tile_of = {(s, name): (tile_s, tile) for s, name, tile_s, tile, _ in content["matches"]}
        folders = [file.parent / content[key] for key in ("captions", "masks")]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{file}: not a file that `semantic-cc data match` wrote; write it again") from error
    return folders[0], folders[1], tile_of

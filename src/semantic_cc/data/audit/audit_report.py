"""The audit of one dataset or several: leaks between splits, and faults item by item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from semantic_cc.data.audit.caption_checks import oddities, usual_count
from semantic_cc.data.audit.near_duplicates import FINE, Alike, find_alike, is_flat, shrink
from semantic_cc.data.items import ChangeDataset, Item, item_label
from semantic_cc.data.layouts.caption_files import read_captions
from semantic_cc.data.layouts.custom_folder import caption_files
from semantic_cc.data.layouts.detect_layout import index, recognise
from semantic_cc.data.progress_callback import Progress, counter
from semantic_cc.errors import DataError
from semantic_cc.types import SPLITS

DATES = ("before", "after")


@dataclass(frozen=True)
class _Part:
    """The items of one split of one dataset."""

    data: str
    split: str
    items: list[Item]


@dataclass(frozen=True)
class _Picture:
    """Where a kept picture comes from: the position of its part, the item's name, the date."""

    part: int
    name: str
    date: str


def audit(
    roots: Sequence[str | Path], reading: Progress | None = None, comparing: Progress | None = None
) -> dict[str, Any]:
    """Looks for places that are in two splits of one dataset or of several, and for faults.

    Both dates of each item are held against both dates of the items in other splits and other datasets. Pictures
    are found that were recompressed, brightened, flipped, turned, or shifted by up to an eighth of a side, not such
    of another scale or of another date. Pictures that are flat all over, as of water, cannot be told apart and are
    left out. Memory: about 20 KiB for each picture.

    Args:
        roots: folders in layouts of docs/data.md.
        reading, comparing: told after each item, and after each some hundred pictures.

    Returns:
        A dict for JSON: ``data``; ``items``, ``pictures`` and ``flat``, how many; ``leaks``: pairs of items of one
        place in different splits, as ``first`` and ``second`` (``data``, ``split``, ``name``, ``date``) with
        ``likeness`` in [0, 1], ``turns`` (quarter turns of the second against the clock) and ``mirrored`` (after
        them); ``repeats``: the same within the same split of different datasets; ``problems``: ``kind`` (layout,
        missing, caption, image, size, mask), ``where``, ``what``, ``names`` where several items have it.

    Raises:
        DataError: a folder twice, no such folder, no dataset; no items at all, with the first reason.
    """
    folders = [Path(root) for root in roots]
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise DataError(f"{' '.join(map(str, folders))}: the same folder twice; name each once")
    for folder in folders:
        recognise(folder)
    # By text: a caption file above the splits is read for each of them.
    problems: dict[str, dict[str, Any]] = {}
    parts = [
        _Part(str(folder), split, items)
        for folder in folders
        for split in SPLITS
        if (items := _items(folder, split, problems))
    ]
    if not parts:
        raise DataError(next(iter(problems), f"{' '.join(map(str, folders))}: no items; check the folders"))
    faults = [*problems.values(), *(fault for folder in folders for fault in _odd_captions(folder))]
    sources, pictures, flat = _read(parts, faults, reading)
    groups = np.array([source.part for source in sources])
    alike = find_alike(pictures, groups, comparing) if len(pictures) else []
    leaks: list[dict[str, Any]] = []
    repeats: list[dict[str, Any]] = []
    for pair in _of_items(alike, sources):
        one, other = (parts[sources[place].part] for place in (pair.first, pair.second))
        (repeats if one.split == other.split else leaks).append(_entry(pair, sources, parts))
    return {
        "data": list(map(str, folders)),
        "items": sum(len(part.items) for part in parts),
        "pictures": len(pictures) + flat,
        "flat": flat,
        "leaks": leaks,
        "repeats": repeats,
        "problems": faults,
    }


def _items(root: Path, split: str, problems: dict[str, dict[str, Any]]) -> list[Item]:
    def report(fault: DataError, names: Sequence[str] = ()) -> None:
        kind = "missing" if names else "caption"
        problems[str(fault)] = _problem(kind, f"{root}, {split}", str(fault), names)

    try:
        return index(root, split, report=report)
    except DataError as fault:
        problems[str(fault)] = _problem("layout", f"{root}, {split}", str(fault))
        return []


def _odd_captions(root: Path) -> Iterator[dict[str, Any]]:
    """Oddities in the caption files, also of entries whose images are missing."""
    try:
        entries = [(path, read_captions(path, report=lambda *_: None)) for path in caption_files(root)]
    except DataError:
        return  # the layout's own reader has said so
    for path, own in entries:
        usual = usual_count(own)
        yield from (
            _problem("caption", f"{path}: {e.filename}", what) for e in own for what in oddities(e, usual)
        )


def _problem(kind: str, where: str, what: str, names: Sequence[str] = ()) -> dict[str, Any]:
    return {"kind": kind, "where": where, "what": what, **({"names": list(names)} if names else {})}


def _read(
    parts: list[_Part], faults: list[dict[str, Any]], progress: Progress | None
) -> tuple[list[_Picture], np.ndarray, int]:
    """Reads everything once: the pictures that can be compared, kept small, and how many are flat; adds faults."""
    total = sum(len(part.items) for part in parts)
    pictures = np.empty((2 * total, FINE, FINE), np.uint8)
    sources: list[_Picture] = []
    flat = 0
    advance = counter(total, progress)
    for position, part in enumerate(parts):
        sizes: dict[str, tuple[int, int]] = {}
        for item in part.items:
            where = f"{part.data}, {part.split}, {item.name}"
            try:
                pair = ChangeDataset([replace(item, label=None)])[0]
            except DataError as fault:
                faults.append(_problem("image", where, str(fault)))
            else:
                sizes[where] = (pair.before.shape[1], pair.before.shape[0])
                for date in DATES:
                    picture = shrink(np.asarray(Image.fromarray(getattr(pair, date)).convert("L")))
                    if is_flat(picture):
                        flat += 1
                    else:
                        pictures[len(sources)] = picture
                        sources.append(_Picture(position, item.name, date))
            faults += [_problem(kind, where, what) for kind, what in _mask_faults(item, sizes.get(where))]
            advance()
        faults += _odd_sizes(sizes)
    return sources, pictures[: len(sources)], flat


def _mask_faults(item: Item, size: tuple[int, int] | None) -> Iterator[tuple[str, str]]:
    """Kind and text of what is wrong with the item's mask, its image being of `size`."""
    try:
        label = item_label(item)
    except DataError as fault:
        yield "mask", str(fault)
        return
    if label is None:
        return
    if size is not None and label.shape[::-1] != size:
        yield "size", f"the mask has {label.shape[1]}x{label.shape[0]} pixels, its images {size[0]}x{size[1]}"
    if item.changed is False and (label >= 128).any():
        yield "mask", f"is flagged unchanged, but {int((label >= 128).sum())} pixels of its mask are changed"


def _odd_sizes(sizes: dict[str, tuple[int, int]]) -> list[dict[str, Any]]:
    """The items whose images are not of their split's most frequent size."""
    usual = Counter(sizes.values()).most_common(1)
    return [
        _problem(
            "size",
            where,
            f"has {size[0]}x{size[1]} pixels, most of its split {usual[0][0][0]}x{usual[0][0][1]}",
        )
        for where, size in sizes.items()
        if size != usual[0][0]
    ]


def _of_items(alike: list[Alike], sources: list[_Picture]) -> list[Alike]:
    """Of all dates of two items the likest pair."""
    best: dict[tuple[int, str, int, str], Alike] = {}
    for pair in alike:
        one, other = sources[pair.first], sources[pair.second]
        key = (one.part, one.name, other.part, other.name)
        if key not in best or pair.likeness > best[key].likeness:
            best[key] = pair
    return list(best.values())


def _entry(pair: Alike, sources: list[_Picture], parts: list[_Part]) -> dict[str, Any]:
    sides = {}
    for role, place in (("first", pair.first), ("second", pair.second)):
        source = sources[place]
        part = parts[source.part]
        sides[role] = {"data": part.data, "split": part.split, "name": source.name, "date": source.date}
    likeness = round(pair.likeness, 3)
    return {**sides, "likeness": likeness, "turns": pair.symmetry.turns, "mirrored": pair.symmetry.mirror}

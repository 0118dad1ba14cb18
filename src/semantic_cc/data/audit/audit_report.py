"""The audit of one dataset or several: leaks between splits, faults and contradictions item by item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from semantic_cc.data.audit.caption_checks import oddities, usual_count
from semantic_cc.data.audit.near_duplicates import FINE, NearDuplicate, find_near_duplicates, is_flat, shrink
from semantic_cc.data.contradictions import find_contradictions
from semantic_cc.data.dataset_checks import item_fault
from semantic_cc.data.items import ChangeDataset, Item
from semantic_cc.data.layouts.caption_files import read_captions
from semantic_cc.data.layouts.custom_folder import caption_files
from semantic_cc.data.layouts.detect_layout import detect_layout, index
from semantic_cc.data.progress_callback import Progress, counter
from semantic_cc.errors import DataError
from semantic_cc.types import SPLITS

DATES = ("before", "after")


@dataclass(frozen=True)
class DatasetFault:
    """Something wrong with a dataset.

    Attributes:
        kind: "layout", "missing", "caption", "image", "size", "mask" or "contradiction".
        where: file, or dataset, split and item.
        what: one line for people.
        names: the items, where several have the same fault.
    """

    kind: str
    where: str
    what: str
    names: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values by field; ``names`` is left out where there are none."""
        content = {"kind": self.kind, "where": self.where, "what": self.what}
        return {**content, **({"names": list(self.names)} if self.names else {})}


@dataclass(frozen=True)
class DatedImage:
    """One image of a dataset: the path of the dataset, the split, the item's name, and "before" or "after"."""

    data: str
    split: str
    name: str
    date: str


@dataclass(frozen=True)
class SharedPlace:
    """Two images that show one place.

    Attributes:
        first, second: the images.
        likeness: correlation of their fine structure, in [0, 1].
        turns, mirrored: quarter turns of the second image against the clock, and whether it is mirrored after them.
    """

    first: DatedImage
    second: DatedImage
    likeness: float
    turns: int
    mirrored: bool


@dataclass(frozen=True)
class AuditReport:
    """What an audit found.

    Attributes:
        data: paths of the datasets.
        items, pictures, flat: numbers of items, of images that were read, and of those too flat to compare.
        leaks: items of one place in different splits.
        repeats: items of one place in the same split of different datasets.
        problems: faults of layout, captions, images and masks, and contradictions between flag, sentences and mask.
    """

    data: tuple[str, ...]
    items: int
    pictures: int
    flat: int
    leaks: tuple[SharedPlace, ...]
    repeats: tuple[SharedPlace, ...]
    problems: tuple[DatasetFault, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values by field."""
        lists = {name: [asdict(place) for place in getattr(self, name)] for name in ("leaks", "repeats")}
        problems = [problem.to_json() for problem in self.problems]
        return {**vars(self), "data": list(self.data), **lists, "problems": problems}


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
) -> AuditReport:
    """Looks for places that are in two splits of one dataset or of several, and for faults.

    Both dates of each item are compared with both dates of the items in other splits and other datasets. Images are
    found that were recompressed, brightened, flipped, turned, or shifted by up to an eighth of a side; images of
    another scale or of another date are not. Flat images, of water for example, are left out. Memory: about 20 KiB
    an image.

    Args:
        roots: folders in layouts of docs/data.md.
        reading, comparing: called after each item, and after each some hundred images.

    Raises:
        DataError: a folder twice, no such folder, no dataset; no items at all, with the first reason.
    """
    folders = [Path(root) for root in roots]
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise DataError(f"{' '.join(map(str, folders))}: the same folder twice; name each once")
    for folder in folders:
        detect_layout(folder)
    # By text: a caption file above the splits is read for each of them.
    problems: dict[str, DatasetFault] = {}
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
    duplicates = find_near_duplicates(pictures, groups, comparing) if len(pictures) else []
    leaks: list[SharedPlace] = []
    repeats: list[SharedPlace] = []
    for pair in _of_items(duplicates, sources):
        one, other = (parts[sources[place].part] for place in (pair.first, pair.second))
        (repeats if one.split == other.split else leaks).append(_shared_place(pair, sources, parts))
    return AuditReport(
        data=tuple(map(str, folders)),
        items=sum(len(part.items) for part in parts),
        pictures=len(pictures) + flat,
        flat=flat,
        leaks=tuple(leaks),
        repeats=tuple(repeats),
        problems=tuple(faults),
    )


def _items(root: Path, split: str, problems: dict[str, DatasetFault]) -> list[Item]:
    def keep(fault: DataError, names: Sequence[str] = ()) -> None:
        kind = "missing" if names else "caption"
        problems[str(fault)] = DatasetFault(kind, f"{root}, {split}", str(fault), tuple(names))

    try:
        return index(root, split, on_fault=keep)
    except DataError as fault:
        problems[str(fault)] = DatasetFault("layout", f"{root}, {split}", str(fault))
        return []


def _odd_captions(root: Path) -> Iterator[DatasetFault]:
    """Oddities in the caption files, also of entries whose images are missing."""
    try:
        entries = [(path, read_captions(path, on_fault=lambda *_: None)) for path in caption_files(root)]
    except DataError:
        return  # the layout's own reader has said so
    for path, own in entries:
        usual = usual_count(own)
        yield from (
            DatasetFault("caption", f"{path}: {e.filename}", what) for e in own for what in oddities(e, usual)
        )


def _read(
    parts: list[_Part], faults: list[DatasetFault], progress: Progress | None
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
                faults.append(DatasetFault("image", where, str(fault)))
            else:
                sizes[where] = (pair.before.shape[1], pair.before.shape[0])
                for date in DATES:
                    picture = shrink(np.asarray(Image.fromarray(getattr(pair, date)).convert("L")))
                    if is_flat(picture):
                        flat += 1
                    else:
                        pictures[len(sources)] = picture
                        sources.append(_Picture(position, item.name, date))
                mask_fault = item_fault(item)
                if mask_fault is not None:
                    faults.append(DatasetFault("mask", where, str(mask_fault)))
            advance()
        faults += _odd_sizes(sizes)
        faults += [
            DatasetFault("contradiction", f"{part.data}, {part.split}, {found.name}", found.what)
            for found in find_contradictions(ChangeDataset(part.items))
        ]
    return sources, pictures[: len(sources)], flat


def _odd_sizes(sizes: dict[str, tuple[int, int]]) -> list[DatasetFault]:
    """The items whose images are not of their split's most frequent size."""
    usual = Counter(sizes.values()).most_common(1)
    return [
        DatasetFault(
            "size",
            where,
            f"has {size[0]}x{size[1]} pixels, most of its split {usual[0][0][0]}x{usual[0][0][1]}",
        )
        for where, size in sizes.items()
        if size != usual[0][0]
    ]


def _of_items(duplicates: list[NearDuplicate], sources: list[_Picture]) -> list[NearDuplicate]:
    """Of all dates of two items the most similar pair."""
    best: dict[tuple[int, str, int, str], NearDuplicate] = {}
    for pair in duplicates:
        one, other = sources[pair.first], sources[pair.second]
        key = (one.part, one.name, other.part, other.name)
        if key not in best or pair.likeness > best[key].likeness:
            best[key] = pair
    return list(best.values())


def _shared_place(pair: NearDuplicate, sources: list[_Picture], parts: list[_Part]) -> SharedPlace:
    def dated(position: int) -> DatedImage:
        source = sources[position]
        part = parts[source.part]
        return DatedImage(part.data, part.split, source.name, source.date)

    return SharedPlace(
        first=dated(pair.first),
        second=dated(pair.second),
        likeness=round(pair.likeness, 3),
        turns=pair.symmetry.turns,
        mirrored=pair.symmetry.mirror,
    )

"""The folders `A`, `B` and `label` of one split, and the items in them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from semantic_cc.data.items import Item
from semantic_cc.data.layouts.caption_files import CaptionEntry
from semantic_cc.data.layouts.faults import FaultHandler, raise_fault
from semantic_cc.errors import DataError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")


def stem_of(name: str) -> str:
    """The name without an image's suffix: what joins A, B, label and captions."""
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in IMAGE_SUFFIXES else name


@dataclass(frozen=True)
class PairFolder:
    """The files below one folder, stem -> file name; empty where the folder is not there.

    Attributes:
        root: the folder of A, B and label.
        before, after, label: the images of A and B, and the masks.
    """

    root: Path
    before: dict[str, str]
    after: dict[str, str]
    label: dict[str, str]

    @property
    def entries(self) -> list[CaptionEntry]:
        """An entry without sentences for every image or mask, sorted by name."""
        files = self.label | self.after | self.before
        return [CaptionEntry(files[stem]) for stem in sorted(files)]


def scan(root: Path) -> PairFolder:
    """Lists `root`/A, B and label.

    Raises:
        DataError: two images of one folder differ only in their suffix.
    """
    return PairFolder(root, *(_images(root / part) for part in ("A", "B", "label")))


def items_of(
    folder: PairFolder,
    entries: Sequence[CaptionEntry],
    *,
    masked: bool | None,
    classes: tuple[str, ...],
    skip_missing: bool = False,
    on_fault: FaultHandler = raise_fault,
) -> list[Item]:
    """The items that `entries` name.

    Args:
        folder: where their files are.
        entries: the pairs; one may itself say whether it has a mask.
        masked: what holds where an entry does not say: every one has a mask, none has, or None: as it is found.
        classes: as in `Item`.
        skip_missing: leave out entries whose images are not there, instead of refusing them.
        on_fault: takes missing images and masks; if it returns, items without images are left out, and those
            without masks have none.

    Raises:
        DataError: a missing image, or a missing mask of an entry that must have one; naming the first.
    """
    if skip_missing:
        entries = [e for e in entries if stem_of(e.filename) in folder.before.keys() & folder.after.keys()]
    # Now, not in the middle of an epoch.
    for part, files in (("A", folder.before), ("B", folder.after)):
        otherwise = "read what is there with skip_missing=True"
        entries = _complete(entries, files, folder.root / part, otherwise, on_fault)
    must = [entry for entry in entries if _masked(entry, masked)]
    _complete(must, folder.label, folder.root / "label", "leave these items out", on_fault)
    return [_item(folder, entry, _masked(entry, masked), classes) for entry in entries]


def _masked(entry: CaptionEntry, default: bool | None) -> bool | None:
    return default if entry.label is None else entry.label


def _item(folder: PairFolder, entry: CaptionEntry, masked: bool | None, classes: tuple[str, ...]) -> Item:
    stem = stem_of(entry.filename)
    label = None if masked is False else folder.label.get(stem)
    return Item(
        name=entry.filename,
        before=f"{folder.root}/A/{folder.before[stem]}",
        after=f"{folder.root}/B/{folder.after[stem]}",
        label=None if label is None else f"{folder.root}/label/{label}",
        sentences=entry.sentences,
        changed=entry.changed,
        classes=classes,
    )


def _images(folder: Path) -> dict[str, str]:
    files: dict[str, str] = {}
    for name in os.listdir(folder) if folder.is_dir() else ():
        stem = stem_of(name)
        if stem == name or name.startswith("."):
            continue
        if stem in files:
            raise DataError(f"{folder}: both {files[stem]} and {name}; keep one image of a name")
        files[stem] = name
    return files


def _complete(
    entries: Sequence[CaptionEntry],
    files: dict[str, str],
    folder: Path,
    otherwise: str,
    on_fault: FaultHandler,
) -> list[CaptionEntry]:
    """The entries whose file is there; the others are reported."""
    missing = [entry.filename for entry in entries if stem_of(entry.filename) not in files]
    if missing:
        what = f"{len(missing)} of {len(entries)} images are missing, first {missing[0]}"
        on_fault(DataError(f"{folder}: {what}; complete the dataset, or {otherwise}"), missing)
    return [entry for entry in entries if stem_of(entry.filename) in files]

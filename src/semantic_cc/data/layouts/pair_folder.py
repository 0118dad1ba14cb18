"""Lists the items in the folders `A`, `B` and `label` of one split."""

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
    """The name without the image suffix, which is the same in A, B, label and the captions."""
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in IMAGE_SUFFIXES else name


@dataclass(frozen=True)
class PairFolder:
    """The files in the folders of one split.

    Attributes:
        root: the folder of A, B and label.
        before, after, label: stem -> file name in A, B and label; empty if the folder is missing.
    """

    root: Path
    before: dict[str, str]
    after: dict[str, str]
    label: dict[str, str]

    @property
    def entries(self) -> list[CaptionEntry]:
        """One entry without sentences for each image or mask, sorted by name."""
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
        folder: the folder with their files.
        entries: the pairs; an entry may say whether it has a mask.
        masked: whether an entry has a mask if it does not say so; None = if its mask file exists.
        classes: as in `Item`.
        skip_missing: whether to skip entries whose images are missing, instead of refusing them.
        on_fault: receives missing images and masks. If it returns, items without images are skipped, and items whose
            mask is missing get none.

    Raises:
        DataError: names the first missing image, or the first missing mask of an entry that must have one.
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
    """The entries whose file exists; reports the others."""
    missing = [entry.filename for entry in entries if stem_of(entry.filename) not in files]
    if missing:
        what = f"{len(missing)} of {len(entries)} images are missing, first {missing[0]}"
        on_fault(DataError(f"{folder}: {what}; complete the dataset, or {otherwise}"), missing)
    return [entry for entry in entries if stem_of(entry.filename) in files]

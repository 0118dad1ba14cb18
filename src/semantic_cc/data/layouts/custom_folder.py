"""Your own folder: pairs with masks, with sentences, or with both, item by item.

::

    ROOT/[{train,val,test}/]{A,B}/NAME.png      any image suffix; A earlier, B later
    ROOT/[{train,val,test}/]label/NAME.png      optional item by item; 0 and 255, or 0, 128 and 255
    ROOT/[{train,val,test}/]captions.json       or .jsonl or .csv; optional
"""

from __future__ import annotations

from pathlib import Path

from semantic_cc.data.items import Item
from semantic_cc.data.labels import labelled_classes
from semantic_cc.data.layouts.caption_files import CaptionEntry, find_captions, read_captions
from semantic_cc.data.layouts.faults import FaultHandler, raise_fault
from semantic_cc.data.layouts.pair_folder import items_of, scan, stem_of
from semantic_cc.errors import DataError
from semantic_cc.types import SPLITS

NAME = "your own folder"
LOOKS_FOR = "A, or {train,val,test}/A with captions"


def fits(root: Path) -> bool:
    """Whether `root` has this layout."""
    return (root / "A").is_dir() or any((root / split / "A").is_dir() for split in SPLITS)


def caption_files(root: Path) -> list[Path]:
    """The caption files in `root` and in the folders of its splits.

    Raises:
        DataError: two in one folder.
    """
    return [path for folder in (root, *(root / split for split in SPLITS)) if (path := find_captions(folder))]


def index(
    root: Path, split: str, skip_missing: bool = False, on_fault: FaultHandler = raise_fault
) -> list[Item]:
    """The items of one split: the captioned ones in the file's order, then those with only a mask.

    Without folders for the splits an item is of the split that its entry names, by default of train. Pairs
    with neither mask nor sentence are left out.

    Raises:
        DataError: a bad caption file, missing images, a caption file above the splits whose entry names none.
    """
    flat = (root / "A").is_dir()
    folder = scan(root if flat else root / split)
    captions = [
        entry
        for path in dict.fromkeys((root, folder.root))
        if (file := find_captions(path)) is not None
        for entry in _of_splits(file, known=path == root and not flat, on_fault=on_fault)
        if flat or path != root or entry.split == split  # names may repeat in the folders of other splits
    ]
    own = [entry for entry in captions if (entry.split or ("train" if flat else split)) == split]
    captioned = {stem_of(entry.filename) for entry in captions}
    masks_only = [entry for entry in folder.entries if stem_of(entry.filename) not in captioned]
    chosen = own + (masks_only if not flat or split == "train" else [])
    classes = labelled_classes(root, (part / "label" for part in (root, *(root / split for split in SPLITS))))
    items = items_of(
        folder, chosen, masked=None, classes=classes, skip_missing=skip_missing, on_fault=on_fault
    )
    return [item for item in items if item.label is not None or item.sentences]


def _of_splits(file: Path, known: bool, on_fault: FaultHandler) -> list[CaptionEntry]:
    entries = read_captions(file, on_fault)
    without = next((entry for entry in entries if known and entry.split is None), None)
    if without is not None:
        raise DataError(
            f"{file}: {without.filename} has no split; name it, or put the file into the split's folder"
        )
    return entries

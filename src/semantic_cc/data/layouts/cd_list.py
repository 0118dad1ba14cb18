"""Change detection cut beforehand, with lists for the splits: what BIT and ChangeFormer read.

::

    ROOT/{A,B,label}/NAME.png           labels of buildings only, read at a threshold of 128
    ROOT/list/{train,val,test}.txt      one NAME.png a line
"""

from __future__ import annotations

from pathlib import Path

from semantic_cc.data.items import Item
from semantic_cc.data.labels import declared_classes
from semantic_cc.data.layouts.caption_files import CaptionEntry
from semantic_cc.data.layouts.faults import FaultHandler, raise_fault
from semantic_cc.data.layouts.pair_folder import items_of, scan
from semantic_cc.errors import DataError
from semantic_cc.types import LABELLED_CLASSES

NAME = "pre-cut with lists"
LOOKS_FOR = "list/{train,val,test}.txt beside A"


def fits(root: Path) -> bool:
    """Whether `root` has this layout."""
    return (root / "list").is_dir() and (root / "A").is_dir()


def index(
    root: Path, split: str, skip_missing: bool = False, on_fault: FaultHandler = raise_fault
) -> list[Item]:
    """The items of one split, in its list's order; none where it has no list.

    Raises:
        DataError: an unreadable list, one that holds a path or a name twice, missing images or labels.
    """
    path = root / "list" / f"{split}.txt"
    if not path.is_file():
        return []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from error
    names = [name for line in lines if (name := line.strip())]
    seen: set[str] = set()
    for name in names:
        if "/" in name or "\\" in name:
            raise DataError(f"{path}: {name!r} must be a file name without a folder; leave out the folders")
        if name in seen:
            raise DataError(f"{path}: {name} occurs twice; make the names unique")
        seen.add(name)
    entries = [CaptionEntry(name) for name in names]
    return items_of(
        scan(root),
        entries,
        masked=True,
        classes=declared_classes(root) or LABELLED_CLASSES[0],
        skip_missing=skip_missing,
        on_fault=on_fault,
    )

"""LEVIR-CC and LEVIR-MCI.

Liu et al., TGRS 2022 (doi 10.1109/TGRS.2022.3218921) and TGRS 2024 (doi 10.1109/TGRS.2024.3425815).

::

    ROOT/LevirCCcaptions.json (or captions.json)     optional where there are labels
    ROOT/images/{train,val,test}/{A,B}/NAME.png      A earlier, B later
    ROOT/images/{train,val,test}/label/NAME.png      LEVIR-MCI; 0 none, 128 road, 255 building;
                                                     without any 128: buildings only (`labelled_classes`)
"""

from __future__ import annotations

from pathlib import Path

from semantic_cc.data.items import Item
from semantic_cc.data.labels import labelled_classes
from semantic_cc.data.layouts.caption_files import find_captions, read_captions
from semantic_cc.data.layouts.faults import FaultHandler, raise_fault
from semantic_cc.data.layouts.pair_folder import items_of, scan
from semantic_cc.errors import DataError
from semantic_cc.types import SPLITS

NAME = "LEVIR-CC or LEVIR-MCI"
LOOKS_FOR = "images/{train,val,test}/A"


def fits(root: Path) -> bool:
    """Whether `root` has this layout."""
    return (root / "images").is_dir()


def index(
    root: Path, split: str, skip_missing: bool = False, on_fault: FaultHandler = raise_fault
) -> list[Item]:
    """The items of one split, in the caption file's order; none where it has none.

    Where a split has a label folder each of its items must have a label, unless its entry says ``"label": 0``.

    Raises:
        DataError: a bad caption file, an entry without split, missing images or labels, neither captions nor
            labels.
    """
    folder = scan(root / "images" / split)
    classes = labelled_classes(root, (root / "images" / part / "label" for part in SPLITS))
    captions = find_captions(root)
    if captions is None:
        if folder.before and not folder.label:
            raise DataError(f"{root}: neither LevirCCcaptions.json nor images/{split}/label; add one of them")
        return items_of(
            folder,
            folder.entries,
            masked=True,
            classes=classes,
            skip_missing=skip_missing,
            on_fault=on_fault,
        )
    entries = read_captions(captions, on_fault)
    without = next((entry for entry in entries if entry.split is None), None)
    if without is not None:
        raise DataError(f"{captions}: {without.filename} has no split; this layout needs one for each entry")
    own = [entry for entry in entries if entry.split == split]
    masked = bool(folder.label)
    return items_of(folder, own, masked=masked, classes=classes, skip_missing=skip_missing, on_fault=on_fault)

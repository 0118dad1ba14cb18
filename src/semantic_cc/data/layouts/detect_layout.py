"""Detects the layout of a folder, and lists its items."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from semantic_cc.data.items import Item
from semantic_cc.data.layouts import cd_list, custom_folder, levir_cd, levir_mci
from semantic_cc.data.layouts.faults import FaultHandler, raise_fault
from semantic_cc.errors import DataError
from semantic_cc.types import SPLITS


class Layout(Protocol):
    """A module for one layout."""

    NAME: str
    LOOKS_FOR: str

    def fits(self, root: Path) -> bool:
        """Whether `root` has this layout."""
        ...

    def index(
        self, root: Path, split: str, skip_missing: bool = False, on_fault: FaultHandler = raise_fault
    ) -> list[Item]:
        """The items of one split, possibly none."""
        ...


LAYOUTS: tuple[Layout, ...] = (levir_mci, cd_list, levir_cd, custom_folder)
"""The layouts, in the order in which they are tried; the last one accepts the most folders."""


def detect_layout(root: Path) -> Layout:
    """The layout of a folder, from its subfolders and caption files.

    Raises:
        DataError: there is no such folder, or no layout fits; the message says what was looked for.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give the dataset's folder")
    for layout in LAYOUTS:
        if layout.fits(root):
            return layout
    looked_for = "; ".join(f"{layout.LOOKS_FOR} ({layout.NAME})" for layout in LAYOUTS)
    raise DataError(f"{root}: no dataset; looked for {looked_for}; see docs/data.md")


def index(
    root: Path, split: str, skip_missing: bool = False, on_fault: FaultHandler = raise_fault
) -> list[Item]:
    """The items of one split of a folder in any layout, possibly none; `on_fault` receives faults of single items.

    Raises:
        DataError: the split is unknown; or as in `detect_layout` and the layout's own `index`.
    """
    if split not in SPLITS:
        raise DataError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}")
    return detect_layout(root).index(root, split, skip_missing, on_fault)

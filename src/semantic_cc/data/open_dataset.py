"""Opens datasets: a folder, a match file, a subset file, or several of these joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from semantic_cc.data import match_file, subset_file
from semantic_cc.data.items import ChangeDataset, Item
from semantic_cc.data.layouts import detect_layout
from semantic_cc.errors import DataError

Data = str | Path | Sequence[str | Path]
"""A dataset, or several datasets to join."""


def open_dataset(data: Data, split: str, *, skip_missing: bool = False) -> ChangeDataset:
    """Opens one split of one or several datasets in any known layout, one dataset after the other.

    Reads no image files, except the headers of LEVIR-CD's scenes.

    Args:
        data: a folder, a file that `semantic-cc data match` wrote, a `subset_file`, or several of these. If there are
            several, the name of each item begins with the path of its dataset.
        split: "train", "val" or "test".
        skip_missing: whether to skip captioned or listed items whose images are missing, instead of refusing them.

    Raises:
        DataError: an unknown split, a folder in no known layout or with invalid content, or no items.
    """
    roots = roots_of(data)
    items = [
        item if len(roots) == 1 else replace(item, name=f"{root}/{item.name}", source=source)
        for source, root in enumerate(roots)
        for item in index(root, split, skip_missing)
    ]
    if not items:
        raise DataError(f"{name_of(data)}: no {split} items; check the split and the images")
    return ChangeDataset(items)


def index(root: Path, split: str, skip_missing: bool = False) -> list[Item]:
    """The items of one split of one dataset, possibly none.

    Raises:
        DataError: as in `open_dataset`.
    """
    if root.is_file() and (subset := subset_file.read(root)) is not None:
        return subset.selected(split, index(subset.dataset, split, skip_missing))
    return (match_file if root.is_file() else detect_layout).index(root, split, skip_missing)


def roots_of(data: Data) -> list[Path]:
    """The paths of the datasets in `data`."""
    return [Path(data)] if isinstance(data, str | Path) else [Path(root) for root in data]


def name_of(data: Data) -> str:
    """The name of `data` in reports and messages: its paths, one after the other."""
    return " ".join(map(str, roots_of(data)))

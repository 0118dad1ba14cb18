"""Reader of the LEVIR-CC and LEVIR-MCI layout.

Liu et al., TGRS 2022 (doi 10.1109/TGRS.2022.3218921) and TGRS 2024 (doi 10.1109/TGRS.2024.3425815).

::

    ROOT/LevirCCcaptions.json (or captions.json)     optional where there are labels
    ROOT/images/{train,val,test}/{A,B}/NAME.png      A earlier, B later
    ROOT/images/{train,val,test}/label/NAME.png      optional; values 0 none, 128 road, 255 building
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset, Subset

from semantic_cc.errors import DataError, ImageError
from semantic_cc.images import read_image, read_pair
from semantic_cc.types import LABEL_VALUES, Pair

SPLITS = ("train", "val", "test")
CAPTION_FILES = ("LevirCCcaptions.json", "captions.json")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")


@dataclass(frozen=True)
class _Item:
    name: str
    sentences: tuple[str, ...] = ()
    changed: bool | None = None


class LevirDataset(Dataset[Pair]):
    """One split of a dataset in the LEVIR layout; the images are read when an item is asked for.

    Args:
        root: the dataset's folder.
        split: "train", "val" or "test".
        skip_missing: leave out captioned items whose images are not there, instead of refusing them.

    Attributes:
        has_labels: the split has masks; then every item has one.
        has_captions: there is a caption file; else the items are those of the folder A, without flag.

    Raises:
        DataError: unknown split, no caption file and no labels, bad JSON, missing images or labels, no items;
            and from an item: unreadable images, sizes that differ, a label value outside `LABEL_VALUES`.
    """

    def __init__(self, root: str | Path, split: str, *, skip_missing: bool = False) -> None:
        if split not in SPLITS:
            raise DataError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}")
        self.root, self.split = Path(root), split
        self._folder = self.root / "images" / split
        if not self.root.is_dir():
            raise DataError(f"{self.root}: no such folder; give the dataset's folder")
        captions = next((self.root / name for name in CAPTION_FILES if (self.root / name).is_file()), None)
        self.has_captions = captions is not None
        self.has_labels = (self._folder / "label").is_dir()
        if captions is None and not self.has_labels:
            raise DataError(
                f"{self.root}: neither {CAPTION_FILES[0]} nor images/{split}/label; "
                "see the layout in semantic_cc.data.levir"
            )
        images = _file_names(self._folder / "A")
        items = (
            [_Item(name) for name in sorted(images)] if captions is None else _read_captions(captions, split)
        )
        needed = images & _file_names(self._folder / "B")
        if skip_missing:
            items = [item for item in items if item.name in needed]
        self._items = items
        self._check_files(needed)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Pair:
        """Reads one pair: images ``(H, W, 3)`` uint8, label ``(H, W)`` uint8 or None."""
        item = self._items[index]
        try:
            before, after, _ = read_pair(self._folder / "A" / item.name, self._folder / "B" / item.name)
        except ImageError as error:
            raise DataError(str(error)) from error
        path = self._folder / "label" / item.name
        label = _read_label(path) if self.has_labels else None
        if label is not None and label.shape != before.shape[:2]:
            raise DataError(f"{path}: its size differs from the images'; cut it alike")
        return Pair(item.name, before, after, label, item.sentences, item.changed)

    @property
    def names(self) -> list[str]:
        """The items' names, in order."""
        return [item.name for item in self._items]

    @property
    def references(self) -> dict[str, tuple[str, ...]]:
        """Name -> reference sentences, without reading an image."""
        return {item.name: item.sentences for item in self._items}

    @property
    def flags(self) -> dict[str, bool]:
        """Name -> change flag, of the items whose flag is known, without reading an image."""
        return {item.name: item.changed for item in self._items if item.changed is not None}

    def subset(self, count: int, seed: int = 0) -> Subset[Pair]:
        """`count` items drawn without replacement, in the split's order; the same for the same seed.

        Raises:
            DataError: there are fewer than `count` items, or `count` is below 1.
        """
        if not 1 <= count <= len(self):
            size = len(self)
            raise DataError(
                f"cannot draw {count} of {size} {self.split} items; give a number from 1 to {size}"
            )
        drawn = np.random.default_rng(seed).choice(len(self), size=count, replace=False)
        return Subset(self, sorted(drawn.tolist()))

    def _check_files(self, images: set[str]) -> None:
        if not self._items:
            raise DataError(f"{self.root}: no {self.split} items; check the split and the images folder")
        # Now, not in the middle of an epoch.
        _check_complete(self.names, images, self._folder / "A and B")
        if self.has_labels:
            _check_complete(self.names, _file_names(self._folder / "label"), self._folder / "label")


def _file_names(folder: Path) -> set[str]:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; the images belong there")
    return {path.name for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES}


def _check_complete(names: list[str], present: set[str], folder: Path) -> None:
    missing = [name for name in names if name not in present]
    if missing:
        raise DataError(
            f"{folder}: {len(missing)} of {len(names)} images are missing, first {missing[0]}; "
            "complete the dataset, or read what is there with skip_missing=True"
        )


def _read_label(path: Path) -> np.ndarray:
    try:
        rgb, _ = read_image(path)
    except ImageError as error:
        raise DataError(str(error)) from error
    label = np.ascontiguousarray(rgb[..., 0])
    values = set(np.flatnonzero(np.bincount(label.ravel(), minlength=256)).tolist())
    if (rgb != label[..., None]).any() or not values <= set(LABEL_VALUES):
        raise DataError(f"{path}: label values must be {LABEL_VALUES} in one channel; relabel it")
    return label


def _read_captions(path: Path, split: str) -> list[_Item]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # ValueError: bad JSON and bad UTF-8
        raise DataError(f"{path}: not readable as JSON ({error}); fetch it again") from error
    try:
        entries = [entry for entry in content["images"] if entry["split"] == split]
        items = [_read_entry(entry) for entry in entries]
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: not in the LEVIR-CC layout ({type(error).__name__}: {error}); "
            "each of `images` needs filename, split and sentences"
        ) from error
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
    if len({item.name for item in items}) < len(items):
        raise DataError(f"{path}: a filename occurs twice in split {split}; make them unique")
    return items


def _read_entry(entry: dict[str, Any]) -> _Item:
    name, flag = entry["filename"], entry.get("changeflag")
    if Path(name).name != name:
        raise ValueError(f"filename {name!r} must be a bare file name")
    if flag not in (None, 0, 1):
        raise ValueError(f"{name}: changeflag is {flag!r}; it must be 0 or 1")
    sentences = tuple(_plain(sentence) for sentence in entry["sentences"])
    if not all(sentences):
        raise ValueError(f"{name}: has an empty sentence; remove it")
    return _Item(name, sentences, None if flag is None else bool(flag))


def _plain(sentence: dict[str, Any]) -> str:
    """The sentence without full stop and outer blanks, from `raw`, else from `tokens`."""
    raw = sentence["raw"] if "raw" in sentence else " ".join(sentence["tokens"])
    return re.sub(r"[\s.]+$", "", raw).lstrip()

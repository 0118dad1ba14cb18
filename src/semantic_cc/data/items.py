"""A dataset of any layout as a list of items; an image is opened only when its item is read.

Shape legend: H, W image sides in pixels.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from torch.utils.data import Dataset, Subset

from semantic_cc.data.labels import in_threads, read_label
from semantic_cc.errors import DataError, ImageError
from semantic_cc.images import MAX_SIDE, read_pair
from semantic_cc.types import LABELLED_CLASSES, Pair


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a dataset, as far as it is known without opening an image.

    Attributes:
        name: file name without folders, unique in its split.
        before, after: paths of the images.
        label: path of the mask, None without a mask.
        sentences: reference captions without full stop.
        changed: the dataset's change flag, None if unknown.
        classes: the classes that the masks of its dataset label, one of `LABELLED_CLASSES`.
        source: index, from 0, of its dataset among the joined datasets.
        box: the part of the images and of the mask that is this item, as (left, upper, right, lower) in pixels as in
            PIL; None = the whole.
    """

    name: str
    before: str
    after: str
    label: str | None = None
    sentences: tuple[str, ...] = ()
    changed: bool | None = None
    classes: tuple[str, ...] = LABELLED_CLASSES[0]
    source: int = 0
    box: tuple[int, int, int, int] | None = None


class ChangeDataset(Dataset[Pair]):
    """The items of one split, as a PyTorch dataset; images are read when an item is accessed.

    Args:
        items: the items, in order.

    Raises:
        DataError: a name occurs twice. On access to an item: its images cannot be read, sizes differ, or `read_label`
            refuses a label value.
    """

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = list(items)
        self._cache: dict[_Files, _Arrays] = {}
        seen: set[str] = set()
        for name in self.names:
            if name in seen:
                raise DataError(f"{name}: occurs twice in the dataset; give each item its own name")
            seen.add(name)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Pair:
        """Reads one pair: images ``(H, W, 3)`` uint8, label ``(H, W)`` uint8 or None."""
        item = self.items[index]
        before, after, label = self._arrays(item)
        if item.box is not None:
            before, after = _cut(before, item.box), _cut(after, item.box)
            label = None if label is None else _cut(label, item.box)
        return Pair(item.name, before, after, label, item.sentences, item.changed)

    def scene(self, index: int) -> Pair | None:
        """The whole scene that an item is cut from, with its mask and without sentences; None if it is not cut.

        The arrays are read-only.
        """
        item = self.items[index]
        return None if item.box is None else Pair(item.name, *self._arrays(item))

    def cache_images(self) -> None:
        """Reads all images and masks into memory, decoded: 7 bytes per pixel of a labelled pair."""
        files = list(dict.fromkeys(_files(item) for item in self.items))
        self._cache = dict(zip(files, in_threads(lambda own: _read(*own), files), strict=True))

    def _arrays(self, item: Item) -> _Arrays:
        files = _files(item)
        if files in self._cache:
            return self._cache[files]
        return _read(*files) if item.box is None else _read_scene(*files)

    @property
    def names(self) -> list[str]:
        """Names of the items, in order."""
        return [item.name for item in self.items]

    @property
    def labelled(self) -> list[bool]:
        """Whether each item has a mask, in order."""
        return [item.label is not None for item in self.items]

    @property
    def references(self) -> dict[str, tuple[str, ...]]:
        """Name -> reference captions."""
        return {item.name: item.sentences for item in self.items}

    @property
    def sources(self) -> list[int]:
        """Index, from 0, of each item's dataset among the joined datasets, in order."""
        return [item.source for item in self.items]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that the masks of all joined datasets label."""
        labelled = {item.classes for item in self.items if item.label is not None}
        return min(labelled, key=len, default=())

    @property
    def flags(self) -> dict[str, bool]:
        """Name -> change flag, for items with a known flag."""
        return {item.name: item.changed for item in self.items if item.changed is not None}

    def without(self, names: Iterable[str]) -> ChangeDataset:
        """The dataset without the items of these names.

        Raises:
            KeyError: there is no item with one of the names.
        """
        left_out = set(names)
        if unknown := left_out.difference(self.names):
            raise KeyError(min(unknown))
        return ChangeDataset([item for item in self.items if item.name not in left_out])

    def subset(self, count: int, seed: int = 0) -> Subset[Pair]:
        """Draws `count` items without replacement, in the order of the dataset; the same seed draws the same items.

        Raises:
            DataError: there are fewer than `count` items, or `count` is below 1.
        """
        size = len(self)
        if not 1 <= count <= size:
            raise DataError(f"cannot draw {count} of {size} items; give a number from 1 to {size}")
        drawn = np.random.default_rng(seed).choice(size, size=count, replace=False)
        return Subset(self, sorted(drawn.tolist()))


def image_size(path: str) -> tuple[int, int]:
    """Width and height of an image in pixels; reads only the file's header.

    Raises:
        DataError: the file is not an image, or far too large.
    """
    try:
        with Image.open(path) as image:
            return image.size
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: too large; cut it to at most {MAX_SIDE} pixels a side") from error
    except OSError as error:
        raise DataError(f"{path}: not an image; fetch or save it again") from error


def item_size(item: Item) -> tuple[int, int]:
    """Width and height of an item in pixels; reads at most the file's header.

    Raises:
        DataError: the file is not an image.
    """
    if item.box is None:
        return image_size(item.before)
    left, upper, right, lower = item.box
    return right - left, lower - upper


def item_label(item: Item) -> np.ndarray | None:
    """The item's mask, as from `read_label`; None without a mask.

    Raises:
        DataError: as in `read_label`.
    """
    if item.label is None:
        return None
    if item.box is None:
        return read_label(item.label, item.classes)
    return _cut(_read_scene_label(item.label, item.classes), item.box)


_Files = tuple[str, str, "str | None", tuple[str, ...]]
_Arrays = tuple[np.ndarray, np.ndarray, "np.ndarray | None"]


def _files(item: Item) -> _Files:
    return item.before, item.after, item.label, item.classes


def _read(before_path: str, after_path: str, label_path: str | None, classes: tuple[str, ...]) -> _Arrays:
    try:
        before, after, _ = read_pair(before_path, after_path)
    except ImageError as error:
        raise DataError(str(error)) from error
    label = None if label_path is None else read_label(label_path, classes)
    if label is not None and label.shape != before.shape[:2]:
        raise DataError(f"{label_path}: its size differs from the images'; cut it to their size")
    for array in (before, after, label):
        if array is not None:
            array.flags.writeable = False  # several items may read it
    return before, after, label


# A scene holds 16 tiles of 256 pixels; whoever reads them in order decodes it once.
_read_scene = functools.lru_cache(maxsize=1)(_read)
_read_scene_label = functools.lru_cache(maxsize=1)(read_label)


def _cut(array: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    left, upper, right, lower = box
    return array[upper:lower, left:right].copy()

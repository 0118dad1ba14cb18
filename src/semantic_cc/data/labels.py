"""The rule from the values of a label file to classes. It stands here and nowhere else.

A dataset labels either building only (two classes) or road and building (three classes); `labelled_classes` finds out
which. `read_label` then reads each file:

- two classes: a value of at least `THRESHOLD` is a building, every other one is not. The official LEVIR-CD labels of
  four scenes hold 254 or 156 for a building;
- three classes: each value belongs to the nearest of 0 (none), 128 (road) and 255 (building), at most `TOLERANCE` away.
  Any other value is an error that names the file.

Two marks that this package writes are read exactly: `UNKNOWN` (32) and, with three classes, `NOT_BUILDING` (64).
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from semantic_cc.data.text_files import parse_json, read_text
from semantic_cc.errors import DataError, ImageError
from semantic_cc.images import FORMATS, read_image
from semantic_cc.types import (
    BUILDING,
    LABEL_VALUES,
    LABELLED_CLASSES,
    LEFT_OUT,
    MASK_VALUES,
    NOT_BUILDING,
    NOT_BUILDING_CLASS,
    ROAD,
    UNKNOWN,
    UNKNOWN_CLASS,
)

THRESHOLD = 128
"""Smallest value of a building in a two-class label."""

TOLERANCE = 16
"""Largest distance of a value of a three-class label from 0, 128 or 255."""

DATASET_FILE = "dataset.json"
"""File in a dataset's folder that names the classes of its labels: ``{"classes": ["building"]}``."""

_THREADS = 8
_AT_ONCE = 128  # files between two looks at what was found
_LARGEST_INDEX = len(LABEL_VALUES) - 1
_log = logging.getLogger(__name__)
_In = TypeVar("_In")
_Out = TypeVar("_Out")


def read_label(path: str, classes: Sequence[str]) -> np.ndarray:
    """Reads a label file.

    Args:
        path: of the file.
        classes: what the dataset labels, one of `LABELLED_CLASSES`.

    Returns:
        ``(H, W)`` uint8 of `MASK_VALUES`. With two classes every pixel without a building is `NOT_BUILDING`: it says
        nothing about roads.

    Raises:
        DataError: the file is no image, has channels that differ, or holds a value that the rule does not allow.
    """
    values = read_values(path)
    found = np.flatnonzero(np.bincount(values.ravel(), minlength=256))
    if 0 < found[-1] <= _LARGEST_INDEX:
        raise DataError(
            f"{path}: label values {found.tolist()} look like class indices; write 255 for building"
            f"{', 128 for road' if 'road' in classes else ''} and 0 for no change"
        )
    if "road" not in classes:
        return _two_class_table()[values]
    table = _three_class_table()
    wrong = found[table[found] < 0].tolist()
    if wrong:
        raise DataError(
            f"{path}: label value {wrong[0]} is not one of {LABEL_VALUES}; relabel it, or, if the dataset labels "
            f'buildings only, write {{"classes": ["building"]}} to {DATASET_FILE} in its folder'
        )
    return table[values].astype(np.uint8)


def read_values(path: str) -> np.ndarray:
    """The values of a label file as they are stored, ``(H, W)`` uint8.

    Raises:
        DataError: the file is no image, or has channels that differ.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.mode in ("L", "1") and getattr(image, "n_frames", 1) == 1:
                return np.array(image.convert("L"))
    except Exception:
        pass  # `read_image` says what is wrong
    try:
        rgb, _ = read_image(path)
    except ImageError as error:
        raise DataError(str(error)) from error
    values = np.ascontiguousarray(rgb[..., 0])
    if (rgb != values[..., None]).any():
        raise DataError(f"{path}: a label must have one channel, or equal ones; convert it to grey")
    return values


def labelled_classes(root: Path, label_folders: Iterable[Path]) -> tuple[str, ...]:
    """Which classes the labels of a dataset distinguish.

    1. `DATASET_FILE` in the dataset's folder says it: ``{"classes": ["building"]}`` or
       ``{"classes": ["road", "building"]}``.
    2. Otherwise the labels of all splits are read until one holds a road, a value within `TOLERANCE` of 128: then roads
       are labelled. If none does, they are not: zeros then say nothing about roads.

    Args:
        root: the dataset's folder.
        label_folders: the folders of its label files; missing ones are left out.

    Raises:
        DataError: `DATASET_FILE` is unreadable or names other classes.
    """
    declared = declared_classes(root)
    if declared is not None:
        return declared
    files = [str(path) for folder in label_folders if folder.is_dir() for path in sorted(folder.iterdir())]
    for start in range(0, len(files), _AT_ONCE):
        if any(in_threads(_shows_roads, files[start : start + _AT_ONCE])):
            return LABELLED_CLASSES[1]
    if files:
        _log.info("%s: none of %d labels holds a road: roads count as not labelled", root, len(files))
    return LABELLED_CLASSES[0]


def declared_classes(root: Path) -> tuple[str, ...] | None:
    """The classes that `DATASET_FILE` in `root` names; None without that file.

    Raises:
        DataError: it is unreadable, or names other classes than one of `LABELLED_CLASSES`.
    """
    path = root / DATASET_FILE
    if not path.is_file():
        return None
    content = parse_json(read_text(path), str(path))
    for classes in LABELLED_CLASSES:
        if (
            isinstance(content, dict)
            and content.keys() == {"classes"}
            and content["classes"] in _orders(classes)
        ):
            return classes
    raise DataError(
        f'{path}: must be {{"classes": ["building"]}} or {{"classes": ["road", "building"]}}; correct it'
    )


def write_classes(root: Path, classes: Sequence[str]) -> None:
    """Writes `DATASET_FILE` into a dataset that is being made."""
    (root / DATASET_FILE).write_text(json.dumps({"classes": list(classes)}) + "\n", encoding="utf-8")


def label_classes(label: np.ndarray, name: str) -> np.ndarray:
    """A mask as class indices.

    Args:
        label: ``(H, W)`` uint8 of `MASK_VALUES`.
        name: of the pair, for the message.

    Returns:
        ``(H, W)`` int8 positions in `MASK_VALUES`.

    Raises:
        DataError: the mask holds another value.
    """
    classes: np.ndarray = _index_table()[label]
    if classes.min() < 0:
        wrong = label[classes < 0].min()
        raise DataError(
            f"{name}: mask value {wrong} is not one of {MASK_VALUES}; read masks with `read_label`"
        )
    return classes


def true_classes(label: np.ndarray, name: str) -> tuple[np.ndarray, bool]:
    """A mask as it is scored.

    Args:
        label, name: as in `label_classes`.

    Returns:
        ``(H, W)`` int8: 0 none, 1 road, 2 building, `LEFT_OUT` where nothing is labelled; and whether roads are
        labelled. Where they are not, 0 is "no building".

    Raises:
        DataError: as in `label_classes`.
    """
    classes = label_classes(label, name)
    unlabelled_roads = classes == NOT_BUILDING_CLASS
    classes[unlabelled_roads] = 0
    classes[classes == UNKNOWN_CLASS] = LEFT_OUT
    return classes, not bool(unlabelled_roads.any())


def in_threads(function: Callable[[_In], _Out], values: Iterable[_In]) -> Iterator[_Out]:
    """`map` in threads, in order; image decoders let go of Python's lock."""
    with ThreadPoolExecutor(_THREADS) as pool:
        yield from pool.map(function, values)


def _shows_roads(path: str) -> bool:
    """Whether a label file holds a road; False for one that cannot be read."""
    try:
        state = os.stat(path)
    except OSError:
        return False
    return _version_shows_roads(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=100_000)  # the phases of a run open the same datasets many times
def _version_shows_roads(path: str, changed: int, size: int) -> bool:
    try:
        found = np.bincount(read_values(path).ravel(), minlength=256)
    except DataError:
        return False  # the reader of the item, or the check of the dataset, names it
    return bool(found[ROAD - TOLERANCE : ROAD + TOLERANCE + 1].any())


def _orders(classes: tuple[str, ...]) -> tuple[list[str], list[str]]:
    return list(classes), list(classes[::-1])


@lru_cache(maxsize=1)
def _two_class_table() -> np.ndarray:
    """Value of a two-class label -> value of the mask."""
    table = np.where(np.arange(256) >= THRESHOLD, BUILDING, NOT_BUILDING).astype(np.uint8)
    table[UNKNOWN] = UNKNOWN
    return table


@lru_cache(maxsize=1)
def _three_class_table() -> np.ndarray:
    """Value of a three-class label -> value of the mask, -1 where the rule allows none."""
    table = np.full(256, -1, np.int16)
    for value in LABEL_VALUES:
        table[max(0, value - TOLERANCE) : value + TOLERANCE + 1] = value
    table[[UNKNOWN, NOT_BUILDING]] = UNKNOWN, NOT_BUILDING
    return table


@lru_cache(maxsize=1)
def _index_table() -> np.ndarray:
    """Value of a mask -> class index, -1 for other values."""
    table = np.full(256, -1, np.int8)  # small: a batch of labels goes through it at every step
    table[list(MASK_VALUES)] = range(len(MASK_VALUES))
    return table

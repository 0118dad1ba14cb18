"""Pairs whose flag, sentences and mask contradict each other."""

import json
from pathlib import Path

import layouts as write
import numpy as np
import pytest

from semantic_cc.data.contradictions import find_contradictions
from semantic_cc.data.open_dataset import open_dataset

EMPTY, BUILDING, ROAD = (0,), (0, 255), (0, 128)


def dataset(root: Path, *pairs: tuple[tuple[int, ...], int | None, tuple[str, ...]]) -> Path:
    """Pairs of mask values, flag and sentences, and one with all classes."""
    rng = np.random.default_rng(0)
    entries = []
    for number, (values, flag, sentences) in enumerate([*pairs, ((0, 128, 255), 1, ("a house is built",))]):
        name = f"{number}.png"
        write.write_pair(root / "images" / "train", name, rng, values=values)
        entries.append(write.entry(name, *sentences, **({} if flag is None else {"changeflag": flag})))
    (root / "captions.json").write_text(json.dumps({"images": entries}))
    return root


def kinds(root: Path) -> list[tuple[str, str]]:
    return [(found.name, found.kind) for found in find_contradictions(open_dataset(root, "train"))]


def test_each_kind_is_found(tmp_path: Path) -> None:
    root = dataset(
        tmp_path,
        (BUILDING, 0, ("no change has occurred",)),
        (BUILDING, None, ("no change has occurred",)),
        (EMPTY, 1, ("a house is built", "two villas appear", "trees are removed")),
        (EMPTY, 1, ("a road is built",)),
        (EMPTY, 0, ("a tree is planted", "trees appear", "no change")),
    )
    assert kinds(root) == [
        ("0.png", "unchanged_with_mask"),
        ("1.png", "unchanged_with_mask"),
        ("2.png", "changed_without_mask"),
        ("3.png", "changed_without_mask"),
        ("4.png", "flag"),
    ]


def test_what_agrees_is_not_listed(tmp_path: Path) -> None:
    root = dataset(
        tmp_path,
        (EMPTY, 0, ("no change has occurred",)),
        (EMPTY, 1, ("trees are removed", "some trees are cut down")),  # no mask labels trees
        (ROAD, 1, ("a house is built",)),  # not empty
        (EMPTY, 1, ()),
        (BUILDING, None, ()),
    )
    assert kinds(root) == []


def test_roads_count_only_where_they_are_labelled(tmp_path: Path) -> None:
    root = dataset(tmp_path, (EMPTY, 1, ("a road is built",)), (EMPTY, 1, ("a house is built",)))
    (root / "dataset.json").write_text('{"classes": ["building"]}')
    assert kinds(root) == [("1.png", "changed_without_mask")]


def test_they_can_be_left_out(tmp_path: Path) -> None:
    data = open_dataset(dataset(tmp_path, (BUILDING, 0, ("no change has occurred",))), "train")
    kept = data.without(found.name for found in find_contradictions(data))
    assert (data.names, kept.names) == (["0.png", "1.png"], ["1.png"])
    with pytest.raises(KeyError, match=r"9\.png"):
        data.without(["9.png"])

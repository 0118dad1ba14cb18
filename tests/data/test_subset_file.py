"""A part of a dataset's training pairs, as a dataset."""

import json
from pathlib import Path

import pytest

from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.data.subset_file import dump
from semantic_cc.errors import DataError


def subset(world: Path, out: Path, fraction: float, seed: int = 0) -> Path:
    file = out / f"{fraction}-{seed}.json"
    file.write_bytes(dump(world, file, fraction=fraction, seed=seed))
    return file


def names(data: Path, split: str = "train") -> list[str]:
    return list(open_dataset(data, split).names)


def test_subsets_are_nested_and_keep_the_share_of_changed_pairs(world_folder: Path, tmp_path: Path) -> None:
    every = open_dataset(world_folder, "train")
    half, quarter = (subset(world_folder, tmp_path, fraction) for fraction in (0.5, 0.25))
    assert set(names(quarter)) < set(names(half)) < set(every.names)
    assert names(half) == [name for name in every.names if name in names(half)]  # in their order
    for changed in (True, False):
        count = sum(item.changed == changed for item in every.items)
        assert sum(item.changed == changed for item in open_dataset(half, "train").items) == round(
            0.5 * count
        )
    assert names(subset(world_folder, tmp_path, 0.5, seed=1)) != names(half)
    assert names(subset(world_folder, tmp_path, 1.0)) == list(every.names)


def test_val_and_test_are_whole(world_folder: Path, tmp_path: Path) -> None:
    file = subset(world_folder, tmp_path, 0.25)
    for split in ("val", "test"):
        assert names(file, split) == names(world_folder, split)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"dataset": "x", "fraction": 0, "seed": 0}, "fraction is 0; give a number above 0"),
        ({"dataset": "x", "fraction": 1.5, "seed": 0}, "fraction is 1.5; give a number above 0"),
        ({"dataset": "x", "fraction": "half", "seed": 0}, "needs a text"),
        ({"dataset": "x", "fraction": 0.5}, "not a file that `semantic-cc data match` wrote"),
    ],
)
def test_wrong_files_are_refused(content: dict, message: str, tmp_path: Path) -> None:
    file = tmp_path / "subset.json"
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        open_dataset(file, "train")

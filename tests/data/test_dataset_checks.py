"""What is checked of a whole dataset before long work."""

from pathlib import Path

import layouts as write
import numpy as np
import pytest

from semantic_cc.data.dataset_checks import check_dataset
from semantic_cc.data.items import ChangeDataset
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.errors import DataError


def many_pairs(root: Path, count: int) -> Path:
    rng = np.random.default_rng(0)
    for number in range(count):
        write.write_pair(root / "images" / "train", f"train_{number:06d}.png", rng, 16, values=(0, 128, 255))
    return root


def test_a_bad_label_among_500_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = open_dataset(many_pairs(tmp_path, 500), "train")
    seen: list[tuple[int, int]] = []
    check_dataset(data, lambda *at: seen.append(at))
    assert seen == [(done, 500) for done in range(1, 501)]
    label = np.zeros((16, 16), np.uint8)
    label[3, 3] = 77
    write.save(label, tmp_path / "images" / "train" / "label" / "train_000321.png")
    monkeypatch.setattr(ChangeDataset, "__getitem__", lambda *_: pytest.fail("an image was decoded"))
    with pytest.raises(
        DataError, match=r"label/train_000321\.png: label value 77 is not one of \(0, 128, 255\)"
    ):
        check_dataset(data)


def test_sizes_that_differ_are_named(tmp_path: Path) -> None:
    data = open_dataset(many_pairs(tmp_path, 3), "train")
    folder = tmp_path / "images" / "train"
    write.save(np.zeros((16, 24), np.uint8), folder / "label" / "train_000001.png")
    with pytest.raises(DataError, match=r"label/train_000001\.png: has 24x16 pixels, the before image 16x16"):
        check_dataset(data)
    write.save(np.zeros((32, 16, 3), np.uint8), folder / "B" / "train_000000.png")
    with pytest.raises(DataError, match=r"B/train_000000\.png: has 16x32 pixels"):
        check_dataset(data)


def test_a_scene_is_checked_once_for_its_tiles(tmp_path: Path) -> None:
    data = open_dataset(write.write_levir_cd(tmp_path), "train")
    seen: list[tuple[int, int]] = []
    check_dataset(data, lambda *at: seen.append(at))
    assert (len(data), seen) == (4, [(1, 1)])

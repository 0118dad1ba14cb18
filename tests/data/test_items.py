"""Reading items, and what can be wrong with a file, told by its name."""

import layouts as write
import numpy as np
import pytest
from PIL import Image

from semantic_cc.data.items import ChangeDataset, Item
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.errors import DataError


def test_bad_images_are_told_by_file(tmp_path):
    data = open_dataset(write.write_levir_mci(tmp_path), "train")
    folder = tmp_path / "images/train"
    label = np.asarray(Image.open(folder / "label/train_a.png"))
    write.save(np.where(label == 0, 77, label).astype(np.uint8), folder / "label/train_a.png")
    with pytest.raises(DataError, match=r"label/train_a\.png: label value 77 is none of"):
        data[0]
    write.save(label[:16], folder / "label/train_a.png")
    with pytest.raises(DataError, match=r"label/train_a\.png: its size differs"):
        data[0]
    write.save(np.dstack([label, label, 255 - label]), folder / "label/train_b.png")
    with pytest.raises(DataError, match=r"label/train_b\.png: a label must have one channel"):
        data[1]
    Image.new("RGB", (32, 16)).save(folder / "B/train_b.png")
    with pytest.raises(DataError, match=r"B/train_b\.png: sizes differ \(32x32 and 32x16\)"):
        data[1]
    (folder / "A/train_c.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"A/train_c\.png: not an image"):
        data[2]
    with pytest.raises(IndexError):
        data[3]


def test_subset():
    data = ChangeDataset([Item(f"{index}.png", "", "") for index in range(3)])
    draws = {tuple(data.subset(2, seed).indices) for seed in range(20)}
    assert len(draws) > 1
    assert all(first < second for first, second in draws)
    assert data.subset(2, 5).indices == data.subset(2, 5).indices
    for count in (0, 4):
        with pytest.raises(DataError, match=f"cannot draw {count} of 3 items; give a number from 1 to 3"):
            data.subset(count)

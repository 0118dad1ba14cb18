"""Reading items, and what can be wrong with a file, told by its name."""

import zlib

import layouts as write
import numpy as np
import pytest
from PIL import Image

from semantic_cc.data import items as module
from semantic_cc.data.items import ChangeDataset, Item, image_size
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.errors import DataError


def test_bad_images_are_told_by_file(tmp_path):
    data = open_dataset(write.write_levir_mci(tmp_path), "train")
    folder = tmp_path / "images/train"
    label = np.asarray(Image.open(folder / "label/train_a.png"))
    write.save(np.where(label == 0, 77, label).astype(np.uint8), folder / "label/train_a.png")
    with pytest.raises(DataError, match=r"label/train_a\.png: label value 77 is not one of"):
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


def test_an_image_that_pillow_refuses_for_its_size_is_named(tmp_path):
    path = tmp_path / "a.png"
    Image.new("L", (16, 16)).save(path)
    header = bytearray(path.read_bytes())
    header[16:24] = (32507).to_bytes(4, "big") + (15354).to_bytes(4, "big")
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4, "big")
    path.write_bytes(header)
    with pytest.raises(DataError, match=r"a\.png: too large; cut it to at most 8192 pixels a side"):
        image_size(str(path))


def test_subset():
    data = ChangeDataset([Item(f"{index}.png", "", "") for index in range(3)])
    draws = {tuple(data.subset(2, seed).indices) for seed in range(20)}
    assert len(draws) > 1
    assert all(first < second for first, second in draws)
    assert data.subset(2, 5).indices == data.subset(2, 5).indices
    for count in (0, 4):
        with pytest.raises(DataError, match=f"cannot draw {count} of 3 items; give a number from 1 to 3"):
            data.subset(count)


def test_a_tile_knows_its_scene(tmp_path):
    rng = np.random.default_rng(0)
    scene = {kind: rng.integers(0, 256, (256, 512, 3), dtype=np.uint8) for kind in "AB"}
    label = np.zeros((256, 512), np.uint8)
    label[:, 300:] = 255
    for kind, array in (*scene.items(), ("label", label)):
        (tmp_path / "train" / kind).mkdir(parents=True)
        Image.fromarray(array).save(tmp_path / "train" / kind / "scene.png")
    data = open_dataset(tmp_path, "train")
    assert data.names == ["scene_0000_0000.png", "scene_0000_0256.png"]
    whole = data.scene(1)
    np.testing.assert_array_equal(whole.after, scene["B"])
    np.testing.assert_array_equal(whole.label == 255, label == 255)
    np.testing.assert_array_equal(whole.before[:, 256:], data[1].before)
    assert (whole.sentences, whole.changed) == ((), None)


def test_an_image_is_no_part_of_a_scene(tmp_path):
    assert open_dataset(write.write_levir_mci(tmp_path), "train").scene(0) is None


def test_cached_images_are_read_once_and_equal(tmp_path, monkeypatch):
    data = open_dataset(write.write_levir_mci(tmp_path), "train")
    read = [data[index] for index in range(len(data))]
    data.cache_images()
    monkeypatch.setattr(module, "read_pair", None)  # no file is opened any more
    for index, pair in enumerate(read):
        cached = data[index]
        for name in ("before", "after", "label"):
            np.testing.assert_array_equal(getattr(cached, name), getattr(pair, name))
        assert not cached.before.flags.writeable

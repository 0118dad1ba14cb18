"""The LEVIR reader: both layouts, and one clear line for everything that can be wrong."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from semantic_cc.data.collate import collate
from semantic_cc.data.levir import LevirDataset
from semantic_cc.errors import DataError


def entry(name, *sentences, split="train", **more):
    return {
        "filename": name,
        "split": split,
        "sentences": [{"raw": sentence} for sentence in sentences],
        **more,
    }


def write_captions(root, entries, name="LevirCCcaptions.json"):
    (root / name).write_text(json.dumps({"images": entries}))


@pytest.fixture
def root(tmp_path):
    """Three train pairs with labels and captions, one val pair."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 3), ("val", 1)):
        for folder in ("A", "B", "label"):
            (tmp_path / "images" / split / folder).mkdir(parents=True)
        for index in range(count):
            for folder in ("A", "B"):
                image = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(image).save(tmp_path / "images" / split / folder / f"{split}_{index}.png")
            label = rng.choice(np.array([0, 128, 255], np.uint8), (32, 32))
            Image.fromarray(label).save(tmp_path / "images" / split / "label" / f"{split}_{index}.png")
    write_captions(
        tmp_path,
        [
            entry("train_2.png", " a road is built . ", "roads.", changeflag=1),
            entry("train_0.png", " no change has occurred .", changeflag=0),
            {"filename": "train_1.png", "split": "train", "sentences": [{"tokens": ["two", "houses"]}]},
            entry("val_0.png", "a house", split="val", changeflag=1),
        ],
    )
    return tmp_path


def test_items_follow_the_caption_file(root):
    data = LevirDataset(root, "train")
    assert len(data) == 3
    assert data.has_labels
    assert data.has_captions
    assert data.names == ["train_2.png", "train_0.png", "train_1.png"]
    assert data.references["train_2.png"] == ("a road is built", "roads")
    assert data.references["train_1.png"] == ("two houses",)
    assert data.flags == {"train_2.png": True, "train_0.png": False}
    pair = data[0]
    assert pair.name == "train_2.png"
    assert pair.changed is True
    assert pair.sentences == ("a road is built", "roads")
    for array, folder in ((pair.before, "A"), (pair.after, "B"), (pair.label, "label")):
        np.testing.assert_array_equal(
            array, np.array(Image.open(root / "images/train" / folder / "train_2.png"))
        )
    assert data[2].changed is None


def test_labels_without_captions(root):
    (root / "LevirCCcaptions.json").unlink()
    data = LevirDataset(str(root), "train")
    assert data.has_labels
    assert not data.has_captions
    assert data.names == ["train_0.png", "train_1.png", "train_2.png"]
    assert data[0].sentences == ()
    assert data[0].changed is None
    assert data[0].label is not None


def test_captions_without_labels_under_the_other_name(root):
    (root / "LevirCCcaptions.json").rename(root / "captions.json")
    for path in (root / "images/val/label").iterdir():
        path.unlink()
    (root / "images/val/label").rmdir()
    data = LevirDataset(root, "val")
    assert data.has_captions
    assert not data.has_labels
    assert data[0].label is None


def test_it_feeds_a_loader(root):
    batches = list(DataLoader(LevirDataset(root, "val"), batch_size=1, collate_fn=collate))
    assert len(batches) == 1
    assert batches[0].before.shape == (1, 3, 32, 32)
    assert torch.equal(batches[0].changed, torch.ones(1))


def test_subset(root):
    data = LevirDataset(root, "train")
    draws = {tuple(data.subset(2, seed).indices) for seed in range(20)}
    assert len(draws) > 1
    assert all(first < second for first, second in draws)
    assert data.subset(2, 5).indices == data.subset(2, 5).indices
    assert data.subset(3)[0].name == "train_2.png"
    for count in (0, 4):
        with pytest.raises(DataError, match=f"cannot draw {count} of 3 train items; give a number"):
            data.subset(count)


def test_missing_images_are_refused_at_once_or_skipped(root):
    (root / "images/train/B/train_0.png").unlink()
    with pytest.raises(DataError, match=r"1 of 3 images are missing, first train_0\.png; complete"):
        LevirDataset(root, "train")
    assert LevirDataset(root, "train", skip_missing=True).names == ["train_2.png", "train_1.png"]


def test_missing_label(root):
    (root / "images/train/label/train_1.png").unlink()
    with pytest.raises(DataError, match=r"label: 1 of 3 images are missing, first train_1\.png"):
        LevirDataset(root, "train")


def test_wrong_places(root, tmp_path_factory):
    with pytest.raises(DataError, match="unknown split 'all'; choose one of train, val, test"):
        LevirDataset(root, "all")
    with pytest.raises(DataError, match="nowhere: no such folder"):
        LevirDataset(root / "nowhere", "train")
    with pytest.raises(DataError, match=r"neither LevirCCcaptions\.json nor images/train/label"):
        LevirDataset(tmp_path_factory.mktemp("empty"), "train")
    with pytest.raises(DataError, match="test/A: no such folder"):
        LevirDataset(root, "test")


def test_no_items(root):
    write_captions(root, [entry("val_0.png", "x", split="val")])
    with pytest.raises(DataError, match="no train items; check the split"):
        LevirDataset(root, "train")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not readable as JSON"),
        ("[]", "not in the LEVIR-CC layout"),
        ('{"images": [{"split": "train"}]}', "KeyError: 'filename'"),
        ('{"images": [3]}', "not in the LEVIR-CC layout"),
        (json.dumps({"images": [entry("../x.png", "a")]}), "filename '../x.png' must be a bare file name"),
        (json.dumps({"images": [entry("x.png", "a", changeflag=2)]}), "changeflag is 2; it must be 0 or 1"),
        (json.dumps({"images": [entry("x.png", " . ")]}), r"x\.png: has an empty sentence"),
        (json.dumps({"images": [entry("x.png", "a"), entry("x.png", "a")]}), "occurs twice in split train"),
    ],
)
def test_bad_caption_files(root, text, message):
    (root / "LevirCCcaptions.json").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        LevirDataset(root, "train")
    assert "\n" not in str(caught.value)
    assert "LevirCCcaptions.json" in str(caught.value)


def test_bad_utf8(root):
    (root / "LevirCCcaptions.json").write_bytes(b'{"images": "\xff"}')
    with pytest.raises(DataError, match="not readable as JSON"):
        LevirDataset(root, "train")


def test_bad_images_are_told_by_file(root):
    folder = root / "images/train"
    data = LevirDataset(root, "train")
    label = np.array(Image.open(folder / "label/train_2.png"))
    Image.fromarray(np.where(label == 0, 7, label).astype(np.uint8)).save(folder / "label/train_2.png")
    with pytest.raises(DataError, match=r"label/train_2\.png: label values must be \(0, 128, 255\)"):
        data[0]
    Image.fromarray(label[:16]).save(folder / "label/train_2.png")
    with pytest.raises(DataError, match=r"label/train_2\.png: its size differs"):
        data[0]
    Image.fromarray(np.dstack([label, label, 255 - label])).save(folder / "label/train_0.png")
    with pytest.raises(DataError, match=r"label/train_0\.png: label values .* in one channel"):
        data[1]
    Image.new("RGB", (32, 16)).save(folder / "B/train_0.png")
    with pytest.raises(DataError, match=r"B/train_0\.png: sizes differ \(32x32 and 32x16\)"):
        data[1]
    (folder / "A/train_1.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"A/train_1\.png: not an image"):
        data[2]
    with pytest.raises(IndexError):
        data[3]

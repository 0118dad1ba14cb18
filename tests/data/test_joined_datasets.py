"""One run reads several datasets: only masks, only sentences, both; JPEG and PNG mixed."""

from pathlib import Path

import layouts as write
import numpy as np
from PIL import Image

from semantic_cc.data.collate import collate
from semantic_cc.data.dataset_checks import check_dataset
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.types import NOT_BUILDING_CLASS


def to_jpeg(folder: Path) -> None:
    """Every PNG image of a folder becomes a JPEG."""
    for path in folder.glob("*.png"):
        Image.open(path).save(path.with_suffix(".jpg"), quality=92)
        path.unlink()


def test_jpeg_images_with_png_masks_follow_a_caption_file_that_names_png(tmp_path: Path) -> None:
    root = write.write_levir_mci(tmp_path)
    to_jpeg(root / "images" / "train" / "A")
    to_jpeg(root / "images" / "train" / "B")
    (root / "images/train/B/train_b.jpg").rename(root / "images/train/B/train_b.JPEG")
    data = open_dataset(root, "train")
    check_dataset(data)
    assert data.names == ["train_a.png", "train_b.png", "train_c.png"]
    assert all(pair.sentences and pair.label is not None for pair in (data[0], data[1], data[2]))


def test_masks_sentences_and_both_in_one_dataset(tmp_path: Path) -> None:
    masks = write.write_levir_cd(tmp_path / "cd", side=256)
    sentences = write.write_levir_mci(tmp_path / "cc", labels=False)
    both = write.write_levir_mci(tmp_path / "mci")
    data = open_dataset([masks, sentences, both], "train")
    check_dataset(data)
    has_sentences = [bool(data.references[name]) for name in data.names]
    assert data.labelled == [True, False, False, False, True, True, True]
    assert has_sentences == [False, True, True, True, True, True, True]
    assert data.sources == [0, 1, 1, 1, 2, 2, 2]
    assert data.classes == ("building",)  # roads are labelled in only a part of the masks
    labels = [collate([data[index]]).label for index in range(7)]
    assert labels[1:4] == [None] * 3
    assert set(np.unique(labels[0])) == {2, NOT_BUILDING_CLASS}
    assert set(np.unique(labels[4])) == {0, 1, 2}

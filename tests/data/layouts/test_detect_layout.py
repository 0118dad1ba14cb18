"""Every layout is recognised and read, and what is wrong with a folder is one line that names the item."""

import shutil
from dataclasses import replace
from pathlib import Path

import layouts as write
import numpy as np
import pytest
from PIL import Image
from shared import SHARED

from semantic_cc.data.items import ChangeDataset, Item
from semantic_cc.data.layouts.detect_layout import detect_layout
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.errors import DataError

PACK = SHARED / "data"

WRITERS = {
    "LEVIR-CC or LEVIR-MCI": write.write_levir_mci,
    "LEVIR-CD": write.write_levir_cd,
    "pre-cut with lists": write.write_cd_list,
    "your own folder": write.write_own,
}


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


@pytest.mark.parametrize("name", WRITERS)
def test_each_layout_is_recognised_and_loads(name, tmp_path):
    root = WRITERS[name](tmp_path)
    assert name == detect_layout(root).NAME
    data = open_dataset(str(root), "train")
    for index, item in enumerate(data.items):
        pair = data[index]
        assert pair.before.shape == pair.after.shape == (*pair.before.shape[:2], 3)
        assert (pair.label is not None) == (item.label is not None) == data.labelled[index]
        assert pair.name == item.name
        assert pair.sentences == item.sentences == data.references[item.name]


@pytest.mark.parametrize("writer", WRITERS.values())
def test_the_seeded_script_writes_the_same_again(writer, tmp_path):
    first, second = writer(tmp_path / "1"), writer(tmp_path / "2")
    files = [path.relative_to(first) for path in first.rglob("*") if path.is_file()]
    assert all((first / path).read_bytes() == (second / path).read_bytes() for path in files)


def test_what_is_no_dataset_is_told_what_was_looked_for(tmp_path):
    looked_for = r"no dataset; looked for images/\{train,val,test\}/A \(LEVIR-CC or LEVIR-MCI\); list/"
    with pytest.raises(DataError, match=looked_for) as caught:
        open_dataset(tmp_path, "train")
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="nowhere: no such folder"):
        open_dataset(tmp_path / "nowhere", "train")
    write.write_own(tmp_path)
    with pytest.raises(DataError, match="unknown split 'all'; choose one of train, val, test"):
        open_dataset(tmp_path, "all")
    with pytest.raises(DataError, match="no val items; check the split"):
        open_dataset(tmp_path, "val")


# --- LEVIR-CC, LEVIR-MCI --------------------------------------------------------------------------


def test_levir_mci_follows_the_caption_file(tmp_path):
    data = open_dataset(write.write_levir_mci(tmp_path), "train")
    assert data.names == ["train_a.png", "train_b.png", "train_c.png"]
    assert data.references["train_a.png"] == ("a house is built", "a new house")
    assert data.references["train_c.png"] == ("a road",)
    assert data.flags == {"train_a.png": True, "train_b.png": False, "train_c.png": True}
    for array, part in zip((data[1].before, data[1].after, data[1].label), ("A", "B", "label"), strict=True):
        np.testing.assert_array_equal(array, pixels(tmp_path / "images/train" / part / "train_b.png"))
    assert set(np.unique(data[1].label)) == {0, 128, 255}


def test_levir_cc_has_no_masks(tmp_path):
    data = open_dataset(write.write_levir_mci(tmp_path, labels=False, captions="captions.json"), "test")
    assert data.labelled == [False] * 3
    assert data[0].label is None
    assert data[0].sentences


def test_levir_mci_without_captions(tmp_path):
    data = open_dataset(write.write_levir_mci(tmp_path, captions=None), "train")
    assert data.labelled == [True] * 3
    assert data.references["train_a.png"] == ()
    assert data.flags == {}
    shutil.rmtree(tmp_path / "images/train/label")
    with pytest.raises(DataError, match=r"neither LevirCCcaptions\.json nor images/train/label"):
        open_dataset(tmp_path, "train")


def test_levir_mci_missing_files(tmp_path):
    write.write_levir_mci(tmp_path)
    (tmp_path / "images/train/label/train_b.png").unlink()
    with pytest.raises(DataError, match=r"train/label: 1 of 3 images are missing, first train_b\.png"):
        open_dataset(tmp_path, "train")
    (tmp_path / "images/train/B/train_b.png").unlink()
    with pytest.raises(DataError, match=r"train/B: 1 of 3 images are missing, first train_b\.png; complete"):
        open_dataset(tmp_path, "train")
    assert open_dataset(tmp_path, "train", skip_missing=True).names == ["train_a.png", "train_c.png"]
    shutil.rmtree(tmp_path / "images/test/A")
    with pytest.raises(DataError, match=r"test/A: 3 of 3 images are missing, first test_a\.png"):
        open_dataset(tmp_path, "test")
    (tmp_path / "LevirCCcaptions.json").unlink()
    with pytest.raises(DataError, match=r"train/B: 1 of 3 images are missing, first train_b\.png"):
        open_dataset(tmp_path, "train")
    assert open_dataset(tmp_path, "train", skip_missing=True).names == ["train_a.png", "train_c.png"]


# --- LEVIR-CD -------------------------------------------------------------------------------------


def test_levir_cd_is_cut_into_tiles_that_cover_the_scene(tmp_path):
    data = open_dataset(write.write_levir_cd(tmp_path), "val")
    assert data.names == [f"val_1_{y}_{x}.png" for y in ("0000", "0256") for x in ("0000", "0256")]
    for part, name in (("A", "before"), ("B", "after"), ("label", "label")):
        tiles = [getattr(data[index], name) for index in range(4)]
        whole = np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])])
        expected = pixels(tmp_path / "val" / part / "val_1.png")
        np.testing.assert_array_equal(
            whole, np.where(expected == 0, 64, expected) if part == "label" else expected
        )


def test_images_that_are_no_scenes_stay_whole(tmp_path):
    for side in (256, 320):
        data = open_dataset(write.write_levir_cd(tmp_path / str(side), side), "train")
        assert data.names == ["train_1.png"]
        assert data[0].before.shape == (side, side, 3)


def test_levir_cd_needs_every_mask_and_image(tmp_path):
    write.write_levir_cd(tmp_path, 256)
    (tmp_path / "train/label/train_1.png").unlink()
    with pytest.raises(DataError, match=r"train/label: 1 of 1 images are missing, first train_1\.png"):
        open_dataset(tmp_path, "train")
    (tmp_path / "val/A/val_1.png").unlink()
    with pytest.raises(DataError, match=r"val/A: 1 of 1 images are missing, first val_1\.png"):
        open_dataset(tmp_path, "val")
    (tmp_path / "test/A/test_1.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"test_1\.png: not an image"):
        open_dataset(tmp_path, "test")


# --- lists ----------------------------------------------------------------------------------------


def test_lists_say_what_is_in_a_split(tmp_path):
    write.write_cd_list(tmp_path)
    assert open_dataset(tmp_path, "train").names == ["b.png", "a.png"]
    data = open_dataset(tmp_path, "test")
    assert data.names == ["c.png"]
    assert set(np.unique(data[0].label)) == {64, 255}  # roads are not labelled
    with pytest.raises(DataError, match="no val items"):
        open_dataset(tmp_path, "val")


def test_a_listed_name_may_hold_blanks(tmp_path):
    write.write_cd_list(tmp_path)
    for part in ("A", "B", "label"):
        (tmp_path / part / "a.png").rename(tmp_path / part / "tile 1.png")
    (tmp_path / "list/train.txt").write_text("tile 1.png \n\nb.png\n")
    assert open_dataset(tmp_path, "train").names == ["tile 1.png", "b.png"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a.png\nx.png\n", r"A: 1 of 2 images are missing, first x\.png"),
        (b"a.png\nb.png\na.png\n", r"train\.txt: a\.png occurs twice"),
        (b"A\\a.png\n", r"train\.txt: 'A\\\\a\.png' must be a file name without a folder"),
        (b"\xff\xfe", r"train\.txt: not UTF-8 at byte 0"),
    ],
)
def test_bad_lists(content, message, tmp_path):
    write.write_cd_list(tmp_path)
    (tmp_path / "list/train.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        open_dataset(tmp_path, "train")


# --- your own folder ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "captions", ["captions.json", "LevirCCcaptions.json", "captions.jsonl", "captions.csv"]
)
@pytest.mark.parametrize("split", [None, "train", "test"])
def test_your_own_items_have_a_mask_or_sentences_or_both(captions, split, tmp_path):
    write.write_own(tmp_path / (split or ""), captions)
    if split == "test" and captions.startswith("Levir"):
        captions = tmp_path / "test" / captions
        captions.write_text(captions.read_text().replace('"train"', '"test"'))
    data = open_dataset(tmp_path, split or "train")
    assert data.names == ["a.png", "b.png", "c.png"]  # d has neither
    assert data.labelled == [True, False, True]
    assert data.references == {"a.png": write.SENTENCES["a"], "b.png": write.SENTENCES["b"], "c.png": ()}


def test_suffixes_may_differ_and_captions_may_leave_them_out(tmp_path):
    write.write_own(tmp_path, None)
    for part in "AB":
        Image.open(tmp_path / part / "a.png").save(tmp_path / part / "a.jpg")
        (tmp_path / part / "a.png").unlink()
    (tmp_path / "captions.csv").write_text("filename,sentence\na,a house\n")
    data = open_dataset(tmp_path, "train")
    assert (data.names, data.labelled) == (["a", "c.png"], [True, True])
    assert data[0].before.shape == (32, 32, 3)
    Image.open(tmp_path / "A/a.jpg").save(tmp_path / "A/a.png")
    with pytest.raises(DataError, match=r"A: both a\.(png|jpg) and a\.(png|jpg); keep one"):
        open_dataset(tmp_path, "train")


def test_a_caption_file_above_the_splits_names_them(tmp_path):
    write.write_own(tmp_path / "train", None)
    write.write_own(tmp_path / "val", None)
    captions = tmp_path / "captions.csv"
    captions.write_text("filename,sentence,split,changeflag\na.png,a house,train,1\na.png,same,val,0\n")
    train, val = open_dataset(tmp_path, "train"), open_dataset(tmp_path, "val")
    assert train.names == val.names == ["a.png", "c.png"]
    assert (train.flags, val.flags) == ({"a.png": True}, {"a.png": False})
    captions.write_text("filename,sentence,split\na.png,a house,train\n")
    val = open_dataset(tmp_path, "val")
    assert (val.names, val.labelled) == (["a.png", "c.png"], [True, True])  # the entry is of train's a.png
    captions.write_text("filename,sentence\na.png,a house\n")
    with pytest.raises(DataError, match=r"captions\.csv: a\.png has no split; name it, or put the file"):
        open_dataset(tmp_path, "train")


def test_without_folders_for_the_splits_entries_may_name_them(tmp_path):
    write.write_own(tmp_path, None)
    (tmp_path / "captions.csv").write_text("filename,sentence,split\na.png,x,test\nb.png,y,\n")
    assert open_dataset(tmp_path, "test").names == ["a.png"]
    assert open_dataset(tmp_path, "train").names == ["b.png", "c.png"]


def test_one_mask_with_roads_labels_roads_in_all(tmp_path):
    write.write_own(tmp_path)
    assert set(np.unique(open_dataset(tmp_path, "train")[2].label)) == {64, 255}
    label = pixels(tmp_path / "label/a.png").copy()
    label[-4:] = 128
    write.save(label, tmp_path / "label/a.png")
    data = open_dataset(tmp_path, "train")
    assert set(np.unique(data[0].label)) == {0, 128, 255}
    assert set(np.unique(data[2].label)) == {0, 255}


def test_your_own_missing_files(tmp_path):
    write.write_own(tmp_path)
    (tmp_path / "B/b.png").unlink()
    with pytest.raises(DataError, match=r"B: 1 of 4 images are missing, first b\.png"):
        open_dataset(tmp_path, "train")
    (tmp_path / "captions.json").write_text('{"e.png": ["a house"]}')
    with pytest.raises(DataError, match=r"A: 1 of 5 images are missing, first e\.png"):
        open_dataset(tmp_path, "train")
    assert open_dataset(tmp_path, "train", skip_missing=True).names == ["a.png", "c.png"]


def test_an_item_that_declares_a_mask_must_have_it(tmp_path):
    write.write_own(tmp_path, None)
    captions = tmp_path / "captions.jsonl"
    captions.write_text('{"filename": "b.png", "sentences": ["x"], "label": true}\n')
    with pytest.raises(DataError, match=r"label: 1 of 1 images are missing, first b\.png"):
        open_dataset(tmp_path, "train")
    captions.write_text('{"filename": "a.png", "sentences": ["x"], "label": false}\n')
    assert open_dataset(tmp_path, "train").labelled == [False, True]


# --- names -----------------------------------------------------------------------------------------


def test_a_name_occurs_once(tmp_path):
    item = Item("a.png", "", "")
    with pytest.raises(DataError, match=r"a\.png: occurs twice in the dataset"):
        ChangeDataset([item, replace(item, before="x")])
    root = write.write_own(tmp_path)
    with pytest.raises(DataError, match=r"a\.png: occurs twice"):
        open_dataset([root, root], "train")


# --- joined ---------------------------------------------------------------------------------------


def test_several_are_joined_under_their_own_names(tmp_path):
    cd, own = write.write_levir_cd(tmp_path / "cd"), write.write_own(tmp_path / "own")
    data = open_dataset([cd, own], "train")
    assert data.names[0] == f"{cd}/train_1_0000_0000.png"
    assert data.names[-1] == f"{own}/c.png"
    assert data.labelled == [True] * 5 + [False, True]
    assert len(open_dataset([cd, own], "val")) == 4  # a dataset may lack a split
    assert open_dataset([cd], "val").names[0] == "val_1_0000_0000.png"


# --- real files -----------------------------------------------------------------------------------


@pytest.mark.skipif(not PACK.is_dir(), reason=f"no data pack at {PACK}; set SEMANTIC_CC_SHARED")
def test_real_pairs_are_read():
    with pytest.raises(DataError, match=r"train/A: 6813 of 6815 images are missing"):
        open_dataset(PACK / "levir_cc", "train")
    captioned = open_dataset(PACK / "levir_cc", "train", skip_missing=True)
    assert captioned.names == ["train_000016.png", "train_000051.png"]
    assert all(len(pair.sentences) == 5 and pair.before.shape == (256, 256, 3) for pair in captioned)
    crops = open_dataset(PACK / "levir_cd", "train")
    assert crops.labelled == [True] * 6
    values = {int(value) for pair in crops for value in np.unique(pair.label)}
    assert values == {64, 255}

"""The one rule from label values to classes, and which classes a dataset labels."""

import json
from pathlib import Path

import layouts as write
import numpy as np
import pytest
from shared import SHARED

from semantic_cc.data.labels import labelled_classes, read_label, true_classes
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.errors import DataError
from semantic_cc.types import LEFT_OUT

BUILDING, BOTH = ("building",), ("road", "building")


def label_file(path: Path, *values: int) -> str:
    """A label that holds each value in one column of 16 x 16 pixels."""
    label = np.zeros((16, 16), np.uint8)
    label[:, : len(values)] = values
    write.save(label, path)
    return str(path)


def test_two_classes_are_read_at_a_threshold(tmp_path: Path) -> None:
    label = read_label(label_file(tmp_path / "a.png", 0, 127, 128, 156, 254, 255), BUILDING)
    assert label[0, :7].tolist() == [64, 64, 255, 255, 255, 255, 64]
    assert set(np.unique(read_label(label_file(tmp_path / "b.png", 31, 32, 33), BUILDING))) == {64, 32}


def test_three_classes_are_read_to_the_nearest(tmp_path: Path) -> None:
    label = read_label(label_file(tmp_path / "a.png", 0, 16, 112, 128, 144, 239, 254, 255, 32, 64), BOTH)
    assert label[0, :10].tolist() == [0, 0, 128, 128, 128, 255, 255, 255, 32, 64]


@pytest.mark.parametrize("value", [17, 31, 63, 100, 145, 156, 238])
def test_a_value_between_three_classes_is_named_with_its_file(value: int, tmp_path: Path) -> None:
    path = label_file(tmp_path / "bad.png", 0, value, 255)
    with pytest.raises(DataError, match=rf"bad\.png: label value {value} is not one of \(0, 128, 255\)"):
        read_label(path, BOTH)


@pytest.mark.parametrize("classes", [BUILDING, BOTH])
def test_class_indices_for_values_are_refused(classes: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"label values \[0, 1\] look like class indices; write 255"):
        read_label(label_file(tmp_path / "a.png", 0, 1), classes)


@pytest.mark.parametrize("value", [254, 156])
def test_official_scenes_with_other_values_are_read(value: int, tmp_path: Path) -> None:
    root = write.write_levir_cd(tmp_path)
    label_path = root / "val" / "label" / "val_1.png"
    label = np.zeros((512, 512), np.uint8)
    label[:4] = value
    write.save(label, label_path)
    tile = open_dataset(root, "val")[0]
    assert (tile.label[:4] == 255).all() and (tile.label[4:] == 64).all()


def test_a_folder_without_roads_labels_buildings_alone(tmp_path: Path) -> None:
    root = write.write_levir_mci(tmp_path)
    assert open_dataset(root, "test").classes == BOTH
    for path in root.glob("images/*/label/*.png"):
        label_file(path, 0, 255)
        write.save(np.kron(np.eye(2, dtype=np.uint8) * 255, np.ones((16, 16), np.uint8)), path)
    data = open_dataset(root, "test")
    assert data.classes == BUILDING
    assert set(np.unique(data[0].label)) == {64, 255}  # nothing is said about roads


def test_one_road_in_another_split_labels_roads(tmp_path: Path) -> None:
    label_file(tmp_path / "train" / "label" / "a.png", 0, 255)
    folders = [tmp_path / split / "label" for split in ("train", "val")]
    assert labelled_classes(tmp_path, folders) == BUILDING
    label_file(tmp_path / "val" / "label" / "b.png", 120)
    assert labelled_classes(tmp_path, folders) == BOTH


def test_the_dataset_file_decides(tmp_path: Path) -> None:
    root = write.write_levir_mci(tmp_path)
    (root / "dataset.json").write_text(json.dumps({"classes": ["building"]}))
    assert set(np.unique(open_dataset(root, "train")[0].label)) == {64, 255}  # 128 is at the threshold
    (root / "dataset.json").write_text(json.dumps({"classes": ["building", "road"]}))
    assert open_dataset(root, "train").classes == BOTH
    for content in ({"classes": ["tree"]}, {"classes": []}, {"class": ["building"]}, ["building"]):
        (root / "dataset.json").write_text(json.dumps(content))
        with pytest.raises(DataError, match=r"dataset\.json: must be"):
            open_dataset(root, "train")


def test_true_classes_leave_out_what_is_not_labelled() -> None:
    truth, roads = true_classes(np.array([[0, 128], [255, 32]], np.uint8), "a")
    assert (truth.tolist(), roads) == ([[0, 1], [2, LEFT_OUT]], True)
    truth, roads = true_classes(np.array([[64, 64], [255, 32]], np.uint8), "b")
    assert (truth.tolist(), roads) == ([[0, 0], [2, LEFT_OUT]], False)
    with pytest.raises(DataError, match="c: mask value 7 is not one of"):
        true_classes(np.array([[0, 7]], np.uint8), "c")


@pytest.mark.skipif(not (SHARED / "data/levir_cd").is_dir(), reason="needs the shared data")
def test_real_labels_are_of_buildings_alone() -> None:
    folder = SHARED / "data/levir_cd"
    assert labelled_classes(folder, [folder / "label"]) == BUILDING

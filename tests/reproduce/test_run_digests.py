"""The digest of a dataset: its content, not where it lies."""

import json
import shutil
from pathlib import Path

import layouts
import pytest
from PIL import Image

from semantic_cc.errors import DataError
from semantic_cc.reproduce.run_digests import data_digest


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return layouts.write_levir_mci(tmp_path / "data")


@pytest.fixture
def digest(tmp_path: Path):
    return lambda *data, splits=("train", "val", "test"): data_digest(
        [str(root) for root in data], splits, tmp_path / "data.json"
    )


def test_a_copy_elsewhere_has_the_same_digest(data: Path, digest, tmp_path: Path) -> None:
    copy = shutil.copytree(data, tmp_path / "elsewhere")
    assert digest(data) == digest(copy) != digest(data, copy)


def test_one_pixel_makes_another_digest_of_its_split_alone(data: Path, digest) -> None:
    before = digest(data), digest(data, splits=["val"])
    path = next((data / "images" / "train" / "B").iterdir())
    with Image.open(path) as image:
        image.putpixel((0, 0), tuple(255 - level for level in image.getpixel((0, 0))))
        image.save(path)
    assert digest(data) != before[0]
    assert digest(data, splits=["val"]) == before[1]


def test_one_word_makes_another_digest(data: Path, digest) -> None:
    before = digest(data)
    captions = next(data.glob("*.json"))
    captions.write_text(captions.read_text().replace("house", "villa"))
    assert digest(data) != before


def test_unchanged_files_are_read_once(data: Path, digest, tmp_path: Path, monkeypatch) -> None:
    before = digest(data)
    assert before in json.loads((tmp_path / "data.json").read_text()).values()
    monkeypatch.setattr("semantic_cc.reproduce.run_digests.digest_of", None)
    assert digest(data) == before


def test_a_missing_dataset_is_refused(digest, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        digest(tmp_path / "nowhere")

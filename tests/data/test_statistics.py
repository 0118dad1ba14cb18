"""Counts of small datasets whose content is known."""

import json

import layouts as write
import numpy as np
import pytest

from semantic_cc.data.statistics import dataset_statistics
from semantic_cc.errors import DataError


def test_levir_mci(tmp_path):
    report = dataset_statistics(write.write_levir_mci(tmp_path)).to_json()
    assert report["layout"] == "LEVIR-CC or LEVIR-MCI"
    assert report["splits"].keys() == {"train", "test"}
    assert report["splits"]["train"] == {
        "items": 3,
        "masks": 3,
        "captioned": 3,
        "both": 3,
        "sentences": 4,
        "words": 10,  # a house is built new no change has occurred road
        "words_per_sentence": (4 + 3 + 4 + 2) / 4,
        "flags": 3,
        "changed": 2 / 3,
        "classes": ("road", "building"),
        "building": 1 / 8,  # 4 of 32 rows
        "road": 1 / 7,
        "unknown": 0,
        "sizes": {"32x32": 3},
    }
    json.dumps(report)


def test_what_is_not_known_is_none(tmp_path):
    seen = []
    report = dataset_statistics(write.write_own(tmp_path / "own"), lambda *at: seen.append(at)).to_json()
    train = report["splits"]["train"]
    assert (train["items"], train["masks"], train["captioned"], train["both"]) == (3, 2, 2, 1)
    assert (train["flags"], train["changed"], train["road"]) == (0, None, None)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    train = dataset_statistics(write.write_levir_mci(tmp_path / "cc", labels=False)).to_json()["splits"][
        "train"
    ]
    assert (train["masks"], train["building"]) == (0, None)


def test_unknown_pixels_are_no_part_of_the_shares(tmp_path):
    write.write_pair(
        tmp_path, "a.png", np.random.default_rng(0), values=(0, 32, 128, 255)
    )  # 4 of 32 rows each
    train = dataset_statistics(tmp_path).to_json()["splits"]["train"]
    assert (train["building"], train["road"], train["unknown"]) == (4 / 28, 4 / 24, 1 / 8)


def test_tiles_are_counted_one_by_one(tmp_path):
    train = dataset_statistics(write.write_levir_cd(tmp_path)).to_json()["splits"]["train"]
    assert (train["items"], train["sizes"], train["words_per_sentence"]) == (4, {"256x256": 4}, None)
    assert train["building"] == 4 / 512


def test_an_empty_dataset_is_refused(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match="no items; check the folder"):
        dataset_statistics(tmp_path)

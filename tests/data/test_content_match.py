"""LEVIR-CC's pairs are found among LEVIR-CD's tiles by content, and the two join to the paper's three datasets."""

import io
import json
import os

import layouts as write
import numpy as np
import pytest
from PIL import Image
from shared import SHARED

from semantic_cc.config import ModelConfig, PhaseConfig, StageConfig, TrainConfig
from semantic_cc.data.content_match import find_matches
from semantic_cc.data.convert_layout import convert
from semantic_cc.data.match_file import Match, dump
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.errors import DataError
from semantic_cc.training.sampling import schedules_of

CROPS = SHARED / "data/levir_cd"

TRUTH = {
    ("train", "train_000001.png"): ("train", "train_1_0000_0256.png"),
    ("train", "train_000002.png"): ("test", "test_1_0256_0000.png"),
    ("test", "test_000001.png"): ("train", "train_1_0256_0256.png"),
}


def recompressed(image, quality):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="JPEG", quality=quality)
    return np.asarray(Image.open(stream))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """CD: a scene a split. CC: crops of these, recompressed, and a pair that is no crop."""
    root = tmp_path_factory.mktemp("match")
    cd, cc = write.write_levir_cd(root / "cd"), root / "cc"
    entries = []
    rng = np.random.default_rng(9)
    wanted = {**TRUTH, ("train", "train_000003.png"): None}
    tiles = {(s, pair.name): pair for s in ("train", "val", "test") for pair in open_dataset(cd, s)}
    for quality, ((split, name), tile) in zip((95, 75, 50, 95), wanted.items(), strict=True):
        for part in ("before", "after"):
            image = write.blotches(rng, 256, 256) if tile is None else getattr(tiles[tile], part)
            folder = cc / "images" / split / ("A" if part == "before" else "B")
            write.save(recompressed(image, quality), folder / name)
        entries.append(write.entry(name, f"sentence of {name}", split=split, changeflag=1))
    (cc / "LevirCCcaptions.json").write_text(json.dumps({"images": entries}))
    return cc, cd


@pytest.fixture(scope="module")
def file(folders):
    cc, cd = folders
    path = cc.parent / "matches.json"
    path.write_bytes(dump(cc, cd, find_matches(cc, cd), path))
    return path


def test_every_crop_is_found_where_it_was_cut_and_nothing_else(folders):
    seen = []
    matches = find_matches(*folders, progress=lambda *at: seen.append(at))
    assert {match.captioned: match.tile for match in matches} == TRUTH
    assert all(0.95 <= match.correlation <= 1.0001 for match in matches)
    assert seen[-1] == (16, 16)


def test_one_date_alone_is_no_match(folders, tmp_path):
    cc, cd = folders
    data = open_dataset(cc, "train")
    rng = np.random.default_rng(5)
    for number, pair in enumerate(data):
        after = pair.after if number else write.blotches(rng, 256, 256)
        write.save(pair.before, tmp_path / "A" / pair.name)
        write.save(after, tmp_path / "B" / pair.name)
    (tmp_path / "captions.json").write_text(json.dumps({name: ["x"] for name in data.names}))
    assert [match.captioned[1] for match in find_matches(tmp_path, cd)] == ["train_000002.png"]


def test_images_of_one_colour_are_like_nothing(folders, tmp_path):
    grey = np.full((256, 256, 3), 90, np.uint8)
    for part in ("A", "B", "label"):
        write.save(grey if part != "label" else np.zeros((256, 256), np.uint8), tmp_path / part / "a.png")
    (tmp_path / "captions.json").write_text('{"a.png": ["x"]}')
    assert find_matches(tmp_path, tmp_path) == []


def test_a_folder_without_what_it_is_for_is_refused(folders):
    cc, cd = folders
    with pytest.raises(DataError, match="cd: has no items with sentences"):
        find_matches(cd, cd)
    with pytest.raises(DataError, match="cc: has no items with masks"):
        find_matches(cc, cc)


def test_the_file_of_matches_is_the_papers_three_datasets(file):
    data = open_dataset(file, "train")
    stages = {name: StageConfig() for name in ("change", "caption", "joint")}
    change, caption, joint = (
        {data.names[index] for index in leg.items}
        for leg in schedules_of(PhaseConfig(stages=stages), ModelConfig(), data, TrainConfig())
    )
    assert caption == {"train_000001.png", "train_000002.png", "train_000003.png"}
    assert joint == {"train_000001.png", "train_000002.png"}
    # of the train scene one tile is in train_000001.png, and one is a place of the captions' test split
    assert change == joint | {"train_1_0000_0000.png", "train_1_0256_0000.png"}
    pair = data[data.names.index("train_000001.png")]
    assert pair.sentences == ("sentence of train_000001.png",)
    assert pair.changed is True
    tile = next(p for p in open_dataset(file.parent / "cd", "train") if p.name == "train_1_0000_0256.png")
    np.testing.assert_array_equal(pair.label, tile.label)
    np.testing.assert_array_equal(pair.before, tile.before)


def test_each_place_is_in_one_split(file):
    names = [name for split in ("train", "val", "test") for name in open_dataset(file, split).names]
    assert len(names) == len(set(names)) == 4 + 12 - 3
    assert "test_1_0256_0000.png" not in open_dataset(file, "test").names


def test_it_converts_like_any_other_dataset(file, tmp_path):
    assert convert(file, tmp_path / "out", "levir-mci") == []
    one, other = open_dataset(file, "train"), open_dataset(tmp_path / "out", "train")
    assert one.names == other.names
    assert one.labelled == other.labelled


def test_captions_with_masks_of_their_own_keep_them(folders, tmp_path):
    _, cd = folders
    mci = tmp_path / "mci"
    convert(cd, mci, "levir-mci")
    captions = mci / "LevirCCcaptions.json"
    content = json.loads(captions.read_text())
    content["images"] = [{**image, "sentences": [{"raw": "x"}]} for image in content["images"]]
    captions.write_text(json.dumps(content))
    file = tmp_path / "matches.json"
    file.write_bytes(dump(mci, cd, find_matches(mci, cd), file))
    data = open_dataset(file, "val")
    assert len(data) == 4
    assert all(str(mci) in os.path.normpath(item.label) for item in data.items)


@pytest.mark.parametrize(
    "content", ["", "[]", '{"matches": []}', '{"captions": "a", "masks": "b", "matches": [[1]]}']
)
def test_another_file_is_refused(content, tmp_path):
    path = tmp_path / "matches.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"matches\.json: not a file that `semantic-cc data match` wrote"):
        open_dataset(path, "train")


def test_a_match_with_an_unknown_tile_is_refused(folders, tmp_path):
    matches = [Match(("train", "train_000001.png"), ("train", "gone.png"), 1.0)]
    (tmp_path / "matches.json").write_bytes(dump(*folders, matches, tmp_path / "matches.json"))
    with pytest.raises(
        DataError, match=r"matches\.json: names gone\.png, which .*cd does not have; match again"
    ):
        open_dataset(tmp_path / "matches.json", "train")


@pytest.mark.skipif(not CROPS.is_dir(), reason=f"no LEVIR-CD crops at {CROPS}; set SEMANTIC_CC_SHARED")
def test_real_crops_are_told_apart_and_found_recompressed(tmp_path):
    for part in ("A", "B", "label"):
        for path in (CROPS / part).glob("*.png"):
            image = np.asarray(Image.open(path))
            write.save(image, tmp_path / "cd" / part / path.name)
            if part != "label":
                write.save(recompressed(image, 60), tmp_path / "cc" / part / path.name)
    names = sorted(path.name for path in (CROPS / "A").glob("*.png"))
    (tmp_path / "cc/captions.json").write_text(json.dumps({name: ["x"] for name in names}))
    matches = find_matches(tmp_path / "cc", tmp_path / "cd")
    assert [(match.captioned, match.tile) for match in matches] == [
        (("train", n), ("train", n)) for n in names
    ]

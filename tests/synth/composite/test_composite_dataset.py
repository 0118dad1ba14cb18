"""The dataset that a mixture is written as."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from semantic_cc.data.layouts.detect_layout import detect_layout
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.errors import InputError, OutputError
from semantic_cc.synth.composite import make_pair, open_mixture, write_mixture
from semantic_cc.synth.composite.mixture import source_of
from semantic_cc.synth.procedural import generate_pair
from semantic_cc.types import UNKNOWN


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_mixture_is_a_dataset_whatever_the_workers(write_recipe, tmp_path):
    recipe, done = write_recipe(), []
    assert write_mixture(
        tmp_path / "one", recipe, 10, 7, workers=1, progress=lambda *at: done.append(at)
    ) == (10, 7)
    assert done == [(k, 10) for k in range(1, 11)]
    write_mixture(tmp_path / "two", recipe, 10, 7, workers=2)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert detect_layout(tmp_path / "one").NAME == "LEVIR-CC or LEVIR-MCI"
    info = json.loads((tmp_path / "one" / "synth.json").read_text())
    assert (info["seed"], info["pairs"], info["splits"]) == (7, 10, {"train": 8, "val": 1, "test": 1})
    mixture, index = open_mixture(recipe), 0
    for split in ("train", "val", "test"):
        data = open_dataset(tmp_path / "one", split)
        for read in data:
            assert info["sources"][read.name] == source_of(mixture.recipe, 7, index)
            made = make_pair(mixture, 7, index, split)
            for part in ("before", "after", "label"):
                np.testing.assert_array_equal(getattr(read, part), getattr(made, part))
            assert (read.sentences, read.changed) == (made.sentences, made.changed)
            index += 1
    assert index == 10


def test_numbers_may_stand_in_the_recipe(write_recipe, tmp_path):
    recipe = write_recipe("numbers", pairs=2, seed=4, splits={"val": 1.0}, shares={"procedural": 1})
    assert write_mixture(tmp_path / "out", recipe, workers=1) == (2, 4)
    pair = open_dataset(tmp_path / "out", "val")[1]
    np.testing.assert_array_equal(pair.after, generate_pair(4, 1).after)
    assert write_mixture(tmp_path / "other", recipe, pairs=1, workers=1) == (1, 4)


def test_shares_are_kept(write_recipe):
    recipe = open_mixture(write_recipe("shares", shares={"pasted": 3, "unchanged": 1})).recipe
    counts = Counter(source_of(recipe, 0, index) for index in range(800))
    assert counts.keys() == {"pasted", "unchanged"} and 540 < counts["pasted"] < 660


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"pairs": 3}, "seed is neither given nor in the recipe; give --seed of at least 0"),
        ({"seed": 3}, "pairs is neither given"),
        ({"pairs": 3, "seed": -1}, "seed is -1"),
        ({"pairs": 0, "seed": 1}, "pairs is 0"),
        ({"pairs": 2, "seed": 1, "workers": 0}, "workers is 0"),
    ],
)
def test_bad_numbers(numbers, words, write_recipe, tmp_path):
    with pytest.raises(InputError, match=words):
        write_mixture(tmp_path / "out", write_recipe(), **numbers)
    assert not list(tmp_path.iterdir())


def test_a_full_folder_is_refused(write_recipe, tmp_path):
    (tmp_path / "mine").write_text("keep")
    with pytest.raises(OutputError, match="not an empty directory"):
        write_mixture(tmp_path, write_recipe(), 2, 1)


def test_nothing_stays_when_an_image_is_damaged(write_recipe, tmp_path):
    root = tmp_path / "images"
    for group in ("meadow", "suburb"):
        (root / group).mkdir(parents=True)
    for number in range(4):
        (root / "meadow" / f"{number}.png").write_bytes(b"no image")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "shares: {unchanged: 1}\nfolders: [{images: images}]\nheld_back: {}\nsplits: {train: 1.0}\n"
    )
    with pytest.raises(InputError, match="not an image"):
        write_mixture(tmp_path / "out", recipe, 2, 1, workers=1)
    assert not (tmp_path / "out").exists()


def test_what_is_not_known_is_not_scored(write_recipe, tmp_path, tiny_folder):
    from semantic_cc.evaluation.evaluate import evaluate

    recipe = write_recipe("unrelated", shares={"buildings_to_buildings": 1}, splits={"test": 1.0})
    write_mixture(tmp_path / "out", recipe, 2, 3, workers=1)
    report = evaluate(tiny_folder, tmp_path / "out", meteor=False).to_json()
    known = sum(int((pair.label != UNKNOWN).sum()) for pair in open_dataset(tmp_path / "out", "test"))
    assert report["change"]["pixels"] == known < 2 * 256 * 256
    assert "roads are not labelled in every mask: only building change is scored" in report["notes"]

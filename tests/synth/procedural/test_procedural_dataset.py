"""The dataset that procedural pairs are written as."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semantic_cc.errors import InputError, OutputError
from semantic_cc.synth.procedural import generate_pair, write_dataset


def digests(root: Path) -> dict[str, str]:
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob("*"))
        if p.is_file()
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp("world") / "one"
    done: list[tuple[int, int]] = []
    write_dataset(out, 10, 7, workers=1, progress=lambda *counts: done.append(counts))
    return out, done


def test_layout(written):
    out, done = written
    assert done == [(number, 10) for number in range(1, 11)]
    names = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    assert (
        len(names) == 53
        and {
            "synth.json",
            "LevirCCcaptions.json",
            "images/val/label/val_000001.png",
            "images/train/A/train_000008.png",
            "images/train/cover_B/train_000008.png",
        }
        <= names
    )
    assert json.loads((out / "synth.json").read_text())["splits"] == {"train": 8, "val": 1, "test": 1}
    assert [p.name for p in out.parent.iterdir()] == ["one"]


def test_captions_file_is_in_the_public_layout(written):
    out, _ = written
    data = json.loads((out / "LevirCCcaptions.json").read_text())
    assert [i["imgid"] for i in data["images"]] == list(range(10)) and isinstance(data["dataset"], str)
    assert [s for i in data["images"] for s in i["sentids"]] == list(range(50))
    assert sum(i["changeflag"] for i in data["images"]) == 5
    for i, entry in enumerate(data["images"]):
        pair = generate_pair(7, i)
        assert entry["filepath"] == entry["split"] and entry["filename"].startswith(entry["split"])
        for sentence, text in zip(entry["sentences"], pair.sentences, strict=True):
            assert (
                sentence["tokens"] == text.split()
                and sentence["raw"] == f" {text} ."
                and sentence["imgid"] == i
            )
        folder = out / "images" / entry["split"]
        for part, image in (("A", pair.before), ("B", pair.after), ("label", pair.label)):
            np.testing.assert_array_equal(np.asarray(Image.open(folder / part / entry["filename"])), image)
        if i == 2:
            break


def test_workers_do_not_change_a_byte(written, tmp_path):
    write_dataset(tmp_path / "two", 10, 7, workers=2)
    assert digests(tmp_path / "two") == digests(written[0])


def test_an_empty_directory_is_taken(tmp_path):
    (tmp_path / "empty").mkdir()
    write_dataset(tmp_path / "empty", 1, 0, workers=1, splits={"test": 1.0})
    assert (tmp_path / "empty" / "images" / "test" / "B" / "test_000001.png").exists()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"pairs": 0}, "pairs is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"workers": 0}, "workers is 0"),
        ({"splits": {"train": 0.5}}, "sum to 0.5"),
        ({"splits": {"dev": 1.0}}, "splits are"),
    ],
)
def test_bad_numbers_are_told(tmp_path, kwargs, message):
    with pytest.raises(InputError, match=message):
        write_dataset(tmp_path / "x", **{"pairs": 2, "seed": 0, **kwargs})
    assert not list(tmp_path.iterdir())


def test_a_full_directory_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match="not an empty directory; choose another"):
        write_dataset(tmp_path, 2, 0)
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_a_place_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_dataset(tmp_path / "file" / "out", 2, 0)


def test_nothing_stays_when_it_stops_half_way(tmp_path):
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path / "x", 3, 0, workers=1, progress=stop)
    assert not list(tmp_path.iterdir())

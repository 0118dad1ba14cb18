"""`data stats`, `data convert` and `data match`."""

import json
from collections.abc import Callable
from pathlib import Path

import layouts
import pytest

from semantic_cc.data.open_dataset import open_dataset


def test_stats_as_a_table_and_as_json(cli: Callable, tmp_path: Path) -> None:
    folders = layouts.write_levir_mci(tmp_path / "mci"), layouts.write_own(tmp_path / "own")
    outcome = cli("data", "stats", *folders)
    assert (outcome.code, outcome.stderr) == (0, "")
    assert f"{folders[0]}: LEVIR-CC or LEVIR-MCI" in outcome.stdout
    assert "66.7%" in outcome.stdout and "14.29%" in outcome.stdout and "32x32" in outcome.stdout
    outcome = cli("data", "stats", *folders, "--json")
    assert outcome.code == 0
    mci, own = json.loads(outcome.stdout)["datasets"]
    assert (mci["splits"]["test"]["items"], own["splits"]["train"]["both"]) == (3, 1)


def test_convert_says_what_it_left_out(cli: Callable, tmp_path: Path) -> None:
    source = layouts.write_levir_mci(tmp_path / "mci")
    outcome = cli("data", "convert", source, tmp_path / "out", "--to", "list")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert "note: left out: changed roads, in 6 masks\n" in outcome.stdout
    assert open_dataset(tmp_path / "out", "train").names == ["train_a.png", "train_b.png", "train_c.png"]


def test_match_writes_a_dataset(cli: Callable, tmp_path: Path) -> None:
    cd = layouts.write_levir_cd(tmp_path / "cd", 256)
    cc = tmp_path / "cc"
    cd.rename(cc)
    cd = layouts.write_levir_cd(tmp_path / "cd", 256)
    for split in ("train", "val", "test"):
        (cc / split / "captions.json").write_text(json.dumps({f"{split}_1.png": ["a house"]}))
        (cc / split / "label" / f"{split}_1.png").unlink()
    outcome = cli("data", "match", cc, cd, "--out", tmp_path / "matches.json")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert "3 captioned pairs found, lowest correlation of the pixels 1.000" in outcome.stdout
    (item,) = open_dataset(tmp_path / "matches.json", "val").items
    assert item.sentences == ("a house",) and item.label is not None


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["stats", "nowhere"], "nowhere: no such folder"),
        (["convert", "nowhere", "out", "--to", "list"], "nowhere: no such folder"),
        (["convert", "a", "b", "--to", "coco"], "--to"),
        (["convert", "a", "b"], "--to"),
        (["match", "nowhere", "nowhere", "--out", "out.json"], "nowhere: no such folder"),
        (["count"], "invalid choice: 'count'"),
        ([], "WHAT"),
    ],
)
def test_refusals_are_one_line(
    argv: list[str], words: str, cli: Callable, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = cli("data", *argv)
    assert (outcome.code, outcome.stdout) == (2, "")
    assert outcome.stderr.startswith("semantic-cc: error: ") and outcome.stderr.count("\n") == 1
    assert words in outcome.stderr
    assert not list(tmp_path.iterdir())


def test_what_does_not_match_is_told(cli: Callable, tmp_path: Path) -> None:
    own, cd = layouts.write_own(tmp_path / "own"), layouts.write_levir_cd(tmp_path / "cd", 256)
    outcome = cli("data", "match", own, cd, "--out", tmp_path / "matches.json")
    assert outcome.code == 2
    assert "no pair shows what a tile of" in outcome.stderr
    assert not (tmp_path / "matches.json").exists()

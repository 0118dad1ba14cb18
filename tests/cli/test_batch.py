"""`batch` on the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import geopandas
import pytest
from batches import archive, table

from semantic_cc.batch import ray_engine


@pytest.fixture
def words(tmp_path: Path, tiny_folder: Path) -> list[object]:
    return [
        "batch", archive(tmp_path / "in", scenes=1), "--out", tmp_path / "out", "--model", tiny_folder,
        "--tile", 64, "--overlap", 16, "--formats", "gpkg",
    ]  # fmt: skip


def test_a_batch_is_described_and_told(cli: Callable, words: list[object], tmp_path: Path) -> None:
    outcome = cli(*words)
    assert outcome.code == 0
    assert (
        outcome.stdout.splitlines()[-1] == f"2 of 2 pairs done; pairs.csv and changes in {tmp_path / 'out'}"
    )
    assert "2 of 2 pairs, " in outcome.stderr and " pairs/min, ETA 0:00:00" in outcome.stderr
    summary = json.loads((tmp_path / "out" / "batch.json").read_text())
    assert summary["model"]["name"] == "tiny"
    assert (summary["settings"]["options"]["tile"], summary["settings"]["options"]["overlap"]) == (64, 16)
    assert [row["kind"] for row in table(tmp_path / "out").values()] == ["scene", "plain"]
    assert (tmp_path / "out" / "pairs" / "scene 0" / "changes.gpkg").exists()
    assert len(geopandas.read_parquet(tmp_path / "out" / "changes").columns) > 10


def test_a_bad_pair_is_told_and_is_the_exit_code(cli: Callable, words: list[object], tmp_path: Path) -> None:
    (tmp_path / "in" / "b0.png").write_bytes(b"")
    outcome = cli(*words)
    assert outcome.code == 1
    failed, pace, last = outcome.stderr.splitlines()
    assert failed.startswith("failed: plain/0: ") and "b0.png: is empty" in failed
    assert pace.startswith("2 of 2 pairs, 1 failed, ")
    assert last.startswith("semantic-cc: error: 1 of 2 pairs failed; ") and "pairs.csv says why" in last
    assert table(tmp_path / "out")["scene 0"]["status"] == "done"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({1: "absent.csv"}, "absent.csv: no such file"),
        ({5: "no-such-model"}, "no-such-model"),
        ({9: 64}, "cannot overlap by 64"),
        ({3: "FILE/out"}, "is not a directory"),
    ],
)
def test_wrong_words_are_one_line(
    change: dict[int, object], message: str, cli: Callable, words: list[object], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    for place, word in change.items():
        words[place] = str(word).replace("FILE", str(tmp_path / "file"))
    outcome = cli(*words)
    assert outcome.code == 2 and message in outcome.stderr and outcome.stderr.count("\n") == 1
    assert not list((tmp_path / "out").glob("*"))


def test_without_ray_it_says_what_to_install(
    cli: Callable, words: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_engine, "find_spec", lambda name: None)
    outcome = cli(*words, "--engine", "ray")
    assert outcome.code == 2 and "pip install 'semantic-cc[ray]'" in outcome.stderr


def test_columns_that_are_not_read_are_named(cli: Callable, words: list[object], tmp_path: Path) -> None:
    path = tmp_path / "in" / "pairs.csv"
    path.write_text("id,before,after,band\na,a0.png,b0.png,1\n")
    assert "columns not read: band" in cli(*words[:6]).stdout.splitlines()


def test_options_of_scenes_are_refused_where_no_pair_is_one(
    cli: Callable, words: list[object], tmp_path: Path
) -> None:
    (tmp_path / "in" / "pairs.csv").write_text("id,before,after\na,a0.png,b0.png\n")
    outcome = cli(*words)
    assert outcome.code == 2 and outcome.stderr.count("\n") == 1
    assert "--tile, --overlap, --formats: for georeferenced images only" in outcome.stderr
    assert not (tmp_path / "out").exists()


def test_the_manifest_is_not_overwritten_by_the_table(
    cli: Callable, words: list[object], tmp_path: Path
) -> None:
    content = (tmp_path / "in" / "pairs.csv").read_bytes()
    words[3] = tmp_path / "in"
    outcome = cli(*words)
    assert outcome.code == 2 and "pairs.csv would overwrite this input" in outcome.stderr
    assert (tmp_path / "in" / "pairs.csv").read_bytes() == content

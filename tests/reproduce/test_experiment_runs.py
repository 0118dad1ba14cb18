"""Runs are made once, go on where they were cut off, and give the same numbers again."""

import json
from collections.abc import Callable
from pathlib import Path

import layouts
import pytest
from processes import forked, survives_kills

from semantic_cc.errors import DataError
from semantic_cc.reproduce.experiment_runs import trained
from semantic_cc.reproduce.paper_tables import OURS, TABLES
from semantic_cc.reproduce.table_results import reproduce_table


@pytest.fixture(autouse=True)
def _calm(one_calm_thread: None) -> None:
    """Numbers are compared."""


def test_what_is_finished_is_not_repeated(make_setup: Callable, said: list[str], one_row: str) -> None:
    first = reproduce_table(one_row, make_setup(), seeds=1)
    said.clear()
    kept = {path: path.stat().st_mtime_ns for path in make_setup().out.rglob("*") if path.is_file()}
    assert reproduce_table(one_row, make_setup(), seeds=1) == first
    assert said == ["table4, Semantic-CC (ours), seed 0: trained already"]
    assert kept == {path: path.stat().st_mtime_ns for path in make_setup().out.rglob("*") if path.is_file()}


def test_a_table_has_what_must_stand_beside_a_number(make_setup: Callable, one_row: str) -> None:
    result = reproduce_table(one_row, make_setup(), seeds=1)
    (row,) = result.rows
    assert row.scores["all"]["CIDEr"].spread is None and len(row.scores["all"]["CIDEr"].values) == 1
    assert row.scores["changed"]["flag"].mean is not None
    assert result.baselines.keys() == {"always_same", "true_flag", "best_true_flag"}
    (run,) = row.runs
    assert run.pairs_visited == 12 and len(run.model) == 64
    assert result.command.startswith("semantic-cc reproduce table4 --scale tiny --seeds 1 --data ")
    assert result.command.endswith(" --hardware.accelerator cpu")
    notes = "\n".join(result.notes)
    for words in (
        "protocol 'word'",
        "seed 0 only",
        "consensus",
        "with a language model",
        "METEOR not run",
        "not one chosen on a split",
        "before its own stages, every row visits 2 pairs in stage i",
    ):
        assert words in notes


def test_a_table_cannot_be_scored_on_data_without_its_truth(make_setup: Callable, tmp_path: Path) -> None:
    masks_alone = layouts.write_levir_cd(tmp_path / "cd")
    with pytest.raises(DataError, match=r"no test pair has sentences to score; name other data with --test"):
        reproduce_table("table1", make_setup(data=masks_alone), seeds=1)
    assert not (make_setup().out / "runs" / "none").exists()


def test_what_was_trained_is_recorded(make_setup: Callable) -> None:
    run = trained(make_setup(), OURS, 0, "ours")
    facts = json.loads((run.folder / "trained.json").read_text())
    assert (
        facts["pairs"] == 12 and facts["device"].startswith("CPU") and facts["config"]["train"]["seed"] == 0
    )
    assert run.model.is_dir()
    done = [path.parent.name for path in (run.folder / "train" / "phases").glob("*/finished.json")]
    assert sorted(done) == ["change_detection", "keyword_head", "llm", "multitask", "qformer"]
    (start,) = (make_setup().out / "starts").glob("*/encoder.safetensors")
    assert facts["config"]["model"]["encoder"]["weights"] == str(start)


@pytest.mark.slow
def test_kills_at_any_moment_change_no_number(make_setup: Callable, tmp_path: Path, one_row: str) -> None:
    def run(name: str) -> None:
        result = reproduce_table(one_row, make_setup(out=tmp_path / name), seeds=1)
        (tmp_path / name / "result.json").write_text(result.to_json())

    result = survives_kills(run, lambda name: (tmp_path / name / "result.json").read_text(), kills=8)
    assert json.loads(str(result))["rows"][0]["scores"]


@pytest.mark.slow
def test_two_processes_that_need_the_same_run_train_it_once(
    make_setup: Callable, tmp_path: Path, capfd
) -> None:
    def work() -> None:
        trained(make_setup(out=tmp_path, say=lambda line: print(line, flush=True)), OURS, 0, "ours")

    processes = [forked(work), forked(work)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert capfd.readouterr().out.count("ours: training in") == 1


@pytest.mark.slow
def test_the_same_seed_gives_the_same_table_and_another_does_not(
    make_setup: Callable, tmp_path: Path, one_row: str
) -> None:
    again = reproduce_table(one_row, make_setup(out=tmp_path), seeds=2)
    first = reproduce_table(one_row, make_setup(), seeds=2)
    assert again.rows == first.rows
    models = [run.model for run in first.rows[0].runs]
    assert models[0] != models[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_every_table_runs(name: str, make_setup: Callable) -> None:
    result = reproduce_table(name, make_setup(), seeds=1)
    assert [row.cells for row in result.rows] == [row.cells for row in TABLES[name].rows]
    assert all(row.scores for row in result.rows)

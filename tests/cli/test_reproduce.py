"""`reproduce` on the command line; what it makes is tested in tests/reproduce."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["table6"], "invalid choice: 'table6'"),
        (["table1", "--scale", "large"], "invalid choice: 'large'"),
        (["table1", "--seeds", 0], "'0' is not a whole number of at least 1"),
        (["table1", "--train.seed", 3], "--train.seed: reproduce sets the seeds; give --seeds N"),
        (["table1", "--train.epoch", 3], "Option 'train.epoch' is not accepted"),
        (["table1", "--hardware.nodes", 2], "hardware.nodes must be 1"),
        (["table1", "--plan", "abacus"], "no device 'abacus' is known"),
    ],
)
def test_wrong_words_are_refused_in_one_line(
    words: list, message: str, cli: Callable, world_folder: Path, tmp_path: Path
) -> None:
    scale = [] if "--scale" in words else ["--scale", "tiny"]
    outcome = cli("reproduce", *words, *scale, "--data", world_folder, "--out", tmp_path / "out")
    assert (outcome.code, outcome.stdout) == (2, "")
    assert message in outcome.stderr and outcome.stderr.count("\n") == 1
    assert not (tmp_path / "out" / "runs").exists()


def test_missing_data_is_refused(cli: Callable, tmp_path: Path) -> None:
    outcome = cli(
        "reproduce", "table1", "--scale", "tiny", "--data", tmp_path / "none", "--out", tmp_path / "out"
    )
    assert outcome.code == 2 and "none" in outcome.stderr and outcome.stderr.count("\n") == 1


def test_a_plan_starts_nothing(cli: Callable, world_folder: Path, tmp_path: Path) -> None:
    outcome = cli(
        "reproduce",
        "fig9",
        "--scale",
        "tiny",
        "--data",
        world_folder,
        "--out",
        tmp_path / "o",
        "--plan",
        "a100-80gb",
    )
    assert outcome.code == 0
    assert "Semantic-CC (ours): 0.0 hours" in outcome.stdout and "GFLOP" in outcome.stdout
    assert not (tmp_path / "o").exists()


@pytest.mark.slow
def test_a_table_is_printed_and_written_in_every_format(
    cli: Callable, world_folder: Path, tmp_path: Path
) -> None:
    words = [
        "reproduce",
        "table4",
        "--scale",
        "tiny",
        "--data",
        world_folder,
        "--out",
        tmp_path,
        "--no-meteor",
    ]
    outcome = cli(*words, "--format", "latex")
    assert outcome.code == 0 and outcome.stdout.startswith("% Table IV")
    for ending in ("txt", "md", "tex", "json"):
        assert (tmp_path / f"table4-tiny.{ending}").stat().st_size > 500

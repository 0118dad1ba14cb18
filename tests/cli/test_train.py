"""`train` and `evaluate`, and the configuration as flags."""

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from phases import TINY

from semantic_cc.cli import evaluate, train
from semantic_cc.cli.config_flags import fields, flags_help, parse_flags
from semantic_cc.config import load_config, to_dict

SHORT = [f"--phases.multitask.stages.{name}.items=2" for name in ("change", "caption", "joint")]
ONE = [word for name in TINY if name != "multitask" for word in (f"--phases.{name}", "null")]


def test_flags_become_nested_values() -> None:
    flags = ["--optim.lr", "0.5", "--model.encoder.global_layers=[1, 2]", "--model.encoder.weights", "null",
             "--train.sort_by_length", "true", "--model.llm.name", "a=b"]  # fmt: skip
    assert parse_flags(flags) == {
        "optim": {"lr": 0.5},
        "model": {"encoder": {"global_layers": [1, 2], "weights": None}, "llm": {"name": "a=b"}},
        "train": {"sort_by_length": True},
    }


def test_the_later_of_two_flags_wins() -> None:
    assert parse_flags(["--train.seed", "1", "--train.seed", "2"]) == {"train": {"seed": 2}}


@pytest.mark.parametrize("command", [train, evaluate])
def test_data_is_one_dataset_or_several(command: ModuleType) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    others = ["--config", "tiny", "--out", "o"] if command is not evaluate else ["--model", "m"]
    assert parser.parse_known_args([*others, "--data", "a"])[0].data == "a"
    arguments, rest = parser.parse_known_args(["--data", "a", "b", *others, "--optim.lr", "1"])
    assert (arguments.data, rest) == (["a", "b"], ["--optim.lr", "1"])


@pytest.mark.parametrize("text", ["1e-4", "0.0001", "1.0e-4"])
def test_a_learning_rate_may_be_written_any_way(text: str) -> None:
    assert load_config("tiny", parse_flags(["--optim.lr", text])).optim.lr == 1e-4


def test_a_negative_value_is_a_value() -> None:
    assert parse_flags(["--train.flag_weight", "-1"]) == {"train": {"flag_weight": -1}}


def test_every_field_is_listed_with_its_meaning() -> None:
    listed = {name: meaning for name, _, meaning in fields()}
    given = {re.sub(r"phases\.\w+|stages\.\w+", _any, name) for name in dotted(to_dict(load_config("paper")))}
    assert listed.keys() == given
    assert all(listed.values())


def _any(found: re.Match[str]) -> str:
    return found[0].split(".")[0] + ".NAME"


def dotted(values: dict, prefix: str = "") -> list[str]:
    return [
        name
        for key, value in values.items()
        for name in (dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"])
    ]


def test_train_help_lists_the_fields(capsys: pytest.CaptureFixture[str]) -> None:
    from semantic_cc.cli.main import main

    with pytest.raises(SystemExit):
        main(["train", "--help"])
    printed = capsys.readouterr().out
    assert "--model.change_decoder.classes" in printed
    assert flags_help() in printed


def test_train_then_evaluate_then_describe(
    cli: Callable, world_folder: Path, image_paths: tuple[Path, Path], tmp_path: Path
) -> None:
    run, scores = tmp_path / "run", tmp_path / "new" / "scores.json"
    trained = cli("train", "--config", "tiny", "--data", world_folder, "--out", run, *SHORT, *ONE)
    assert trained.code == 0
    model = run / "model"
    assert str(model) in trained.stdout

    scored = cli("evaluate", "--model", model, "--data", world_folder, "--out", scores, "--no-meteor")
    assert scored.code == 0
    report = json.loads(scores.read_text())
    assert report["pairs"] == 2
    for words in (
        "protocol 'word'",
        "change flag accuracy",
        "building",
        "IoU",
        "CIDEr",
        "best single sentence",
    ):
        assert words.lower() in scored.stdout.lower()

    assert cli("describe", *image_paths, "--model", model).code == 0

    again = cli("train", "--config", "tiny", "--data", world_folder, "--out", run, *SHORT, *ONE)
    assert (again.code, again.stdout) == (2, "")
    resumed = cli(
        "train", "--config", "tiny", "--data", world_folder, "--out", run, *SHORT, *ONE, "--resume", "auto"
    )
    assert resumed.code == 0


def test_evaluate_takes_some_pairs_of_a_split(cli: Callable, tiny_folder: Path, world_folder: Path) -> None:
    outcome = cli(
        "evaluate",
        "--model",
        tiny_folder,
        "--data",
        world_folder,
        "--split",
        "train",
        "--limit",
        3,
        "--batch",
        2,
        "--no-meteor",
    )
    assert (outcome.code, outcome.stderr) == (0, "")
    assert "3 pairs" in outcome.stdout
    assert "split train" in outcome.stdout


def test_evaluate_without_masks_says_so(
    cli: Callable, captions_only_folder: Path, world_folder: Path
) -> None:
    outcome = cli(
        "evaluate", "--model", captions_only_folder, "--data", world_folder, "--limit", 2, "--no-meteor"
    )
    assert outcome.code == 0
    assert "note: change detection is not scored" in outcome.stdout


@pytest.mark.parametrize(
    ("command", "now"),
    [
        ("pretrain", "train --phase encoder"),
        ("align", "train --phase qformer, then --phase llm"),
        ("sharpen", "train --phase mask_decoder"),
        ("guide", "train --phase keyword_head"),
        ("calibrate", "train --phase calibration"),
        ("plan", "train --plan"),
        ("publish", "weights publish"),
    ],
)
def test_an_old_command_names_the_new_one(command: str, now: str, cli: Callable) -> None:
    outcome = cli(command, "--model", "small")
    assert (outcome.code, outcome.stdout) == (2, "")
    assert outcome.stderr == f"semantic-cc: error: the command {command} is now: semantic-cc {now}\n"


def test_one_phase_by_its_name(cli: Callable, world_folder: Path, tmp_path: Path) -> None:
    words = ("train", "--config", "tiny", "--data", world_folder, "--out", tmp_path / "run")
    outcome = cli(*words, "--phase", "encoder")
    model = tmp_path / "run" / "phases" / "encoder" / "model"
    assert outcome.code == 0 and str(model) in outcome.stdout and model.is_dir()
    assert not (tmp_path / "run" / "model").exists()
    unknown = cli(*words, "--phase", "words", "--resume", "auto")
    assert unknown.code == 2 and "no phase 'words'" in unknown.stderr
    later = cli(*words, "--from", "multitask", "--resume", "auto")
    assert later.code == 2 and "phase multitask starts from the model of phase llm" in later.stderr

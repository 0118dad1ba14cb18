"""The frame of the command line: exit codes, one line for an error, a clean stdout."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from semantic_cc import __version__
from semantic_cc.cli import main as main_module
from semantic_cc.cli import synth
from semantic_cc.cli.console import say
from semantic_cc.errors import FoundationWeightsError, TrainingError


def test_version_and_help_leave_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    for flag, expected in (("--version", f"semantic-cc {__version__}"), ("--help", "describe")):
        with pytest.raises(SystemExit) as left:
            main_module.main([flag])
        assert left.value.code == 0
        assert expected in capsys.readouterr().out


def test_a_line_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    say("outputs: mask.png in /data/a:house:b [bold]")
    assert capsys.readouterr().out == "outputs: mask.png in /data/a:house:b [bold]\n"


@pytest.mark.parametrize("command", [command.NAME for command in main_module.COMMANDS])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main_module.main([command, "--help"])
    assert left.value.code == 0
    assert f"usage: semantic-cc {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "COMMAND"),
        (["paint"], "invalid choice: 'paint'"),
        (["describe", "one.png"], "AFTER"),
        (["describe", "one.png", "two.png", "--frobnicate"], "unrecognized arguments: --frobnicate"),
        (["describe", "one.png", "two.png", "--mod", "x"], "unrecognized arguments: --mod"),
        (["synth", "out", "--pairs", "no", "--seed", "1"], "--pairs"),
        (["evaluate", "--model", "m", "--data", "d", "--batch", "0"], "--batch"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_2(argv: list[str], words: str, cli: Callable) -> None:
    outcome = cli(*argv)
    assert (outcome.code, outcome.stdout) == (2, "")
    assert outcome.stderr.startswith("semantic-cc: error: ")
    assert outcome.stderr.count("\n") == 1
    assert words in outcome.stderr


@pytest.mark.parametrize(
    ("error", "code", "stderr"),
    [
        (FoundationWeightsError("no language\nmodel"), 1, "semantic-cc: error: no language model\n"),
        (TrainingError("loss is nan"), 1, "semantic-cc: error: loss is nan\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_stops_the_work(
    error: BaseException, code: int, stderr: str, cli: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: object) -> None:
        raise error

    monkeypatch.setattr(synth, "run", stop)
    outcome = cli("synth", "out", "--pairs", 1, "--seed", 1)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (code, "", stderr)


def test_a_fault_of_ours_is_not_hidden(cli: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synth, "run", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli("synth", "out", "--pairs", 1, "--seed", 1)


def test_runs_as_a_module_and_refuses_without_a_traceback() -> None:
    command = [sys.executable, "-m", "semantic_cc", "describe", "nowhere.png", "nowhere.png"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "semantic-cc: error: nowhere.png: no such file; check the path\n"


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    words = ["synth", str(tmp_path / "out"), "--pairs", "1", "--seed", "1"]
    command = [sys.executable, "-m", "semantic_cc", *words]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")

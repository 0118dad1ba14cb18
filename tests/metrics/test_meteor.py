"""METEOR's process is always closed, and says in one line what went wrong. Java is imitated by a shell script."""

import subprocess
import sys
import time

import pytest

from semantic_cc.errors import ScoringError
from semantic_cc.metrics import caption_report, meteor
from semantic_cc.metrics.meteor import Meteor, find_java


def report(*args, **options) -> dict:
    """The scores as `--out` writes them."""
    return caption_report(*args, **options).to_json()


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="imitates Java by a shell script")

TRUTH, GIVEN = {"a": ["a house"]}, {"a": ["a road"]}
VERSION = 'case "$1" in -version) echo \'openjdk version "17.0.1" 2021\' >&2; exit 0;; esac\n'


@pytest.fixture
def java(tmp_path, monkeypatch):
    """Puts a script in the place of Java; its text -> its path."""

    def install(text: str) -> str:
        path = tmp_path / "bin" / "java"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        monkeypatch.setenv("JAVA_HOME", str(tmp_path))
        return str(path)

    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return install


def test_no_java(java):
    assert find_java() is None


@pytest.mark.parametrize(
    ("version", "enough"),
    [('"17.0.15" 2025-04-15', True), ('"1.8.0_391"', True), ('"1.7.0_80"', False), ("", False)],
)
def test_java_must_be_8_or_newer(java, version, enough):
    path = java(f"echo 'java version {version}' >&2")
    assert find_java() == (path if enough else None)


def test_a_java_that_cannot_run_is_none(java):
    java("echo 'No Java runtime present' >&2; exit 1")
    assert find_java() is None


def test_without_java_everything_else_is_scored(java):
    result = report({"a": "a road"}, {"a": ["a house"]})
    assert result["meteor"] == "not run: needs Java 8+"
    assert result["all"]["METEOR"] is None
    assert "METEOR" not in result["all"]["intervals"]
    assert result["all"]["BLEU-1"] == pytest.approx(50)


def test_a_killed_java(java):
    path = java("read line; kill -9 $$")
    with (
        Meteor(path) as process,
        pytest.raises(ScoringError, match="METEOR: Java ended with code -9; run it again"),
    ):
        process.counts(TRUTH, GIVEN)
    assert process._process.returncode == -9


def test_a_java_that_complains(java):
    path = java("echo 'Could not reserve enough space' >&2; exit 1")
    with (
        Meteor(path) as process,
        pytest.raises(ScoringError, match=r"Java ended with code 1 \(Could not reserve enough space\)"),
    ):
        process.counts(TRUTH, GIVEN)


def test_a_java_that_never_answers_is_ended(java, monkeypatch):
    monkeypatch.setattr(meteor, "START_SECONDS", 0.2)
    path = java("exec /usr/bin/tail -f /dev/null")
    with Meteor(path) as process, pytest.raises(ScoringError, match="Java gave no answer within 0 s"):
        process.counts(TRUTH, GIVEN)
    assert process._process.returncode is not None


def test_an_answer_that_is_no_number(java):
    path = java("read line; echo nonsense; read line")
    with Meteor(path) as process, pytest.raises(ScoringError, match=r"Java (gave no score|ended)"):
        process.counts(TRUTH, GIVEN)


def test_java_ends_however_the_block_ends(java):
    path = java("while read line; do :; done")
    with pytest.raises(KeyboardInterrupt), Meteor(path) as process:
        raise KeyboardInterrupt
    assert process._process.returncode is not None


def test_java_leaves_when_this_process_is_killed(java, tmp_path):
    note = tmp_path / "left"
    path = java(f"while read line; do :; done; echo gone > {note}")
    code = (
        f"from semantic_cc.metrics.meteor import Meteor\nwith Meteor({path!r}): print(1, flush=True); input()"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
    child.kill()
    child.wait()
    deadline = time.monotonic() + 20
    while not note.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert note.exists()
    child.stdin.close()
    child.stdout.close()


def test_a_missing_program(tmp_path):
    with pytest.raises(ScoringError, match="cannot be started"), Meteor(str(tmp_path / "java")):
        pass

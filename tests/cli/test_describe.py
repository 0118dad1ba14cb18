import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semantic_cc import predictor
from semantic_cc.types import LABEL_VALUES

KEYS = {
    "sentence", "sentences", "changed", "change_probability", "changed_share", "class_shares", "image_size",
    "notes", "model", "timings", "version", "files",
}  # fmt: skip


def test_prints_the_sentence_and_writes_the_outputs(
    cli: Callable, image_paths: tuple[Path, Path], tiny_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "out"
    outcome = cli("describe", *image_paths, "--model", tiny_folder, "--out", out)
    assert (outcome.code, outcome.stderr) == (0, "")
    report = json.loads((out / "report.json").read_text())
    first = report["sentence"] or "changed (change probability"  # an untrained model may have nothing to say
    assert outcome.stdout.splitlines()[0].startswith(first)
    assert set(report) == KEYS
    assert sorted(report["files"]) == sorted(path.name for path in out.iterdir())
    mask = np.asarray(Image.open(out / "mask.png"))
    assert mask.shape == (48, 80)
    assert set(np.unique(mask)) <= set(LABEL_VALUES)


def test_without_out_nothing_is_written(
    cli: Callable,
    image_paths: tuple[Path, Path],
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.rglob("*"))
    assert cli("describe", *image_paths, "--model", tiny_folder).code == 0
    assert set(tmp_path.rglob("*")) == before


def test_json_is_one_object_and_nothing_else(
    image_paths: tuple[Path, Path], tiny_folder: Path, tmp_path: Path
) -> None:
    words = ["describe", *image_paths, "--model", tiny_folder, "--json", "--out", tmp_path / "out"]
    done = subprocess.run(
        [sys.executable, "-m", "semantic_cc", *map(str, words)], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    report = json.loads(done.stdout)
    assert set(report) == KEYS
    assert {Path(path).name for path in report["files"]} == {
        path.name for path in (tmp_path / "out").iterdir()
    }


def test_what_a_library_prints_does_not_reach_stdout(
    cli: Callable, image_paths: tuple[Path, Path], tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = predictor.SemanticCC.from_pretrained

    def noisy(name: str, **options: object) -> predictor.SemanticCC:
        print("loading shards: 100%")
        return load(name)

    monkeypatch.setattr(predictor.SemanticCC, "from_pretrained", noisy)
    outcome = cli("describe", *image_paths, "--model", tiny_folder, "--json")
    assert json.loads(outcome.stdout)["model"]["name"] == "tiny"
    assert outcome.stderr == "loading shards: 100%\n"


def test_what_was_converted_is_said(cli: Callable, image_paths: tuple[Path, Path], tiny_folder: Path) -> None:
    Image.open(image_paths[0]).convert("P").save(image_paths[0])
    report = json.loads(cli("describe", *image_paths, "--model", tiny_folder, "--json").stdout)
    assert len(report["notes"]) == 1
    assert str(image_paths[0]) in report["notes"][0]
    assert f"note: {report['notes'][0]}" in cli("describe", *image_paths, "--model", tiny_folder).stdout


def test_an_instruction_reaches_the_model(
    cli: Callable, image_paths: tuple[Path, Path], tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    describe = predictor.SemanticCC.describe
    monkeypatch.setattr(
        predictor.SemanticCC,
        "describe",
        lambda *args, instruction: asked.append(instruction) or describe(*args, instruction=instruction),
    )
    assert cli("describe", *image_paths, "--model", tiny_folder, "--instruction", "what is new?").code == 0
    assert asked == ["what is new?"]


def test_a_model_without_masks_says_so(
    cli: Callable, image_paths: tuple[Path, Path], captions_only_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    outcome = cli("describe", *image_paths, "--model", captions_only_folder, "--out", out)
    assert outcome.code == 0
    assert "no mask" in outcome.stdout
    assert {path.name for path in out.iterdir()} == {"overlay.png", "heatmap.png", "report.json"}


def test_an_input_is_not_overwritten(
    cli: Callable, image_paths: tuple[Path, Path], tiny_folder: Path, tmp_path: Path
) -> None:
    before = image_paths[0].rename(tmp_path / "overlay.png")
    content = before.read_bytes()
    outcome = cli("describe", before, image_paths[1], "--model", tiny_folder, "--out", tmp_path)
    assert outcome.code == 2 and outcome.stderr.count("\n") == 1
    assert "overlay.png would overwrite this input" in outcome.stderr
    assert before.read_bytes() == content
    assert {path.name for path in tmp_path.iterdir()} == {"overlay.png", "after.png"}

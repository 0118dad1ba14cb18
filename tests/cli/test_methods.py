"""The compared change detectors by the same commands as Semantic-CC: train, resume, evaluate, describe."""

import json
from collections.abc import Callable
from pathlib import Path

import layouts
import pytest
from phases import multitask, phase_of

from semantic_cc.checkpoint.serialization import load_pretrained
from semantic_cc.config import Config, load_config
from semantic_cc.config.model import CHANGE_METHODS
from semantic_cc.training import loop
from semantic_cc.training.optim import Updater
from semantic_cc.training.pipeline import train


@pytest.mark.parametrize("method", CHANGE_METHODS)
def test_a_change_detector_from_training_to_scores(
    method: str, cli: Callable, image_paths: tuple[Path, Path], tmp_path: Path
) -> None:
    data, run, scores = (
        layouts.write_levir_cd(tmp_path / "cd", side=32),
        tmp_path / "run",
        tmp_path / "s.json",
    )
    call = ["--config", f"tiny+{method}", "--data", data, "--out", run, "--model.baseline.scale", 0.0625]
    call += ["--model.change_decoder.classes", 1, "--phases.multitask.ema", 0.9, "--train.accumulate", 2]
    call += [
        "--train.gradient_checkpointing",
        "true",
        "--train.val_items",
        1,
        "--phases.change_detection",
        "null",
        "--phases.encoder",
        "null",
    ]
    trained = cli("train", *call)
    assert (trained.code, trained.stderr.count("change: loss")) == (0, 1), trained.stderr
    assert phase_of(run).best.is_dir()
    model = run / "model"
    assert json.loads((model / "config.json").read_text())["model"]["method"] == method

    scored = cli("evaluate", "--model", model, "--data", data, "--split", "test", "--out", scores)
    assert scored.code == 0
    for words in (f"tiny+{method}", "building", "iou", "f1", "OA"):
        assert words.lower() in scored.stdout.lower()
    report = json.loads(scores.read_text())
    assert set(report["change"]["building"]) >= {"precision", "recall", "f1", "iou", "accuracy"}
    assert report["captions"] is report["consistency"] is None

    out = tmp_path / "told"
    told = cli("describe", *image_paths, "--model", model, "--out", out)
    assert told.code == 0
    assert told.stdout.startswith(("changed", "unchanged"))  # no sentence before it
    assert (out / "mask.png").is_file()


def test_a_change_detector_goes_on_exactly_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = layouts.write_levir_cd(tmp_path / "cd", side=32)

    def config(out: str) -> Config:
        values = {"data": str(data), "out": str(tmp_path / out), **multitask(epochs=2)}
        return load_config("tiny+changeformer", values)  # it has dropout

    whole = train(config("whole"))
    end_epoch = loop.TrainLoop._end_epoch

    def stop_in_the_second(run: loop.TrainLoop, epoch: int, updater: Updater) -> None:
        if epoch == 2:
            raise KeyboardInterrupt
        end_epoch(run, epoch, updater)

    monkeypatch.setattr(loop.TrainLoop, "_end_epoch", stop_in_the_second)
    with pytest.raises(KeyboardInterrupt):
        train(config("stopped"))
    monkeypatch.undo()
    resumed = train(config("stopped"), resume=True)
    assert load_pretrained(resumed)[1].digest == load_pretrained(whole)[1].digest

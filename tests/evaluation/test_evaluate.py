"""What `evaluate` leaves out when it is asked only for masks."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from semantic_cc.evaluation.evaluate import evaluate
from semantic_cc.model.caption_decoder import CaptionDecoder


def test_masks_alone_are_the_same_masks(
    tiny_folder: Path, world_folder: Path, one_calm_thread: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = evaluate(tiny_folder, world_folder, meteor=False)
    monkeypatch.setattr(CaptionDecoder, "generate", _silent)
    masks = evaluate(tiny_folder, world_folder, sentences=False)
    assert masks.scores.change == both.scores.change
    assert masks.scores.diagnostics.objects == both.scores.diagnostics.objects
    assert both.scores.captions and both.scores.diagnostics.consistency and both.scores.calibration
    assert masks.scores.captions is masks.scores.diagnostics.consistency is masks.scores.calibration is None
    stored = masks.to_json(predictions=True)["predictions"].values()
    assert all(pair.keys() <= {"probability"} for pair in stored)  # no sentence and no flag


def test_a_train_split_without_labels_does_not_matter_without_sentences(
    tiny_folder: Path, world_folder: Path, tmp_path: Path
) -> None:
    for split, given in (("test", ("A", "B", "label")), ("train", ("A", "B"))):
        for part in given:
            shutil.copytree(world_folder / "images/test" / part, tmp_path / split / part)
    report = evaluate(tiny_folder, tmp_path, meteor=False)
    assert report.pairs == 2 and report.scores.change and report.scores.captions is None


def _silent(*_: Callable) -> None:
    raise AssertionError("the language model ran")

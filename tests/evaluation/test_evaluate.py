"""What `evaluate` leaves out when it is asked for masks alone."""

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
    assert masks["change"] == both["change"] and masks["objects"] == both["objects"]
    assert both["captions"] and both["consistency"] and both["calibration"]
    assert masks["captions"] is masks["consistency"] is masks["calibration"] is None


def _silent(*_: Callable) -> None:
    raise AssertionError("the language model ran")

"""The kept evaluation of a run: what is read of its file, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from semantic_cc.errors import InputError
from semantic_cc.metrics.caption_report import PartScores
from semantic_cc.metrics.change import ClassScore
from semantic_cc.metrics.coco_scorer import METRICS
from semantic_cc.reproduce.kept_evaluation import KeptCaptions, KeptEvaluation, read_evaluation

SCORES = {metric: float(place) for place, metric in enumerate(METRICS)}
BUILDING = {"precision": 1.0, "recall": 2.0, "f1": 3.0, "iou": 4.0, "accuracy": 5.0}
EMPTY: dict[str, Any] = {"count": 0}
PART = {"count": 3, "flag_accuracy": 50.0, **SCORES, "CIDEr-D": 6.0, "intervals": {"CIDEr": [5.0, 7.0]}}


def content() -> dict[str, Any]:
    """A file of an evaluation with masks and sentences, all of whose pairs are unchanged."""
    parts = {"all": PART, "changed": EMPTY, "unchanged": PART}
    return {
        "model": {"name": "m", "digest": "abc", "training": {}},
        "data": "a b",
        "data_digest": "def",
        "split": "test",
        "pairs": 3,
        "tiles": "256x256",
        "decoding": "beam-4",
        "notes": ["no roads"],
        "change": {"building": BUILDING, "pixels": 9},
        "captions": {
            "protocol": "word",
            "protocol_note": "words",
            "meteor": "run",
            "flag_truth": "the dataset's flag",
            **parts,
            "baselines": {"always_same": {"sentences": {}, **parts}, "true_flag": None},
        },
        "predictions": {"a.png": {"sentence": "a house", "changed": True}, "b.png": {"probability": 0.5}},
    }


def written(folder: Path, content: Any) -> Path:
    path = folder / "scores-0.json"
    path.write_text(json.dumps(content))
    return path


def test_all_fields_are_read(tmp_path: Path) -> None:
    part = PartScores(3, 50.0, SCORES)
    parts = {"all": part, "changed": PartScores(0)}
    assert read_evaluation(written(tmp_path, content())) == KeptEvaluation(
        model_digest="abc",
        data_digest="def",
        pairs=3,
        image_sizes="256x256",
        decoding="beam-4",
        notes=("no roads",),
        building=ClassScore(**BUILDING),
        captions=KeptCaptions(
            protocol="word",
            protocol_note="words",
            meteor="run",
            flag_truth="the dataset's flag",
            scores=parts,
            baselines={"always_same": parts, "true_flag": None},
        ),
        sentences={"a.png": "a house"},
    )


@pytest.mark.parametrize(("key", "field"), [("change", "building"), ("captions", "captions")])
def test_what_was_not_scored_is_none(tmp_path: Path, key: str, field: str) -> None:
    assert getattr(read_evaluation(written(tmp_path, {**content(), key: None})), field) is None


@pytest.mark.parametrize("missing", ["model", "tiles", "predictions", "data_digest"])
def test_another_kind_of_file_is_refused(tmp_path: Path, missing: str) -> None:
    other = content()
    del other[missing]
    path = written(tmp_path, other)
    with pytest.raises(
        InputError, match=rf"{path.name} is not an evaluation .*'{missing}'.*delete it to score"
    ):
        read_evaluation(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_broken_json_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "scores-0.json"
    path.write_text(text)
    with pytest.raises(InputError, match="is not an evaluation"):
        read_evaluation(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read the evaluation .*scores-0\.json: No such file"):
        read_evaluation(tmp_path / "scores-0.json")

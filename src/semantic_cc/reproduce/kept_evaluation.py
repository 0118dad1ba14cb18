"""The stored evaluation of a run as typed values, for tables, notes and figures.

The file is `EvaluationReport.to_json` with predictions, and ``data_digest``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semantic_cc.errors import InputError
from semantic_cc.metrics.caption_report import PartScores
from semantic_cc.metrics.change import ClassScore
from semantic_cc.metrics.coco_scorer import METRICS
from semantic_cc.reproduce.table_types import PAIR_SETS, PairSet


@dataclass(frozen=True)
class KeptCaptions:
    """The sentence scores of a stored evaluation; the fields are those of `CaptionReport`.

    Attributes:
        protocol: one of `PROTOCOLS`.
        protocol_note: what the protocol compares.
        meteor: "run", or why METEOR was not run.
        flag_truth: how the true change flags are known.
        scores: set of pairs -> scores, in percent, without intervals.
        baselines: name of a baseline that uses no image -> set of pairs -> scores; None if it is not available.
    """

    protocol: str
    protocol_note: str
    meteor: str
    flag_truth: str
    scores: Mapping[PairSet, PartScores]
    baselines: Mapping[str, Mapping[PairSet, PartScores] | None]


@dataclass(frozen=True)
class KeptEvaluation:
    """The evaluation of a run on a test split.

    Attributes:
        model_digest: SHA-256 of the model's weights.
        data_digest: SHA-256 over the dataset's images, masks, sentences and flags.
        pairs: number of pairs scored.
        image_sizes: of the test images, such as "256x256", separated by spaces.
        decoding: decoding method, for example "greedy" or "beam-4".
        notes: what was left out, a line each.
        building: scores of the changed-building class, in percent; None if no mask was scored.
        captions: scores of the sentences; None if no sentence was scored.
        sentences: name of a pair -> predicted sentence; empty if the model predicts none.
    """

    model_digest: str
    data_digest: str
    pairs: int
    image_sizes: str
    decoding: str
    notes: tuple[str, ...]
    building: ClassScore | None
    captions: KeptCaptions | None
    sentences: Mapping[str, str]


def read_evaluation(path: Path) -> KeptEvaluation:
    """Reads an evaluation from a file ``scores-DIGEST.json``.

    Raises:
        InputError: the file is missing, or is not an evaluation.
    """
    try:
        content = json.loads(path.read_text())
        change, captions = content["change"], content["captions"]
        return KeptEvaluation(
            model_digest=content["model"]["digest"],
            data_digest=content["data_digest"],
            pairs=content["pairs"],
            image_sizes=content["tiles"],
            decoding=content["decoding"],
            notes=tuple(content["notes"]),
            building=None if change is None else ClassScore(**change["building"]),
            captions=None if captions is None else _read_captions(captions),
            sentences={
                name: pair["sentence"] for name, pair in content["predictions"].items() if "sentence" in pair
            },
        )
    except OSError as error:
        raise InputError(f"cannot read the evaluation {path}: {error.strerror}; check the path") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is not an evaluation that 'semantic-cc reproduce' wrote ({error!r}); delete it to score again"
        ) from error


def _read_captions(content: dict[str, Any]) -> KeptCaptions:
    return KeptCaptions(
        protocol=content["protocol"],
        protocol_note=content["protocol_note"],
        meteor=content["meteor"],
        flag_truth=content["flag_truth"],
        scores=read_parts(content),
        baselines={
            name: None if own is None else read_parts(own) for name, own in content["baselines"].items()
        },
    )


def read_parts(content: Mapping[str, Any]) -> dict[PairSet, PartScores]:
    """Set of pairs -> scores, from the fields of a caption report."""
    return {pairs: _read_part(content[pairs]) for pairs in PAIR_SETS}


def _read_part(content: dict[str, Any]) -> PartScores:
    if not content["count"]:
        return PartScores(0)
    return PartScores(
        content["count"], content["flag_accuracy"], {metric: content[metric] for metric in METRICS}
    )

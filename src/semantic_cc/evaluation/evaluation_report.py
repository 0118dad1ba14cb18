"""The typed result of an evaluation. `to_json` gives the fields that `evaluate --out` writes (docs/scoring.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from semantic_cc.evaluation.diagnostics import Diagnostics
from semantic_cc.metrics.calibration_error import Calibration
from semantic_cc.metrics.caption_report import CaptionReport
from semantic_cc.metrics.change import BuildingScore, ChangeScore

if TYPE_CHECKING:
    from semantic_cc.figures.worst_cases import Case


@dataclass(frozen=True)
class PairPrediction:
    """The prediction for one pair.

    Attributes:
        sentence, changed: None if no sentence was written.
        probability: change probability in [0, 1]; None without a flag head.
    """

    sentence: str | None
    changed: bool | None
    probability: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain values of the fields that are not None."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class SplitScores:
    """The scores of a model on a split; each is None if there is nothing to score.

    Attributes:
        change: mask scores over all labelled pixels; buildings only, if roads are not labelled or not predicted.
        captions: sentence scores in the `word` protocol.
        calibration: calibration of the change probability.
        diagnostics: further scores.
        notes: what was skipped, one line each.
    """

    change: ChangeScore | BuildingScore | None
    captions: CaptionReport | None
    calibration: Calibration | None
    diagnostics: Diagnostics
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values: ``change``, ``captions``, ``calibration``, those of `Diagnostics`, ``notes``."""
        return {
            "change": self.change and self.change.to_json(),
            "captions": self.captions and self.captions.to_json(),
            "calibration": self.calibration and self.calibration.to_json(),
            **self.diagnostics.to_json(),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class EvaluationReport:
    """The evaluation of a model on a split of a dataset.

    Attributes:
        model, digest: name and SHA-256 of the model.
        training: training history, from the model's config.
        data, split: the scored dataset and split.
        pairs: number of pairs scored.
        limit: requested number of pairs, None = all.
        device: "cpu", or the name of the GPU.
        runtime: "torch" or "openvino".
        sizes: image sizes, for example "256x256".
        decoding: decoding method, for example "greedy" or "beam-4".
        classes: the classes that the dataset's masks label.
        scores: the scores.
        predictions: name -> prediction.
        seconds_per_pair: prediction time; not part of `to_json`, which depends only on the predictions. `bench`
            measures speed.
        worst: the pairs with the most wrong pixels; not part of `to_json`.
    """

    model: str
    digest: str
    training: Mapping[str, Any]
    data: str
    split: str
    pairs: int
    limit: int | None
    device: str
    runtime: str
    sizes: tuple[str, ...]
    decoding: str
    classes: tuple[str, ...]
    scores: SplitScores
    predictions: Mapping[str, PairPrediction]
    seconds_per_pair: float
    worst: tuple[Case, ...] = field(default=())

    def to_json(self, predictions: bool = False) -> dict[str, Any]:
        """Plain values; with `predictions`, including the prediction for each pair."""
        content: dict[str, Any] = {
            "model": {"name": self.model, "digest": self.digest, "training": dict(self.training)},
            "data": self.data,
            "split": self.split,
            "pairs": self.pairs,
            "limit": self.limit,
            "device": self.device,
            "runtime": self.runtime,
            "tiles": " ".join(self.sizes),
            "decoding": self.decoding,
            "classes": list(self.classes),
            **self.scores.to_json(),
        }
        if predictions:
            content["predictions"] = {name: pair.to_json() for name, pair in self.predictions.items()}
        return content

"""Compares the predictions of a split with its dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from semantic_cc.data.items import ChangeDataset, item_label
from semantic_cc.data.labels import label_classes, true_classes
from semantic_cc.evaluation.diagnostics import DiagnosticsMetric
from semantic_cc.evaluation.evaluation_report import PairPrediction, SplitScores
from semantic_cc.evaluation.pair_results import PairResult
from semantic_cc.figures.worst_cases import Case
from semantic_cc.metrics import ChangeMetric, caption_report
from semantic_cc.metrics.calibration_error import Calibration, calibration
from semantic_cc.metrics.caption_report import CaptionReport
from semantic_cc.metrics.change import BuildingScore, ChangeScore

if TYPE_CHECKING:
    from semantic_cc.config import ModelConfig


class SplitScorer:
    """Accumulates predictions pair by pair; reads only the labels of the dataset.

    Args:
        data: the dataset.
        config: the model's config.
        worst: number of pairs with the most wrong pixels to keep.
    """

    def __init__(self, data: ChangeDataset, config: ModelConfig, worst: int = 0) -> None:
        self.predictions: dict[str, PairPrediction] = {}
        self.sizes: set[str] = set()
        self.seconds = 0.0
        self._data, self._config = data, config
        self._indices: list[int] = []
        self._confusion, self._diagnostics = ChangeMetric(), DiagnosticsMetric(worst)
        self._masks = 0
        self._roads_labelled = True

    def update(self, index: int, result: PairResult) -> None:
        """Adds the prediction of the dataset's pair at `index`."""
        item = self._data.items[index]
        self._indices.append(index)
        self.predictions[result.name] = PairPrediction(result.sentence, result.changed, result.probability)
        self.sizes.add(result.size)
        self.seconds += result.seconds
        label = item_label(item)
        self._diagnostics.update(label, item.sentences, result)
        if label is None or result.mask is None:
            return
        truth, roads = true_classes(label, item.name)
        predicted = label_classes(result.mask, item.name)
        self._confusion.update(torch.from_numpy(predicted)[None], torch.from_numpy(truth)[None])
        self._masks += 1
        self._roads_labelled = self._roads_labelled and roads

    def compute(self, train: Sequence[str] = (), meteor: bool = False) -> SplitScores:
        """The scores of all pairs so far.

        Args:
            train: the training sentences; the most frequent one is a baseline.
            meteor: whether to compute METEOR, if Java is available.
        """
        notes: list[str] = []
        captions = calibrated = None
        change = self._change(notes)
        if not self._config.writes:
            notes.append("sentences are not scored: the model writes none")
        elif any(prediction.sentence is not None for prediction in self.predictions.values()):
            captions = self._captions(notes, train, meteor)
            calibrated = self._calibration()
        return SplitScores(change, captions, calibrated, self._diagnostics.compute(), tuple(notes))

    def worst(self) -> tuple[Case, ...]:
        """The worst pairs with their images, worst first."""
        return tuple(
            Case(self._data[self._indices[position]], result.mask, result.sentence or "", wrong)
            for position, wrong, result in self._diagnostics.worst
            if result.mask is not None
        )

    def _change(self, notes: list[str]) -> ChangeScore | BuildingScore | None:
        if not self._masks:
            notes.append("change detection is not scored: the model has no mask, or the dataset no labels")
            return None
        scores = self._confusion.compute()
        if self._config.change_decoder.classes == 1:
            return scores.building_only
        if not self._roads_labelled:
            notes.append("roads are not labelled in every mask: only building change is scored")
            return scores.building_only
        return scores

    def _calibration(self) -> Calibration | None:
        flags = self._data.flags
        known = {
            name: prediction.probability
            for name, prediction in self.predictions.items()
            if prediction.probability is not None and name in flags
        }
        return calibration(list(known.values()), [flags[name] for name in known]) if known else None

    def _captions(self, notes: list[str], train: Sequence[str], meteor: bool) -> CaptionReport | None:
        references, flags = self._data.references, self._data.flags
        names = [name for name in self.predictions if references[name]]
        left_out = len(self.predictions) - len(names)
        if left_out:
            notes.append(
                f"{left_out} pairs without reference sentences are left out of the captions and the flag"
            )
        if not names:
            return None
        flagged = all(name in flags for name in names)
        if not flagged:
            notes.append(
                "the dataset does not give every change flag: its sentences decide which pairs changed"
            )
        return caption_report(
            {name: self.predictions[name].sentence or "" for name in names},
            {name: references[name] for name in names},
            changed={name: flags[name] for name in names} if flagged else None,
            flags={name: bool(self.predictions[name].changed) for name in names},
            train=train,
            meteor=meteor,
        )

"""Scores of `evaluate` beyond the confusion matrix: objects, precision-recall curve, consistency with the mask."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from semantic_cc.data.labels import label_classes, true_classes
from semantic_cc.evaluation.pair_results import PairResult
from semantic_cc.metrics.consistency import Consistency, ConsistencyMetric
from semantic_cc.metrics.objects import ObjectMetric, ObjectScore
from semantic_cc.metrics.precision_recall import BINS, PrecisionRecallCurve, precision_recall_curve
from semantic_cc.types import BUILDING, BUILDING_CLASS, LEFT_OUT


@dataclass(frozen=True)
class Diagnostics:
    """Scores beyond the confusion matrix; each is None if there is nothing to score.

    Attributes:
        objects: object-level scores of buildings, from predicted masks and labels.
        curve: precision-recall curve of the building class, from predicted masks and labels.
        consistency: consistency of predicted sentences and predicted masks.
        reference_consistency: consistency of the dataset's sentences and its labels.
    """

    objects: ObjectScore | None
    curve: PrecisionRecallCurve | None
    consistency: Consistency | None
    reference_consistency: Consistency | None

    def to_json(self) -> dict[str, Any]:
        """Plain values by field."""
        return {name: score and score.to_json() for name, score in vars(self).items()}


class DiagnosticsMetric:
    """Accumulates the diagnostics pair by pair.

    Args:
        worst: number of pairs with the largest fraction of wrong pixels, among the labelled ones, to keep.
    """

    def __init__(self, worst: int = 0) -> None:
        self._objects = ObjectMetric()
        self._counts = np.zeros((2, BINS), np.int64)
        self._predicted, self._reference = ConsistencyMetric(), ConsistencyMetric()
        self._size = worst
        # A heap, least wrong first; the earlier pair wins a tie.
        self._worst: list[tuple[float, int, PairResult]] = []
        self._seen = self._masks = 0

    def update(self, label: np.ndarray | None, sentences: Sequence[str], result: PairResult) -> None:
        """Adds one pair.

        Args:
            label: ``(H, W)`` uint8 of `MASK_VALUES`, None without a mask.
            sentences: the references, possibly none.
            result: the prediction.
        """
        number, self._seen = self._seen, self._seen + 1
        truth, labels_roads = (None, True) if label is None else true_classes(label, result.name)
        if label is not None:
            for text in sentences:
                self._reference.update(result.name, text, label, roads=labels_roads)
        if result.mask is None:
            return
        roads = result.roads and labels_roads  # a model cannot learn roads without labels
        if result.sentence is not None:
            self._predicted.update(result.name, result.sentence, result.mask, roads=roads)
        if truth is not None and result.counts is not None:
            self._masks += 1
            self._counts += result.counts
            self._compare(number, result, result.mask, truth, roads)

    def _compare(
        self, number: int, result: PairResult, mask: np.ndarray, truth: np.ndarray, roads: bool
    ) -> None:
        labelled = truth != LEFT_OUT
        predicted, true = (mask == BUILDING) & labelled, truth == BUILDING_CLASS
        self._objects.update(predicted, true)
        if self._size:
            wrong = (label_classes(mask, "mask") != truth) & labelled if roads else predicted != true
            share = float(wrong.sum() / max(labelled.sum(), 1))
            heapq.heappush(self._worst, (share, -number, result))
            if len(self._worst) > self._size:
                heapq.heappop(self._worst)

    @property
    def worst(self) -> list[tuple[int, float, PairResult]]:
        """Position, fraction of wrong pixels in [0, 1] and result of the worst pairs, worst first."""
        ranked = sorted(self._worst, key=lambda entry: entry[:2], reverse=True)
        return [(-number, wrong, result) for wrong, number, result in ranked]

    def compute(self) -> Diagnostics:
        """The scores of all pairs so far."""
        predicted, reference = self._predicted.compute(), self._reference.compute()
        return Diagnostics(
            objects=self._objects.compute() if self._masks else None,
            curve=precision_recall_curve(self._counts) if self._counts.any() else None,
            consistency=predicted if predicted.pairs else None,
            reference_consistency=reference if reference.pairs else None,
        )

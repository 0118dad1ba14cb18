"""What `evaluate` looks at beyond the confusion matrix: objects, the whole curve, sentence against mask, the worst.

Fed pair by pair, and kept apart from the scores that validation during training takes, which must be quick.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from semantic_cc.data.labels import true_classes
from semantic_cc.decisions import class_indices
from semantic_cc.figures.worst_cases import Case
from semantic_cc.metrics.consistency import ConsistencyMetric
from semantic_cc.metrics.objects import ObjectMetric
from semantic_cc.metrics.precision_recall import CurveMetric
from semantic_cc.types import BUILDING_CLASS, LABEL_VALUES, LEFT_OUT, Pair

if TYPE_CHECKING:
    from torch import Tensor


class Study:
    """Gathers what is said of pair after pair.

    Args:
        worst: how many of the pairs with the most wrong pixels are kept, with their images.
    """

    def __init__(self, worst: int = 0) -> None:
        self._objects, self._curve = ObjectMetric(), CurveMetric()
        self._ours, self._theirs = ConsistencyMetric(), ConsistencyMetric()
        self._count = worst
        self._worst: list[
            tuple[float, int, Case]
        ] = []  # a heap, the least wrong first; the earlier of equals stays
        self._seen = self._masks = 0

    def see(self, pair: Pair, sentence: str | None, probabilities: Tensor | None) -> None:
        """Adds one pair.

        Args:
            pair: with its truth.
            sentence: predicted; None where none was written.
            probabilities: (2 or 3, H, W), the class "none" first; None for a model without masks.
        """
        self._seen += 1
        truth = None if pair.label is None else true_classes(pair.label, pair.name)
        if pair.label is not None and truth is not None:
            for text in pair.sentences:
                self._theirs.update(pair.name, text, pair.label, roads=truth[1])
        if probabilities is None:
            return
        classes = class_indices(probabilities[None])[0]
        mask = np.take(np.array(LABEL_VALUES, np.uint8), classes.numpy())
        if sentence is not None:
            self._ours.update(pair.name, sentence, mask, roads=len(probabilities) == len(LABEL_VALUES))
        if truth is not None:
            known, roads = truth
            self._hold(pair, sentence or "", mask, classes, probabilities[-1], torch.from_numpy(known), roads)

    def _hold(
        self,
        pair: Pair,
        sentence: str,
        mask: np.ndarray,
        classes: Tensor,
        building: Tensor,
        truth: Tensor,
        roads: bool,
    ) -> None:
        """Holds a predicted mask against the true one, both also as class indices (H, W)."""
        self._masks += 1
        known = truth != LEFT_OUT
        ours, theirs = (classes == BUILDING_CLASS) & known, truth == BUILDING_CLASS
        self._objects.update(ours.numpy(), theirs.numpy())
        self._curve.update(building[known].clamp(0, 1), theirs[known])
        if self._count:
            wrong = (classes != truth) & known if roads else ours != theirs
            case = Case(pair, mask, sentence, float(wrong.float().mean()))
            heapq.heappush(self._worst, (case.wrong, -self._seen, case))
            if len(self._worst) > self._count:
                heapq.heappop(self._worst)

    @property
    def worst(self) -> list[Case]:
        """The worst first."""
        return [case for *_, case in sorted(self._worst, key=lambda entry: entry[:2], reverse=True)]

    def report(self) -> dict[str, Any]:
        """``objects`` and ``curve`` of the building class, ``consistency`` and ``reference_consistency``, for JSON.

        Each is None where there is nothing to score: no masks predicted, none in the dataset, no sentences.
        """
        ours, theirs = self._ours.compute(), self._theirs.compute()
        return {
            "objects": self._objects.compute().to_dict() if self._masks else None,
            "curve": self._curve.compute().to_dict() if self._masks else None,
            "consistency": ours.to_dict() if ours.pairs else None,
            "reference_consistency": theirs.to_dict() if theirs.pairs else None,
        }

"""Predicted and true masks as class indices: 0 none, 1 road, 2 building; true ones also `LEFT_OUT`."""

from __future__ import annotations

import torch
from torch import Tensor

from semantic_cc.data.collate import label_to_classes
from semantic_cc.metrics.change import LEFT_OUT
from semantic_cc.types import BUILDING, LABEL_VALUES, MASK_VALUES, NONE, NOT_BUILDING, UNKNOWN, Pair


def class_indices(probabilities: Tensor) -> Tensor:
    """The likeliest class: (b, 2 or 3, H, W) -> (b, H, W) int64 of 0 none, 1 road, 2 building.

    A binary model knows none and building alone.
    """
    classes = probabilities.argmax(dim=1)
    return classes * LABEL_VALUES.index(BUILDING) if probabilities.shape[1] == 2 else classes


def true_classes(pair: Pair) -> tuple[Tensor, bool]:
    """The pair's mask, (H, W) int64, and whether it tells roads from none; where not, neither is a building: 0.

    Pixels of which nothing is known are `LEFT_OUT`.

    Raises:
        DataError: the pair has no mask, or one with other values.
    """
    truth = torch.from_numpy(label_to_classes(pair))
    unsaid, unknown = (truth == MASK_VALUES.index(value) for value in (NOT_BUILDING, UNKNOWN))
    truth = truth.masked_fill(unsaid, LABEL_VALUES.index(NONE)).masked_fill(unknown, LEFT_OUT)
    return truth, not bool(unsaid.any())

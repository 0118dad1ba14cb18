"""Converts the predictions of a runtime to one `ChangeDescription` for each pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from semantic_cc.decisions import class_mask
from semantic_cc.types import BUILDING, ROAD, ChangeDescription, ModelIdentity

if TYPE_CHECKING:
    from semantic_cc.runtime.interface import PairPredictions


def to_descriptions(
    prediction: PairPredictions, model: ModelIdentity, notes: tuple[str, ...] = ()
) -> list[ChangeDescription]:
    """The descriptions of n pairs, without timings.

    Args:
        prediction: the prediction for the n pairs.
        model: the model that produced it.
        notes: notes to add to each description.
    """
    probabilities, classes = None, {}
    if prediction.class_probabilities is not None:
        probabilities = prediction.class_probabilities  # (n, 2 or 3, H, W)
        classes = (
            {ROAD: "road", BUILDING: "building"} if probabilities.shape[1] == 3 else {BUILDING: "building"}
        )
    flag = prediction.change_probability
    heatmaps = prediction.heatmap  # (n, H, W)
    return [
        ChangeDescription(
            sentence=sentence,
            sentences=prediction.sentences[index],
            changed=prediction.changed[index],
            change_probability=None if flag is None else float(flag[index]),
            mask=None if probabilities is None else class_mask(probabilities[index]),
            probability=None if probabilities is None else np.clip(1 - probabilities[index, 0], 0, 1),
            heatmap=heatmaps[index],
            model=model,
            classes=classes,
            notes=notes,
        )
        for index, sentence in enumerate(prediction.sentence)
    ]

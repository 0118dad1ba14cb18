"""The decision rules on probabilities. The threshold stands here and nowhere else.

Every function takes NumPy arrays and torch tensors alike, unless it says otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from semantic_cc.types import BUILDING_CLASS, LABEL_VALUES

if TYPE_CHECKING:
    import numpy as np

CHANGE_THRESHOLD = 0.5
"""Smallest probability, in [0, 1], that counts as changed; a tie is changed."""


def is_changed(probability: Any) -> Any:
    """Whether a change probability means "changed".

    Args:
        probability: a number in [0, 1], or an array or tensor of them.

    Returns:
        A bool, or an array or tensor of bool of the same shape.
    """
    return probability >= CHANGE_THRESHOLD


def class_indices(probabilities: Any) -> Any:
    """The class of each pixel.

    Args:
        probabilities: ``(..., 2, H, W)`` none and building, of which building is taken from `CHANGE_THRESHOLD` on; or
            ``(..., 3, H, W)`` none, road and building, of which the most probable is taken.

    Returns:
        ``(..., H, W)`` int64: 0 none, 1 road, 2 building.
    """
    if probabilities.shape[-3] == 2:
        return is_changed(probabilities[..., 1, :, :]) * BUILDING_CLASS
    none, road, building = (probabilities[..., i, :, :] for i in range(3))
    # argmax, whose ties are the first class's too, takes six times as long
    is_building = (building > none) & (building > road)
    return is_building * BUILDING_CLASS + ((road > none) & ~is_building)


def class_mask(probabilities: np.ndarray) -> np.ndarray:
    """The mask of `class_indices` as label values.

    Args:
        probabilities: ``(..., 2 or 3, H, W)`` array, as in `class_indices`.

    Returns:
        ``(..., H, W)`` uint8 of `LABEL_VALUES`.
    """
    import numpy as np

    return np.take(np.array(LABEL_VALUES, np.uint8), class_indices(probabilities))

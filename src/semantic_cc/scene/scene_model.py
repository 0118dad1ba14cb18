"""What the description of a scene needs of a model. `SemanticCC` has it; the names below mean the same there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from semantic_cc.types import ChangeDescription, ChangeMaps

if TYPE_CHECKING:
    from semantic_cc.checkpoint.model_info import ModelInfo


class SceneModel(Protocol):
    """A model that gives masks and sentences of windows."""

    info: ModelInfo

    @property
    def device(self) -> str:
        """Type of the device that it computes on, for example cpu or cuda."""
        ...

    @property
    def place_batch(self) -> int:
        """Places that it describes at once unless told otherwise."""
        ...

    @property
    def num_classes(self) -> int:
        """Class probabilities of a pixel."""
        ...

    def predict_masks(self, before: np.ndarray, after: np.ndarray) -> ChangeMaps:
        """Masks of n windows, (n, h, w, 3) uint8 RGB."""
        ...

    def describe_batch(
        self, before: np.ndarray, after: np.ndarray, instruction: str | None = None
    ) -> Sequence[ChangeDescription]:
        """Descriptions of n windows, (n, h, w, 3) uint8 RGB."""
        ...

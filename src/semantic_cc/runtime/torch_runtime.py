"""The reference runtime: the torch model itself, on a CPU or a GPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from semantic_cc.model.base import ChangeModel
from semantic_cc.runtime.interface import PairMasks, PairPredictions, Runtime

PLACES = 8
"""Places described at once."""


class TorchRuntime(Runtime):
    """Runs a torch model.

    Args:
        model: any method; it is set to eval mode.
        device: where the images go; the model is there already.
    """

    name = "torch"

    def __init__(self, model: ChangeModel, device: torch.device) -> None:
        self.model = model.eval()
        self.config = model.config
        self.torch_device = device
        self.device = device.type
        self.place_batch = PLACES

    def predict(
        self, before: np.ndarray, after: np.ndarray, instructions: Sequence[str] | None = None
    ) -> PairPredictions:
        """As in `Runtime`."""
        found = self.model.predict(self._tensor(before), self._tensor(after), instructions)
        return PairPredictions(
            class_probabilities=_array(found.class_probabilities),
            change_probability=_array(found.change_probability),
            heatmap=found.heatmap.float().cpu().numpy(),
            changed=found.changed,
            sentences=found.sentences,
            sentence=found.sentence,
            timings=found.timings,
        )

    def predict_class_probabilities(self, before: np.ndarray, after: np.ndarray) -> np.ndarray | None:
        """As in `Runtime`."""
        return _array(self.model.predict_class_probabilities(self._tensor(before), self._tensor(after)))

    def predict_masks(self, before: np.ndarray, after: np.ndarray) -> PairMasks:
        """As in `Runtime`."""
        found = self.model.predict_masks(self._tensor(before), self._tensor(after))
        return PairMasks(
            class_probabilities=_array(found.class_probabilities),
            change_probability=_array(found.change_probability),
            heatmap=found.heatmap.float().cpu().numpy(),
        )

    def _tensor(self, images: np.ndarray) -> torch.Tensor:
        """(n, H, W, 3) uint8 -> (n, 3, H, W) float32 in [0, 1], in the memory layout of the array."""
        pixels = torch.from_numpy(images).to(self.torch_device)
        return pixels.permute(0, 3, 1, 2).float() / 255


def _array(value: torch.Tensor | None) -> np.ndarray | None:
    return None if value is None else value.float().cpu().numpy()

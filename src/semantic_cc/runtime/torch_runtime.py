"""The reference runtime: the torch model itself, on a CPU or a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.utils import convert_conv2d_weight_memory_format

from semantic_cc.compute_device import check_compiler
from semantic_cc.config import ModelConfig
from semantic_cc.errors import InputError
from semantic_cc.model.answers import beam_width
from semantic_cc.model.base import ChangeModel
from semantic_cc.model.generation import StaticCaches
from semantic_cc.runtime.interface import PairMasks, PairPredictions, Runtime

PLACES, GPU_PLACES = 8, 64
"""Places of a scene described at once, on a CPU and on a GPU; on a GPU, plain pairs of the model's own size too."""


class TorchRuntime(Runtime):
    """Runs a torch model.

    On a GPU, matrix products and convolutions compute in bfloat16 (autocast, as in training), unless the weights of the
    language model are float32; convolutions keep their weights with channels last.

    Args:
        model: any method; it is set to eval mode.
        device: where the images go; the model is there already.
        compiled: whether greedy search runs a compiled step, with static key-value caches; see `check_compiled`.
    """

    name = "torch"

    def __init__(self, model: ChangeModel, device: torch.device, compiled: bool = False) -> None:
        self.model = model.eval()
        self.config = model.config
        self.torch_device = device
        self.device = device.type
        on_gpu = device.type == "cuda"
        self.place_batch = GPU_PLACES if on_gpu else PLACES
        self.autocast = on_gpu and (model.llm is None or model.llm.dtype != torch.float32)
        if compiled:
            decoder: Any = model.caption_decoder
            decoder.static_caches = StaticCaches()
        if on_gpu:
            convert_conv2d_weight_memory_format(self.model, torch.channels_last)

    def pair_batch(self, height: int, width: int) -> int:
        """As in `Runtime`; on a GPU, rounding differs with the number of pairs."""
        if self.device != "cuda":
            return 1
        own = self.config.encoder.image_size**2
        return max(1, min(GPU_PLACES, GPU_PLACES * own // (height * width)))

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device, torch.bfloat16, enabled=self.autocast)

    def predict(
        self, before: np.ndarray, after: np.ndarray, instructions: Sequence[str] | None = None
    ) -> PairPredictions:
        """As in `Runtime`."""
        with self._precision():
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
        with self._precision():
            return _array(self.model.predict_class_probabilities(self._tensor(before), self._tensor(after)))

    def predict_masks(self, before: np.ndarray, after: np.ndarray) -> PairMasks:
        """As in `Runtime`."""
        with self._precision():
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


def check_compiled(config: ModelConfig, device: torch.device) -> None:
    """Checks that greedy search can run a compiled step; compiles a small function.

    Raises:
        InputError: the device is no GPU, the model has no greedy search with a language model, or torch cannot compile.
    """
    if device.type != "cuda":
        raise InputError(f"compiled decoding needs a GPU, and the model is on {device.type}; leave it out")
    if config.method != "semantic-cc" or beam_width(config) > 1:
        raise InputError(
            "compiled decoding needs greedy search (model.decoding greedy or consensus), which this model does not "
            "use; leave it out"
        )
    check_compiler(device)

"""Interface of all methods: Semantic-CC and the baselines (`semantic_cc.baselines`).

Training, validation, checkpoints, `evaluate` and `describe` use only this interface. Legend: b pairs, H, W pixels,
K classes.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from semantic_cc.config import ModelConfig
from semantic_cc.model.encoder import BitemporalEncoder, Features, pad_to_patches


@dataclass(frozen=True)
class ModelOutput:
    """Outputs of a training pass.

    Attributes:
        change_logits: (b, K, H, W), None if the mask was not decoded.
        caption_logits: (k, V) for the k answer tokens of the batch, None without sentences.
        caption_targets: (k,) int64 token ids, None without sentences.
        flag_logits: (b,), None without sentences or without the flag head.
    """

    change_logits: Tensor | None
    caption_logits: Tensor | None = None
    caption_targets: Tensor | None = None
    flag_logits: Tensor | None = None


@dataclass(frozen=True)
class MaskPrediction:
    """Result of `ChangeModel.predict_masks`; attributes as in `Prediction`."""

    class_probabilities: Tensor | None
    change_probability: Tensor | None
    heatmap: Tensor


@dataclass(frozen=True)
class Prediction:
    """Result of inference.

    Attributes:
        class_probabilities: (b, 2 or 3, H, W) float32, class "none" first; None with the change task off.
        change_probability: (b,) float32 from the flag head, None without it.
        changed: b change flags.
        sentences: b dicts instruction -> sentence; empty for pairs that the flag head calls unchanged.
        sentence: b final sentences.
        heatmap: (b, H, W) float32 in [0, 1]: |F1 - F2| / (|F1| + |F2|) of the captioning tokens after the neck.
        timings: seconds per step, for the whole batch.
    """

    class_probabilities: Tensor | None
    change_probability: Tensor | None
    changed: list[bool]
    sentences: list[dict[str, str]]
    sentence: list[str]
    heatmap: Tensor
    timings: dict[str, float]


class ChangeModel(nn.Module, ABC):
    """Base class of all methods. Subclasses implement `forward`, `predict` and `predict_masks`.

    Args:
        config: model config.
        encoder: two images -> `Features`, shared by all methods with a SAM encoder; None for the others.
        neck: module between encoder and decoders; None = no neck.
        change_decoder: module that outputs the mask; None if the method predicts no mask.
        caption_decoder: module that outputs the sentence, with `answer_ids`; None if the method writes no sentence.
            A decoder with a language model has the attributes `llm` and `prompter`.
    """

    encoder: Any
    neck: Any
    change_decoder: Any
    caption_decoder: Any

    def __init__(
        self,
        config: ModelConfig,
        encoder: BitemporalEncoder | None,
        neck: nn.Module | None = None,
        change_decoder: nn.Module | None = None,
        caption_decoder: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.encoder = encoder
        self.neck = neck
        self.change_decoder = change_decoder
        self.caption_decoder = caption_decoder
        self.foundation: dict[str, str] = {}
        """Part -> digest of its foundation weights; set by `build_model`."""

    @property
    def llm(self) -> PreTrainedModel | None:
        """The language model, None for a method without one."""
        return getattr(self.caption_decoder, "llm", None)

    def encode(self, before: Tensor, after: Tensor) -> Features:
        """Images (b, 3, H, W) in [0, 1] -> encoder features."""
        patch = self.config.encoder.patch
        padded = pad_to_patches(before, patch), pad_to_patches(after, patch)
        return self.encoder(*padded, change=self.config.change_task)

    @abstractmethod
    def forward(
        self,
        before: Tensor,
        after: Tensor,
        *,
        sentences: Sequence[Sequence[str]] | None = None,
        instructions: list[str] | None = None,
        change: bool = True,
        features: Features | None = None,
    ) -> ModelOutput:
        """One training pass.

        Args:
            before, after: (b, 3, H, W) float in [0, 1], any H, W of at least 16.
            sentences: reference sentences of each pair; an empty list excludes the pair from caption training.
                None = the caption decoder does not run.
            instructions: one per pair, for methods that use instructions.
            change: whether to decode the mask.
            features: precomputed output of `encode` for these images.
        """

    @abstractmethod
    def predict(self, before: Tensor, after: Tensor, instructions: Sequence[str] | None = None) -> Prediction:
        """Mask, flag and sentences of a batch; the model should be in eval mode.

        Args:
            before, after: (b, 3, H, W) float in [0, 1].
            instructions: prompts for the LLM; None = the method's default.

        Raises:
            InputError: instructions are given to a method that does not use them.
        """

    @abstractmethod
    def predict_masks(self, before: Tensor, after: Tensor) -> MaskPrediction:
        """Mask and flag of a batch, equal to those of `predict`, without sentences.

        Args:
            before, after: (b, 3, H, W) float in [0, 1].
        """

    def predict_class_probabilities(self, before: Tensor, after: Tensor) -> Tensor | None:
        """Class probabilities (b, 2 or 3, H, W) of a batch, equal to those of `predict`; None without masks.

        Methods override it to leave out what only the flag and the heatmap need.
        """
        return self.predict_masks(before, after).class_probabilities

    def timed_parts(self) -> dict[str, list[nn.Module | None]]:
        """Name in the timing report -> the modules timed under it."""
        parts: dict[str, list[nn.Module | None]] = {
            name.replace("_", " "): [part] for name, part in self.named_children()
        }
        if self.llm is not None:
            parts["LLM"] = [self.llm.get_decoder(), self.llm.get_output_embeddings()]
        return parts

    def layers(self) -> Iterable[nn.Module]:
        """Layers for gradient checkpointing: those of the encoder and the language model."""
        yield from self.encoder.vision.layers
        if self.llm is not None:
            yield from self.llm.get_decoder().layers


def device_time(device: torch.device) -> float:
    """Seconds of the performance counter, once all work queued on `device` is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def class_probabilities(logits: Tensor) -> Tensor:
    """Logits (b, K, H, W) -> probabilities (b, 2 or 3, H, W), class "none" first."""
    if logits.shape[1] > 1:
        return logits.softmax(dim=1)
    change = torch.sigmoid(logits)
    return torch.cat([1 - change, change], dim=1)


def difference_map(tokens: Tensor, size: tuple[int, int], patch: int) -> Tensor:
    """Relative magnitude of the difference of the dates (paper Fig. 8).

    Args:
        tokens: (2b, h, w, c), before first.
        size: H, W of the result in pixels.
        patch: patch size in pixels.

    Returns:
        (b, H, W) in [0, 1].
    """
    first, second = tokens.float().chunk(2)
    total = first.norm(dim=-1) + second.norm(dim=-1)
    share = (first - second).norm(dim=-1) / total.clamp_min(1e-12)  # (b, h, w)
    height, width = share.shape[1] * patch, share.shape[2] * patch
    full = F.interpolate(share[:, None], (height, width), mode="bilinear", align_corners=False)[:, 0]
    return full[:, : size[0], : size[1]].clamp(0, 1)

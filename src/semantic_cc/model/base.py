"""What every method offers: Semantic-CC and the methods it is compared with (`semantic_cc.baselines`).

Training, validation, checkpoints, `evaluate` and `describe` know a model by this alone. Legend: b pairs, H, W pixels,
K classes.
"""

from __future__ import annotations

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
    """What training reads.

    Attributes:
        change_logits: (b, K, H, W), None where the mask was not decoded.
        caption_logits: (k, V) over the k answer tokens of the batch, None without sentences.
        caption_targets: (k,) int64 token ids, None without sentences.
        flag_logits: (b,), None without sentences or without the flag head.
    """

    change_logits: Tensor | None
    caption_logits: Tensor | None = None
    caption_targets: Tensor | None = None
    flag_logits: Tensor | None = None


@dataclass(frozen=True)
class MaskPrediction:
    """What `ChangeModel.predict_masks` finds; attributes as a `Prediction`'s of these names."""

    class_probabilities: Tensor | None
    change_probability: Tensor | None
    heatmap: Tensor


@dataclass(frozen=True)
class Prediction:
    """What inference reads.

    Attributes:
        class_probabilities: (b, 2 or 3, H, W) float32, the class "none" first; None with the change task off.
        change_probability: (b,) float32 of the flag head, None without it.
        changed: b change flags.
        sentences: b dicts instruction -> sentence; empty where the flag closed the gate.
        sentence: b sentences.
        heatmap: (b, H, W) float32 in [0, 1]: |F1 - F2| / (|F1| + |F2|) of the captioning tokens after the neck.
        timings: seconds by step, for the whole batch.
    """

    class_probabilities: Tensor | None
    change_probability: Tensor | None
    changed: list[bool]
    sentences: list[dict[str, str]]
    sentence: list[str]
    heatmap: Tensor
    timings: dict[str, float]


class ChangeModel(nn.Module, ABC):
    """A method as the rest of the package knows it; `forward` and `predict` are its own.

    Args:
        config: what it was built from.
        encoder: two images -> tiers of tokens; the same for every method that reads SAM, None for the others.
        neck: what lies between encoder and decoders; None where nothing does.
        change_decoder: what ends in a mask; None where the method gives none.
        caption_decoder: what ends in a sentence, with `answer_ids`; None where the method writes none. Its language
            model, if it has one, is its attribute `llm` beside `prompter`.
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
        """Part -> digest of the foundation weights that it started from; `build_model` fills it."""

    @property
    def llm(self) -> PreTrainedModel | None:
        """The language model that writes the sentences, None for a method without one."""
        return getattr(self.caption_decoder, "llm", None)

    def encode(self, before: Tensor, after: Tensor) -> Features:
        """Images (b, 3, H, W) in [0, 1] -> the encoder's tiers that this method reads."""
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
            sentences: true sentences of each pair, none for pairs that no sentence is learned from; None = the
                caption decoder does not run.
            instructions: one for each pair, for methods that read them.
            change: whether the mask is decoded.
            features: what `encode` gives for these images, where it is known already.
        """

    @abstractmethod
    def predict(self, before: Tensor, after: Tensor, instructions: Sequence[str] | None = None) -> Prediction:
        """Mask, flag and sentences of a batch; the model should be in eval mode.

        Args:
            before, after: (b, 3, H, W) float in [0, 1].
            instructions: what to ask; None = what the method asks of itself.

        Raises:
            InputError: there are instructions, and the method reads none.
        """

    @abstractmethod
    def predict_masks(self, before: Tensor, after: Tensor) -> MaskPrediction:
        """Mask and flag of a batch as `predict` gives them, and no sentence.

        Args:
            before, after: (b, 3, H, W) float in [0, 1].
        """

    def timed_parts(self) -> dict[str, list[nn.Module | None]]:
        """Name -> the modules whose time is booked under it."""
        parts: dict[str, list[nn.Module | None]] = {
            name.replace("_", " "): [part] for name, part in self.named_children()
        }
        if self.llm is not None:
            parts["LLM"] = [self.llm.get_decoder(), self.llm.get_output_embeddings()]
        return parts

    def layers(self) -> Iterable[nn.Module]:
        """The layers that gradient checkpointing runs again: those of the encoder and of the language model."""
        yield from self.encoder.vision.layers
        if self.llm is not None:
            yield from self.llm.get_decoder().layers


def class_probabilities(logits: Tensor) -> Tensor:
    """(b, K, H, W) logits -> (b, 2 or 3, H, W) probabilities, the class "none" first."""
    if logits.shape[1] > 1:
        return logits.softmax(dim=1)
    change = torch.sigmoid(logits)
    return torch.cat([1 - change, change], dim=1)


def difference_map(tokens: Tensor, size: tuple[int, int], patch: int) -> Tensor:
    """Relative size of the dates' difference (paper Fig. 8).

    Args:
        tokens: (2b, h, w, c), before first.
        size: H, W of the answer, in pixels.
        patch: pixels a side of a token.

    Returns:
        (b, H, W) in [0, 1].
    """
    first, second = tokens.float().chunk(2)
    total = first.norm(dim=-1) + second.norm(dim=-1)
    share = (first - second).norm(dim=-1) / total.clamp_min(1e-12)  # (b, h, w)
    height, width = share.shape[1] * patch, share.shape[2] * patch
    full = F.interpolate(share[:, None], (height, width), mode="bilinear", align_corners=False)[:, 0]
    return full[:, : size[0], : size[1]].clamp(0, 1)

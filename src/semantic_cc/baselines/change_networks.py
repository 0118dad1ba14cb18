"""Base class and shared layers of the change detection baselines.

Each network has an encoder (images to feature levels) and a decoder (levels to logits). `model.baseline.encoder shared`
replaces the encoder with the shared one, so that all methods start from the same pretrained weights.

Legend: b pairs, H, W pixels, K classes, i level at stride s_i with c_i channels, p pixels a side of a token, e its
channels.

GroupNorm with 16 channels a group replaces BatchNorm: a step may contain a single pair, the number of devices and
`train.accumulate` must not change the result, and the training state does not store running means.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from semantic_cc.model.change_decoder import STRIDES, GroupNorm, Norm, PyramidLevel
from semantic_cc.model.encoder import PIXEL_MEAN, PIXEL_STD, pad_to_patches

_COARSEST = 64  # FC-Siam-diff pools the level at stride 32 once more


class ChangeNetwork(nn.Module, ABC):
    """Images of any size -> change logits of that size. Subclasses implement `encode`, `decode` and `layers`.

    Args:
        widths: c_i of the levels, the finest first.
        multiple: the coarsest stride. Images are padded to multiples of it and the logits are cropped.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, widths: Sequence[int], multiple: int) -> None:
        super().__init__()
        self.widths, self.multiple = tuple(widths), multiple
        self.register_buffer("mean", torch.tensor(PIXEL_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(PIXEL_STD).view(3, 1, 1), persistent=False)

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """(b, 3, H, W) twice, in [0, 1], any H, W -> (b, K, H, W)."""
        height, width = before.shape[-2:]
        images = pad_to_patches(torch.cat([before, after]), self.multiple)
        levels = self.encode((images - self.mean) / self.std)
        return self.decode(levels, images.shape[-2:])[..., :height, :width]

    @abstractmethod
    def encode(self, images: Tensor) -> list[Tensor]:
        """(2b, 3, H, W) standardised, before first, sides multiples of `multiple` -> levels (2b, c_i, h_i, w_i)."""

    @abstractmethod
    def decode(self, levels: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """Levels whose strides double, and the size (H, W) -> (b, K, H, W)."""

    @abstractmethod
    def layers(self) -> Iterable[nn.Module]:
        """The layers to which gradient checkpointing applies."""


class OnSharedEncoder(nn.Module):
    """A network's decoder on the tokens of the shared encoder.

    SimpleFPN maps each date's tokens to strides 4 to 32, as in Semantic-CC's and TTP's decoders.

    Args:
        network: built without its own encoder, for four levels.
        token_width: e.
        patch: p.
        norm: norm of the SimpleFPN.
    """

    def __init__(self, network: ChangeNetwork, token_width: int, patch: int, norm: Norm) -> None:
        super().__init__()
        self.network, self.patch = network, patch
        self.levels = nn.ModuleList(
            PyramidLevel(token_width, stride, width, patch, norm)
            for stride, width in zip(STRIDES, network.widths, strict=True)
        )

    def forward(self, tokens: Tensor, before: Tensor, after: Tensor) -> Tensor:
        """Tokens (2b, h, w, e), before first, and images (b, 3, H, W), used only for their size -> (b, K, H, W)."""
        x = pad_to_patches(tokens.permute(0, 3, 1, 2), _COARSEST // self.patch)
        size = self.patch * x.shape[2], self.patch * x.shape[3]
        logits = self.network.decode([level(x) for level in self.levels], size)
        return logits[..., : before.shape[-2], : before.shape[-1]]


def convolutions(widths: Sequence[int], dropout: float = 0.0) -> nn.Sequential:
    """3x3 convolutions from each width to the next, each followed by norm, ReLU and channel dropout."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Conv2d(before, after, 3, padding=1), GroupNorm(after), nn.ReLU()]
        layers += [nn.Dropout2d(dropout)] if dropout else []
    return nn.Sequential(*layers)


def resize(x: Tensor, size: Sequence[int]) -> Tensor:
    """(b, c, h, w) -> (b, c, *size), bilinear; returns `x` if the size is the same."""
    if x.shape[-2:] == tuple(size):
        return x
    return F.interpolate(x, tuple(size), mode="bilinear", align_corners=False)

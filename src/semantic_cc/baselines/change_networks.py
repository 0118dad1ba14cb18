"""What the compared change-detection networks share.

Each has an encoder of its own, images to levels, and a decoder, levels to logits; `model.baseline.encoder shared` puts
the decoder on the encoder that all methods share, so that no method starts with other knowledge.

Legend: b pairs, H, W pixels, K classes, i level at stride s_i with c_i channels, p pixels a side of a token, e its
channels.

None of them has BatchNorm: a step may hold one pair, devices and `train.accumulate` must not change what is learned,
and the training state holds no running means. GroupNorm with 16 channels a group stands for it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from semantic_cc.model.change_decoder import STRIDES, PyramidLevel
from semantic_cc.model.encoder import PIXEL_MEAN, PIXEL_STD, pad_to_patches

_COARSEST = 64  # FC-Siam-diff pools the level at stride 32 once more


class ChangeNetwork(nn.Module, ABC):
    """Images of any size -> change logits of that size; a method gives `encode`, `decode` and `layers`.

    Args:
        widths: c_i of the levels, the finest first.
        multiple: the method's coarsest stride; images are padded to multiples of it, and the answer is cut.
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
        """(2b, 3, H, W) standardised, before first, sides multiples of `multiple` -> the levels (2b, c_i, h_i, w_i)."""

    @abstractmethod
    def decode(self, levels: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """The levels, of any strides that double, and H, W -> (b, K, H, W)."""

    @abstractmethod
    def layers(self) -> Iterable[nn.Module]:
        """The layers that gradient checkpointing runs again."""


class OnSharedEncoder(nn.Module):
    """A network's decoder on the tokens of the encoder that all methods share.

    SimpleFPN brings each date's tokens to strides 4 to 32, as in Semantic-CC's and TTP's decoders.

    Args:
        network: built without an encoder of its own, for four levels.
        token_width: e.
        patch: p.
    """

    def __init__(self, network: ChangeNetwork, token_width: int, patch: int) -> None:
        super().__init__()
        self.network, self.patch = network, patch
        self.levels = nn.ModuleList(
            PyramidLevel(token_width, stride, width, patch)
            for stride, width in zip(STRIDES, network.widths, strict=True)
        )

    def forward(self, tokens: Tensor, before: Tensor, after: Tensor) -> Tensor:
        """Tokens (2b, h, w, e), before first; of the pictures (b, 3, H, W) the size -> (b, K, H, W)."""
        x = pad_to_patches(tokens.permute(0, 3, 1, 2), _COARSEST // self.patch)
        size = self.patch * x.shape[2], self.patch * x.shape[3]
        logits = self.network.decode([level(x) for level in self.levels], size)
        return logits[..., : before.shape[-2], : before.shape[-1]]


def norm(channels: int) -> nn.GroupNorm:
    """GroupNorm with 16 channels a group, or fewer where 16 does not divide them."""
    return nn.GroupNorm(channels // math.gcd(channels, 16), channels)


def convolutions(widths: Sequence[int], dropout: float = 0.0) -> nn.Sequential:
    """3x3 convolutions from each width to the next, each with norm, ReLU and dropout of whole channels."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Conv2d(before, after, 3, padding=1), norm(after), nn.ReLU()]
        layers += [nn.Dropout2d(dropout)] if dropout else []
    return nn.Sequential(*layers)


def resize(x: Tensor, size: Sequence[int]) -> Tensor:
    """(b, c, h, w) -> (b, c, *size), bilinear; itself where that is its size."""
    if x.shape[-2:] == tuple(size):
        return x
    return F.interpolate(x, tuple(size), mode="bilinear", align_corners=False)

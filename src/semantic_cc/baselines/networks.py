"""What the compared change-detection networks share.

Legend: b pairs, H, W pixels, K classes, c channels.

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

from semantic_cc.model.encoder import PIXEL_MEAN, PIXEL_STD, pad_to_patches


class ChangeNetwork(nn.Module, ABC):
    """Images of any size -> change logits of that size; a method gives `logits` and `layers`.

    Args:
        multiple: the method's coarsest stride; images are padded to multiples of it, and the answer is cut.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, multiple: int) -> None:
        super().__init__()
        self.multiple = multiple
        self.register_buffer("mean", torch.tensor(PIXEL_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(PIXEL_STD).view(3, 1, 1), persistent=False)

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """(b, 3, H, W) twice, in [0, 1], any H, W -> (b, K, H, W)."""
        height, width = before.shape[-2:]
        images = pad_to_patches(torch.cat([before, after]), self.multiple)
        return self.logits((images - self.mean) / self.std)[..., :height, :width]

    @abstractmethod
    def logits(self, images: Tensor) -> Tensor:
        """(2b, 3, H, W) standardised, before first, sides multiples of `multiple` -> (b, K, H, W)."""

    @abstractmethod
    def layers(self) -> Iterable[nn.Module]:
        """The layers that gradient checkpointing runs again."""


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
    """(b, c, h, w) -> (b, c, *size), bilinear."""
    return F.interpolate(x, tuple(size), mode="bilinear", align_corners=False)

"""Bi-temporal SAM encoder (paper III-B): SAM's ViT with a BCSF after its global layers, in two tiers.

Legend: b pairs, H, W pixels, h = H/p, w = W/p tokens of p pixels (SAM's 16), c encoder width, e = width of SAM's neck.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.models.sam.modeling_sam import SamVisionEncoder

from semantic_cc.config import EncoderConfig

PIXEL_MEAN = (0.485, 0.456, 0.406)  # SAM's pixel mean and deviation (123.675, ...) for inputs in [0, 1]
PIXEL_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Features:
    """The two tiers, dates on the batch axis, before first.

    Attributes:
        caption: (2b, h, w, c), the last layer's tokens.
        change: (2b, h, w, e), after SAM's own neck; None where change detection is off.
        trunk: (2b, f, H/s, W/s) for the strides s of `hybrid.LEVELS`, a hybrid's convolutional features; empty
            where there are none, or change detection is off.
    """

    caption: Tensor
    change: Tensor | None
    trunk: tuple[Tensor, ...] = ()


class BitemporalEncoder(nn.Module):
    """SAM's ViT on both dates at once, with filters between some of its layers.

    Args:
        vision: transformers' SAM vision encoder, with or without LoRA.
        filters: layer index -> the BCSF that follows it; empty = SAM untouched.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, vision: SamVisionEncoder, filters: dict[int, nn.Module]) -> None:
        super().__init__()
        self.vision = vision
        self.filters = nn.ModuleDict({str(layer): module for layer, module in filters.items()})
        self.register_buffer("mean", torch.tensor(PIXEL_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(PIXEL_STD).view(3, 1, 1), persistent=False)

    def forward(self, before: Tensor, after: Tensor, change: bool = True) -> Features:
        """Encodes `(b, 3, H, W)` images with values in [0, 1]; H and W are multiples of the patch."""
        pixels = (torch.cat([before, after]) - self.mean) / self.std  # (2b, 3, H, W)
        embedded = self.vision.patch_embed.projection(pixels)
        x, trunk = embedded if isinstance(embedded, tuple) else (embedded, ())
        x = x.permute(0, 2, 3, 1)  # (2b, h, w, c)
        x = x + resample_positions(self.vision.pos_embed, x.shape[1], x.shape[2])
        for index, layer in enumerate(self.vision.layers):
            x = layer(x)
            if str(index) in self.filters:
                x = self.filters[str(index)](x)
        tier = self.vision.neck(x).permute(0, 2, 3, 1) if change else None  # (2b, h, w, e)
        return Features(x, tier, trunk if change else ())


def filtered_layers(config: EncoderConfig) -> list[int]:
    """The layers that a filter between the dates follows: those with global attention, or all others."""
    after_global = config.bcsf_after == "global"
    return [layer for layer in range(config.depth) if (layer in config.global_layers) == after_global]


def resample_positions(table: Tensor, h: int, w: int) -> Tensor:
    """Position table (1, h0, w0, c) -> (1, h, w, c), bicubic; itself where the size is the same."""
    if table.shape[1:3] == (h, w):
        return table
    grid = F.interpolate(table.float().permute(0, 3, 1, 2), (h, w), mode="bicubic", align_corners=False)
    return grid.permute(0, 2, 3, 1).to(table.dtype)


def pad_to_patches(image: Tensor, patch: int) -> Tensor:
    """(b, 3, H, W) padded at the bottom and right to multiples of `patch`, by repeating the border."""
    height, width = image.shape[-2:]
    return F.pad(image, (0, -width % patch, 0, -height % patch), mode="replicate")

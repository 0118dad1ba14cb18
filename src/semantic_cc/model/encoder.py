"""Bi-temporal SAM encoder (paper III-B): SAM's ViT with a BCSF after its global attention layers, two outputs.

Legend: b pairs, H, W pixels, p patch size (SAM: 16), h = H/p, w = W/p, c encoder width, e width of SAM's neck.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.models.sam.modeling_sam import SamVisionEncoder

from semantic_cc.config import EncoderConfig

PIXEL_MEAN = (0.485, 0.456, 0.406)  # SAM's pixel mean and std (123.675, ...) scaled to [0, 1]
PIXEL_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Features:
    """Encoder outputs. The dates are stacked on the batch axis, before first.

    Attributes:
        caption: (2b, h, w, c), tokens of the last layer.
        change: (2b, h, w, e), tokens after SAM's neck; None if change detection is off.
        trunk: (2b, f, H/s, W/s) for each stride s of `hybrid.LEVELS`, the convolutional features of a hybrid
            encoder; empty for other encoders or if change detection is off.
    """

    caption: Tensor
    change: Tensor | None
    trunk: tuple[Tensor, ...] = ()


class BitemporalEncoder(nn.Module):
    """SAM's ViT over both dates in one batch, with a BCSF after selected layers.

    Args:
        vision: transformers' SAM vision encoder, with or without LoRA.
        filters: layer index -> BCSF after that layer; empty = plain SAM.
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
        """Encodes images (b, 3, H, W) in [0, 1]; H and W are multiples of the patch size."""
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
    """Indices of the layers followed by a BCSF: those with global attention, or all others."""
    after_global = config.bcsf_after == "global"
    return [layer for layer in range(config.depth) if (layer in config.global_layers) == after_global]


def resample_positions(table: Tensor, h: int, w: int) -> Tensor:
    """Resizes a position table (1, h0, w0, c) to (1, h, w, c) with bicubic interpolation."""
    if table.shape[1:3] == (h, w):
        return table
    grid = F.interpolate(table.float().permute(0, 3, 1, 2), (h, w), mode="bicubic", align_corners=False)
    return grid.permute(0, 2, 3, 1).to(table.dtype)


def pad_to_patches(image: Tensor, patch: int) -> Tensor:
    """Pads (b, 3, H, W) at the bottom and right to multiples of `patch`, with replicated borders."""
    height, width = image.shape[-2:]
    return F.pad(image, (0, -width % patch, 0, -height % patch), mode="replicate")

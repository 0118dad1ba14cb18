"""IDET: Transformers that refine the difference of the dates at five scales, guided by the features of both dates.

Paper: Q. Guo, R. Wang, R. Huang, S. Sun, Y. Zhang, "IDET: Iterative difference-enhanced Transformers for high-quality
change detection", 2022 (arXiv 2207.09240).

    features    a U-Net on each date: VGG-16 down (64, 128, 256, 512, 512 channels) and as many levels up
    refinement  at each scale T iterations with separate weights (T = 2 as released):
                    X_k <- Transformer(X_k)                        shared weights for both dates
                    G    = MLP(LN(|X_1 - X_2|))                    guidance
                    D   <- D + Attention(LN(G)) + MLP(LN(G))       the third Transformer
    fusion      coarse to fine: concatenate a scale's D with the output of the coarser scale, upsample by 2, convolve;
                predict a mask at each scale, and combine the masks with a 3x3 convolution

The equations follow the released code. Its Transformer layer is based on SegFormer's, which is used here, from
`transformers`: keys and values are reduced by 16, 8, 4, 2, 1 a side, and the MLP, with twice the width inside, contains
a 3x3 depth-wise convolution.

Differences from the original:
- The U-Net uses GroupNorm (why: `change_networks`); its upper half has no norm in the released code.
- D starts as |X_1 - X_2| at its own scale; the released code computes the initial D with another small pyramid.
- One loss on the last mask, as for all methods; the original also supervises the masks and differences of all scales.
- Random initialisation: the original starts from VGG-16 with BatchNorm, trained on ImageNet.
- No drop path in training; the released code drops up to a tenth of the layers.

Legend: b pairs, H, W pixels, K classes, i scale from 0, at stride s_i = 2^(i+1), with c_i channels, h, w its sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import SegformerConfig
from transformers.models.segformer.modeling_segformer import (
    SegformerAttention,
    SegformerLayer,
    SegformerMixMLP,
)

from semantic_cc.baselines.change_networks import ChangeNetwork, convolutions, resize
from semantic_cc.baselines.mask_model import MaskModel, mask_model
from semantic_cc.config import ModelConfig
from semantic_cc.model.encoder import BitemporalEncoder

REDUCTIONS = (16, 8, 4, 2, 1)
"""Reduction of keys and values, a side, at each scale."""
_MLP = 2  # hidden width / width
_FINEST = 8  # the finest scale has many tokens, so its features are reduced to this many channels


class IDET(ChangeNetwork):
    """The IDET network.

    Args:
        classes: K; 1 = one logit of change.
        widths: c_i: five, or four if the levels come from another encoder.
        depths: convolutions of each U-Net level on the way down.
        heads: attention heads of each of the five scales.
        iterations: T.
        own: whether the network has its own U-Net; if not, the levels come from another encoder, at the four coarser
            strides.
    """

    def __init__(
        self,
        classes: int,
        widths: Sequence[int] = (64, 128, 256, 512, 512),
        depths: Sequence[int] = (2, 2, 3, 3, 3),
        heads: Sequence[int] = (1, 1, 2, 4, 8),
        iterations: int = 2,
        own: bool = True,
    ) -> None:
        super().__init__(widths, multiple=2 ** len(widths))
        self.features = UNet(widths, depths) if own else None
        refined = [min(_FINEST, widths[0]) if own else widths[0], *widths[1:]]
        self.narrow = nn.Conv2d(widths[0], refined[0], 1) if own else nn.Identity()
        coarsest = len(heads) - len(widths)
        self.refine = nn.ModuleList(
            Refinement(width, head, reduction, iterations)
            for width, head, reduction in zip(refined, heads[coarsest:], REDUCTIONS[coarsest:], strict=True)
        )
        fused = [refined[0], *widths[:-1]]  # channels that a scale passes to the next finer one
        coarser = [*fused[1:], 0]
        self.fuse = nn.ModuleList(
            convolutions([width + more, out, out])
            for width, more, out in zip(refined, coarser, fused, strict=True)
        )
        self.masks = nn.ModuleList(nn.Conv2d(width, classes, 3, padding=1) for width in fused)
        self.classify = nn.Conv2d(len(widths) * classes, classes, 3, padding=1)

    def encode(self, images: Tensor) -> list[Tensor]:
        """(2b, 3, H, W) -> (2b, c_i, H / s_i, W / s_i)."""
        assert self.features is not None  # called only if the network has its own encoder
        scales: list[Tensor] = self.features(images)
        return scales

    def decode(self, levels: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """(2b, c_i, h_i, w_i) -> (b, K, *size)."""
        finest, *others = levels
        scales = [self.narrow(finest), *others]
        differences = [refine(x) for refine, x in zip(self.refine, scales, strict=True)]
        masks = []
        fused: Tensor | None = None
        for x, fuse, mask in reversed(list(zip(differences, self.fuse, self.masks, strict=True))):
            x = x if fused is None else torch.cat([x, resize(fused, x.shape[-2:])], dim=1)
            fused = fuse(x)
            masks.append(resize(mask(fused), size))  # (b, K, H, W)
        return self.classify(torch.cat(masks, dim=1))

    def layers(self) -> Iterable[nn.Module]:
        """The U-Net's levels, the iterations and the convolutions of the fusion."""
        steps = [module for module in self.refine.modules() if isinstance(module, DifferenceStep)]
        levels = [*self.features.down, *self.features.up] if self.features is not None else []
        return [*levels, *steps, *self.fuse]


class UNet(nn.Module):
    """VGG's convolutions with pooling down to stride 32, and as many levels up to stride 2.

    Args:
        widths: c_i. depths: convolutions of each level on the way down; the way up has two per level.
    """

    def __init__(self, widths: Sequence[int], depths: Sequence[int]) -> None:
        super().__init__()
        finer = [3, *widths[:-1]]
        coarser = [*widths[1:], 0]
        self.down = nn.ModuleList(
            convolutions([before, *[width] * depth])
            for before, width, depth in zip(finer, widths, depths, strict=True)
        )
        self.up = nn.ModuleList(
            convolutions([width + more, width, width]) for width, more in zip(widths, coarser, strict=True)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """(2b, 3, H, W) -> (2b, c_i, H / s_i, W / s_i) of each scale, the finest first."""
        x, levels = images, []
        for stage in self.down:
            x = F.max_pool2d(stage(x), 2)
            levels.append(x)
        scales: list[Tensor] = []
        for level, up in reversed(list(zip(levels, self.up, strict=True))):
            x = level if not scales else torch.cat([resize(scales[0], level.shape[-2:]), level], dim=1)
            scales.insert(0, up(x))
        return scales


class Refinement(nn.Module):
    """The T iterations at one scale.

    Args:
        width: c_i. heads: attention heads. reduction: of keys and values, a side. iterations: T.
    """

    def __init__(self, width: int, heads: int, reduction: int, iterations: int) -> None:
        super().__init__()
        self.steps = nn.ModuleList(DifferenceStep(width, heads, reduction) for _ in range(iterations))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """(2b, c_i, h, w), before first -> the refined difference (b, c_i, h, w)."""
        h, w = x.shape[-2:]
        dates = x.flatten(2).transpose(1, 2)  # (2b, h w, c_i)
        first, second = dates.chunk(2)
        difference = (first - second).abs()
        for step in self.steps:
            dates, difference = step(dates, difference, h, w)
        return self.norm(difference).transpose(1, 2).unflatten(2, (h, w))


class DifferenceStep(nn.Module):
    """One iteration: updates both dates, then their difference.

    Args:
        As `Refinement`.
    """

    def __init__(self, width: int, heads: int, reduction: int) -> None:
        super().__init__()
        config = SegformerConfig(attn_implementation="sdpa")
        self.date = SegformerLayer(config, width, heads, 0.0, reduction, _MLP)
        self.guide_norm = nn.LayerNorm(width)
        self.guide = SegformerMixMLP(config, width, _MLP * width)
        self.attention_norm = nn.LayerNorm(width)
        self.attention = SegformerAttention(config, width, heads, reduction)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = SegformerMixMLP(config, width, _MLP * width)

    def forward(self, dates: Tensor, difference: Tensor, h: int, w: int) -> tuple[Tensor, Tensor]:
        """Dates (2b, h w, c) and difference (b, h w, c) -> the updated ones."""
        dates = self.date(dates, h, w)
        first, second = dates.chunk(2)
        guide = self.guide(self.guide_norm((first - second).abs()), h, w)
        read, _ = self.attention(self.attention_norm(guide), h, w)
        return dates, difference + read + self.mlp(self.mlp_norm(guide), h, w)


def build_idet(config: ModelConfig, encoder: BitemporalEncoder | None) -> MaskModel:
    """IDET on `encoder` or its own, with c_0 = 64 times `baseline.scale`."""
    width, own = round(64 * config.baseline.scale), encoder is None
    widths = (width, 2 * width, 4 * width, 8 * width, 8 * width)
    network = IDET(config.change_decoder.classes, widths=widths if own else widths[1:], own=own)
    return mask_model(config, network, encoder)

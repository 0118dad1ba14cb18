"""ChangeFormer: a hierarchical Transformer encoder for both dates, with a difference module at each level.

Paper: W. G. C. Bandara, V. M. Patel, "A Transformer-based Siamese network for change detection", IGARSS 2022.

    encoder     four stages at strides 4, 8, 16, 32: overlapping patches, then layers whose attention reduces keys and
                values by 8, 4, 2, 1 a side, and whose MLP contains a 3x3 depth-wise convolution
    difference  D_i = BN(ReLU(Conv3x3([F1_i ; F2_i])))
    decoder     Linear c_i -> e, bilinear to stride 4, concatenation, Linear 4e -> e, upsampling to (H, W), classifier

The encoder is SegFormer's, from `transformers`. Sizes and dropout are those of the released ChangeFormerV6. No
published SegFormer has its depths, so the encoder starts from random weights.

Differences from the original:
- GroupNorm replaces BatchNorm (why: `change_networks`).
- The paper upsamples with one transposed convolution of kernel 3 and stride 4, whose output depends only on the bias
  in every fourth row and column. Here, as in the released code, there are two with kernel 4 and stride 2, each
  followed by a residual block.
- V6 also concatenates the dates after the Linear layer instead of before, adds each level to the next finer one, and
  supervises a mask at every level. This code follows the paper and uses the loss that all methods share.

Legend: b pairs, H, W pixels, K classes, i level at stride s_i with c_i channels, e width of the decoder.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from transformers import SegformerConfig, SegformerModel

from semantic_cc.baselines.change_networks import ChangeNetwork, resize
from semantic_cc.baselines.mask_model import MaskModel, mask_model
from semantic_cc.config import ModelConfig
from semantic_cc.model.change_decoder import GroupNorm
from semantic_cc.model.encoder import BitemporalEncoder


class ChangeFormer(ChangeNetwork):
    """The ChangeFormer network.

    Args:
        widths: c_i.
        width: e.
        classes: K; 1 = one logit of change.
        encoder: see `hierarchical_encoder`; None = the levels come from another encoder.
    """

    def __init__(
        self, widths: Sequence[int], width: int, classes: int, encoder: SegformerModel | None
    ) -> None:
        super().__init__(widths, multiple=32)
        self.encoder = encoder
        self.differences = nn.ModuleList(
            nn.Sequential(nn.Conv2d(2 * c, c, 3, padding=1), nn.ReLU(), GroupNorm(c)) for c in widths
        )
        self.project = nn.ModuleList(nn.Conv2d(c, width, 1) for c in widths)
        self.fuse = nn.Sequential(nn.Conv2d(len(widths) * width, width, 1), GroupNorm(width))
        self.up = nn.Sequential(_double(width), Residual(width), _double(width), Residual(width))
        self.classify = nn.Conv2d(width, classes, 3, padding=1)

    def encode(self, images: Tensor) -> list[Tensor]:
        """(2b, 3, H, W) -> (2b, c_i, H / s_i, W / s_i)."""
        assert self.encoder is not None  # called only if the network has its own encoder
        levels: list[Tensor] = []
        for stage in self.encoder.stages:
            levels.append(stage(levels[-1] if levels else images))
        return levels

    def decode(self, levels: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """(2b, c_i, h_i, w_i) -> (b, K, *size)."""
        projected = [
            project(difference(torch.cat(level.chunk(2), dim=1)))  # (b, e, h_i, w_i)
            for level, difference, project in zip(levels, self.differences, self.project, strict=True)
        ]
        fused = self.fuse(torch.cat([resize(level, projected[0].shape[-2:]) for level in projected], dim=1))
        return resize(self.classify(self.up(fused)), size)

    def layers(self) -> Iterable[nn.Module]:
        """The encoder's layers and the decoder's upsampling blocks."""
        stages = self.encoder.stages if self.encoder is not None else ()
        return [*(block for stage in stages for block in stage.blocks), *self.up]


class Residual(nn.Module):
    """Two 3x3 convolutions whose output is scaled by 0.1 and added to the input, as in the released code."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, e, h, w) -> (b, e, h, w)."""
        return x + 0.1 * self.convs(x)


def _double(width: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(width, width, 4, stride=2, padding=1)


def hierarchical_encoder(
    widths: Sequence[int] = (64, 128, 320, 512),
    depths: Sequence[int] = (3, 3, 4, 3),
    heads: Sequence[int] = (1, 2, 5, 8),
    dropout: float = 0.1,
) -> SegformerModel:
    """SegFormer's encoder with random weights.

    Args:
        widths: c_i. depths: layers of each stage. heads: attention heads of each stage.
        dropout: of attention and activations, and the drop-path rate of the last layer (it grows linearly).
    """
    return SegformerModel(
        SegformerConfig(
            hidden_sizes=list(widths),
            depths=list(depths),
            num_attention_heads=list(heads),
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            drop_path_rate=dropout,
        )
    )


def build_changeformer(config: ModelConfig, encoder: BitemporalEncoder | None) -> MaskModel:
    """ChangeFormer on `encoder` or its own, with c_0 = 64 and e = 256, both times `baseline.scale`."""
    width = round(64 * config.baseline.scale)
    widths = (width, 2 * width, 5 * width, 8 * width)
    own = hierarchical_encoder(widths, dropout=config.baseline.dropout) if encoder is None else None
    network = ChangeFormer(widths, 4 * width, config.change_decoder.classes, own)
    return mask_model(config, network, encoder)

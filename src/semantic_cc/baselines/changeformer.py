"""ChangeFormer: a hierarchical Transformer on both dates, and a difference module at each of its levels.

Paper: W. G. C. Bandara, V. M. Patel, "A Transformer-based Siamese network for change detection", IGARSS 2022.

    encoder     four stages at strides 4, 8, 16, 32: overlapping patches, then layers whose attention reads keys and
                values reduced by 8, 4, 2, 1 a side, and whose MLP holds a 3x3 depth-wise convolution
    difference  D_i = BN(ReLU(Conv3x3([F1_i ; F2_i])))
    decoder     Linear c_i -> e, bilinear to stride 4, joined, Linear 4e -> e, upsampled to (H, W), classified

The encoder is SegFormer's, and so it is taken from `transformers`; sizes and dropout are those of the released
ChangeFormerV6, whose depths no published SegFormer has, so that it starts at random.

Differs from the original:
- GroupNorm for BatchNorm (why: `change_networks`).
- The paper upsamples by one transposed convolution of kernel 3 and stride 4, which would leave every fourth row and
  column to the bias alone. Here it is the released code's: two of kernel 4 and stride 2, each with a residual block.
- V6 also joins the dates after the Linear instead of before, adds each level to the next finer one, and learns from
  a mask at every level. Here it is as the paper writes it, with one loss for every method.

Legend: b pairs, H, W pixels, K classes, i level at stride s_i with c_i channels, e width of the decoder.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from transformers import SegformerConfig, SegformerModel

from semantic_cc.baselines.change_networks import ChangeNetwork, norm, resize
from semantic_cc.baselines.mask_model import MaskModel, mask_model
from semantic_cc.config import ModelConfig
from semantic_cc.model.encoder import BitemporalEncoder


class ChangeFormer(ChangeNetwork):
    """The network.

    Args:
        widths: c_i.
        width: e.
        classes: K; 1 = one logit of change.
        encoder: see `hierarchical_encoder`; None = its levels come from another one.
    """

    def __init__(
        self, widths: Sequence[int], width: int, classes: int, encoder: SegformerModel | None
    ) -> None:
        super().__init__(widths, multiple=32)
        self.encoder = encoder
        self.differences = nn.ModuleList(
            nn.Sequential(nn.Conv2d(2 * c, c, 3, padding=1), nn.ReLU(), norm(c)) for c in widths
        )
        self.project = nn.ModuleList(nn.Conv2d(c, width, 1) for c in widths)
        self.fuse = nn.Sequential(nn.Conv2d(len(widths) * width, width, 1), norm(width))
        self.up = nn.Sequential(_double(width), Residual(width), _double(width), Residual(width))
        self.classify = nn.Conv2d(width, classes, 3, padding=1)

    def encode(self, images: Tensor) -> list[Tensor]:
        """(2b, 3, H, W) -> (2b, c_i, H / s_i, W / s_i)."""
        assert self.encoder is not None  # else nothing calls it
        levels: list[Tensor] = []
        for stage in self.encoder.stages:
            levels.append(stage(levels[-1] if levels else images))
        return levels

    def decode(self, levels: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """(2b, c_i, h_i, w_i) -> (b, K, *size)."""
        told = [
            project(difference(torch.cat(level.chunk(2), dim=1)))  # (b, e, h_i, w_i)
            for level, difference, project in zip(levels, self.differences, self.project, strict=True)
        ]
        fused = self.fuse(torch.cat([resize(level, told[0].shape[-2:]) for level in told], dim=1))
        return resize(self.classify(self.up(fused)), size)

    def layers(self) -> Iterable[nn.Module]:
        """The encoder's layers, and the decoder's way up."""
        stages = self.encoder.stages if self.encoder is not None else ()
        return [*(block for stage in stages for block in stage.blocks), *self.up]


class Residual(nn.Module):
    """Two 3x3 convolutions whose answer is added at a tenth of its size, as released."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
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
        widths: c_i. depths: layers of each stage. heads: their attention heads.
        dropout: of attention, of activations and of whole layers (the last layer's; it grows linearly).
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
    """ChangeFormer of 64 channels in its first stage and 256 in its decoder, times `baseline.scale`.

    On `encoder`, or on its own.
    """
    width = round(64 * config.baseline.scale)
    widths = (width, 2 * width, 5 * width, 8 * width)
    own = hierarchical_encoder(widths, dropout=config.baseline.dropout) if encoder is None else None
    network = ChangeFormer(widths, 4 * width, config.change_decoder.classes, own)
    return mask_model(config, network, encoder)

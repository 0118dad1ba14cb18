"""RSICCFormer: dual-branch Transformer encoder with cross-encoding, and multistage bitemporal fusion.

C. Liu, R. Zhao, H. Chen, Z. Zou, Z. Shi, "Remote Sensing Image Change Captioning With Dual-Branch Transformers: A New
Method and a Large Scale Dataset", IEEE TGRS 60, 2022.

Implemented (N layers, shared weights for both dates, D_i = after - before of layer i's input)::

    F_i   = CTE_i(F_{i-1})    = LN(X + FFN(X)),  X = LN(F + MHA(F, D, D))      cross-encoding
    M_i   = LN(ResBlock_i(M_{i-1} + [F_i before ; F_i after])),  M_0 = 0        multistage bitemporal fusion

The Transformer decoder attends to M_N, one token per position with width 2d.

Differences from the original: the shared image encoder replaces ResNet-101; LayerNorm replaces the block's BatchNorm;
dropout is 0.1 as for all methods (original 0.5); unknown words are never generated.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from semantic_cc.baselines.captioner import WordCaptioner
from semantic_cc.baselines.captioning_blocks import DifferenceAttention, Entrance, ResidualBlock
from semantic_cc.baselines.word_decoder import WordDecoder
from semantic_cc.config import ModelConfig
from semantic_cc.model.encoder import BitemporalEncoder


class RSICCFormerNeck(nn.Module):
    """Cross-encoding and multistage fusion.

    Args:
        config: the sizes.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        sizes = config.baseline
        width, layers = sizes.width, range(sizes.layers)
        self.entrance = Entrance(config)
        self.cross = nn.ModuleList(DifferenceAttention(width, sizes.heads, sizes.dropout) for _ in layers)
        self.fuse = nn.ModuleList(ResidualBlock(2 * width) for _ in layers)
        self.norms = nn.ModuleList(nn.LayerNorm(2 * width) for _ in layers)

    def forward(self, tokens: Tensor) -> tuple[Tensor, ...]:
        """(2b, h, w, c), before first -> one memory (b, h w, 2d)."""
        x = self.entrance(tokens)  # (2b, h, w, d)
        shape = x.shape
        fused = torch.zeros((), device=x.device)
        for cross, fuse, norm in zip(self.cross, self.fuse, self.norms, strict=True):
            x = cross(x.flatten(1, 2)).view(shape)
            fused = norm(fuse(fused + torch.cat(x.chunk(2), dim=-1)))  # (b, h, w, 2d)
        return (fused.flatten(1, 2),)


def build_rsiccformer(config: ModelConfig, encoder: BitemporalEncoder) -> WordCaptioner:
    """RSICCFormer on `encoder`."""
    decoder = WordDecoder(config.baseline, 2 * config.baseline.width)
    return WordCaptioner(config, encoder, RSICCFormerNeck(config), None, decoder)

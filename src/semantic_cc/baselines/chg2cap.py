"""Chg2Cap: hierarchical self-attention over both dates, residual block with a cosine mask.

S. Chang, P. Ghamisi, "Changes to Captions: An Attentive Network for Remote Sensing Change Captioning", IEEE
Transactions on Image Processing 32, 2023.

Implemented (N blocks; X_0 are a date's tokens with position embeddings)::

    X  <- X + SA(X)                            self-attention within each date, shared weights
    X1, X2 <- split(SA'([X1 ; X2])) + X_0      self-attention over the concatenated dates, plus the first tokens
    M  = ResBlock(Conv1x1_{2d -> d}([X1 ; X2] + cos(X1, X2)))                  cosine mask: one number per position

SA and SA' are post-norm Transformer layers. Each layer of the word decoder adds its input to its output once more.

Differences from the original: the shared image encoder replaces ResNet-101, and its tokens are first projected to
width d (the original keeps 2,048); the FFN is as wide as its tokens; keys and values have separate projections (the
released code shares one); LayerNorm replaces the block's BatchNorm; unknown words are never generated.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from semantic_cc.baselines.captioner import WordCaptioner
from semantic_cc.baselines.captioning_blocks import Entrance, ResidualBlock
from semantic_cc.baselines.word_decoder import WordDecoder
from semantic_cc.config import BaselineConfig, ModelConfig
from semantic_cc.model.encoder import BitemporalEncoder


class HierarchicalAttention(nn.Module):
    """One block: attention within each date, then over both dates.

    Args:
        sizes: width d, heads, dropout.
    """

    def __init__(self, sizes: BaselineConfig) -> None:
        super().__init__()
        self.within, self.across = (
            nn.TransformerEncoderLayer(width, sizes.heads, width, sizes.dropout, batch_first=True)
            for width in (sizes.width, 2 * sizes.width)
        )

    def forward(self, x: Tensor, first: Tensor) -> Tensor:
        """x and the first tokens (2b, n, d), before first -> (2b, n, d)."""
        x = x + self.within(x)
        joined = self.across(torch.cat(x.chunk(2), dim=-1))  # (b, n, 2d)
        return torch.cat(joined.chunk(2, dim=-1)) + first  # (2b, n, d)


class Chg2CapNeck(nn.Module):
    """Attention blocks, cosine mask and residual block.

    Args:
        config: the sizes.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        sizes = config.baseline
        self.entrance = Entrance(config)
        self.attend = nn.ModuleList(HierarchicalAttention(sizes) for _ in range(sizes.layers))
        self.narrow = nn.Linear(2 * sizes.width, sizes.width)  # the 1x1 convolution
        self.refine = ResidualBlock(sizes.width)

    def forward(self, tokens: Tensor) -> tuple[Tensor, ...]:
        """(2b, h, w, c), before first -> one memory (b, h w, d)."""
        places = self.entrance(tokens)  # (2b, h, w, d)
        first = x = places.flatten(1, 2)
        for attend in self.attend:
            x = attend(x, first)
        before, after = x.view(places.shape).chunk(2)
        mask = F.cosine_similarity(before, after, dim=-1)[..., None]  # (b, h, w, 1)
        return (self.refine(self.narrow(torch.cat([before, after], dim=-1) + mask)).flatten(1, 2),)


def build_chg2cap(config: ModelConfig, encoder: BitemporalEncoder) -> WordCaptioner:
    """Chg2Cap on `encoder`."""
    decoder = WordDecoder(config.baseline, config.baseline.width, skip=True)
    return WordCaptioner(config, encoder, Chg2CapNeck(config), None, decoder)

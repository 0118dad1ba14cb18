"""Modules that several captioning baselines share.

Legend: b pairs, h, w tokens a side, n = h w, c encoder width, d the method's width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from semantic_cc.config import ModelConfig
from semantic_cc.model.change_decoder import ChannelNorm
from semantic_cc.model.encoder import resample_positions


class Entrance(nn.Module):
    """Projects the encoder's tokens to width d and adds learned position embeddings, half row and half column channels.

    Args:
        config: encoder width and image size, method's width.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        encoder, width = config.encoder, config.baseline.width
        self.project = nn.Linear(encoder.width, width)  # the originals' 1x1 convolution
        self.pos_embed = nn.Parameter(torch.empty(2, encoder.image_size // encoder.patch, width // 2))
        nn.init.xavier_uniform_(self.pos_embed)

    def forward(self, tokens: Tensor) -> Tensor:
        """(2b, h, w, c) -> (2b, h, w, d); position embeddings are resampled for other image sizes."""
        rows, columns = self.pos_embed
        side = len(rows)
        table = torch.cat(
            [rows[:, None].expand(side, side, -1), columns[None].expand(side, side, -1)], dim=-1
        )
        return self.project(tokens) + resample_positions(table[None], *tokens.shape[1:3])


class Attention(nn.Module):
    """Multi-head attention that computes keys and values separately, so that several queries can share them.

    Args:
        width: d. heads: attention heads. dropout: of the attention weights.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def remember(self, memory: Tensor) -> Tensor:
        """(b, n, d) -> keys and values (2, b, heads, n, d / heads)."""
        return self.key_value(memory).unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)

    def forward(self, x: Tensor, known: Tensor, causal: bool = False) -> Tensor:
        """Queries x (b, t, d) attend to the output of `remember` -> (b, t, d); `causal` masks later positions."""
        query = self.query(x).unflatten(2, (self.heads, -1)).transpose(1, 2)  # (b, heads, t, d / heads)
        keys, values = known
        dropout = self.dropout if self.training else 0.0
        read = F.scaled_dot_product_attention(query, keys, values, dropout_p=dropout, is_causal=causal)
        return self.out(read.transpose(1, 2).flatten(2))


def feed_forward(width: int, dropout: float) -> nn.Module:
    """The Transformer's FFN with hidden width 4 d."""
    return nn.Sequential(
        nn.Linear(width, 4 * width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(4 * width, width)
    )


class DifferenceAttention(nn.Module):
    """Post-norm Transformer layer in which the tokens of each date attend to the difference of the dates.

    ``x = LN(x + MHA(x, D, D)); x = LN(x + FFN(x))``, D = after - before, shared weights for both dates.

    Args:
        width: d. heads: attention heads. dropout: of attention and FFN.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(width, heads, dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.ffn = feed_forward(width, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(2b, n, d), before first -> (2b, n, d)."""
        before, after = x.chunk(2)
        known = self.attention.remember(after - before)
        read = self.attention(x, known.repeat(1, 2, 1, 1, 1))
        x = self.norms[0](x + self.dropout(read))
        return self.norms[1](x + self.dropout(self.ffn(x)))


class ResidualBlock(nn.Module):
    """Residual bottleneck: 1x1, 3x3 and 1x1 convolutions with half the width inside.

    LayerNorm over channels replaces the originals' BatchNorm, because the paper's batch size is 1.

    Args:
        width: channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.convs = nn.Sequential(
            nn.Conv2d(width, half, 1),
            ChannelNorm(half),
            nn.ReLU(),
            nn.Conv2d(half, half, 3, padding=1),
            ChannelNorm(half),
            nn.ReLU(),
            nn.Conv2d(half, width, 1),
            ChannelNorm(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, h, w, width) -> (b, h, w, width)."""
        return F.relu(x + self.convs(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))

"""Q-Former (paper III-E): learned queries attend to the tokens of each date, with shared weights.

Legend: B = 2b dates, q queries, d their width, n tokens of width v.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from transformers import Blip2QFormerConfig
from transformers.models.blip_2.modeling_blip_2 import Blip2QFormerModel

from semantic_cc.config import QFormerConfig


class QFormer(nn.Module):
    """BLIP-2's Q-Former with the given sizes. It does not read the instruction, as in MiniGPT-4."""

    def __init__(self, config: QFormerConfig) -> None:
        super().__init__()
        sizes: dict[str, float] = {
            "hidden_size": config.width,
            "num_hidden_layers": config.layers,
            "num_attention_heads": config.heads,
            "intermediate_size": 4 * config.width,
            "encoder_hidden_size": config.encoder_width,
            "cross_attention_frequency": 2,
        }
        if not config.frozen:  # dropout only as in the pretrained weights
            sizes |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        self.positions = config.positions
        self.body = Blip2QFormerModel(Blip2QFormerConfig(**sizes))

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Learned queries (1, q, d), visual tokens (B, n, v) -> (B, q, d)."""
        queries = queries.expand(tokens.shape[0], -1, -1)
        return self.body(query_embeds=queries, encoder_hidden_states=tokens).last_hidden_state


def sine_positions(h: int, w: int, width: int) -> Tensor:
    """Sine and cosine position encoding, half for y, half for x: (h, w, width), values in [-2, 2].

    Positions are relative to the image size. Frequencies run from a quarter of a period to two periods per side:
    positions within about a sixth of a side have similar encodings. The amplitude is 2 because the tokens, normalised
    by `ln_vision`, have standard deviation 1.

    Args:
        h, w: tokens per side. width: a multiple of 4.
    """
    frequencies = math.pi * torch.linspace(0.5, 4, width // 4)

    def axis(count: int) -> Tensor:
        places = torch.arange(count, device=frequencies.device)[:, None]
        angles = (places + 0.5) / count * frequencies
        return torch.cat([angles.sin(), angles.cos()], dim=1)  # (count, width / 2)

    y, x = axis(h)[:, None].expand(h, w, -1), axis(w)[None].expand(h, w, -1)
    return 2 * torch.cat([y, x], dim=2)


@torch.no_grad()
def start_on_grid(qformer: QFormer, queries: nn.Parameter) -> None:
    """Initialises an untrained Q-Former as grid pooling: each query attends to the tokens around its grid cell.

    With BERT's initialisation each query starts as the mean of all tokens, and needs tens of thousands of pairs to
    encode positions. Here the query and key projections are the same orthogonal matrix, so equal sine positions match.
    The value and output projections are each other's inverse, so token content passes unchanged.

    Args:
        qformer: with `positions`, encoder width d.
        queries: (1, q, d), overwritten with the positions of the r x q/r grid closest to a square.
    """
    _, count, width = queries.shape
    rows = max(r for r in range(1, math.isqrt(count) + 1) if count % r == 0)
    queries.copy_(sine_positions(rows, count // rows, width).view(1, count, width))
    for layer in qformer.body.encoder.layer:
        if layer.has_cross_attention:
            attention, output = layer.crossattention.attention, layer.crossattention.output
            nn.init.orthogonal_(attention.query.weight)
            attention.key.weight.copy_(attention.query.weight)
            nn.init.orthogonal_(attention.value.weight)
            output.dense.weight.copy_(attention.value.weight.T)

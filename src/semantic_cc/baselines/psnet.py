"""PSNet: progressive difference perception and scale-aware reinforcement, a pure Transformer.

C. Liu, J. Yang, Z. Qi, Z. Zou, Z. Shi, "Progressive Scale-Aware Network for Remote Sensing Image Change Captioning",
IGARSS 2023.

Implemented (N layers, shared weights for both dates, D = after - before of layer i's input)::

    F_i = Linear_{2d -> d}(TransformerLayer([F_{i-1} ; D]))                     progressive difference perception
    C_i = [F_i before ; F_i after]                                              (b, n, 2d)
    S_i = C_i + FFN(LN(MHA(LN(C_i), K, K))),  K = LN of all C_j, j != i         scale-aware reinforcement

Each of the N layers of the word decoder attends to one of the S_i, the deepest first.

Differences from the original: the shared image encoder replaces ViT-B/32 (its grid is finer than 7 x 7); D is computed
from the layer's inputs for both dates, where the released code uses the earlier date's output for the later date; one
dropout rate everywhere (original: 0.8 in the encoder, 0.5 in the decoder); unknown words are never generated.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from semantic_cc.baselines.captioner import WordCaptioner
from semantic_cc.baselines.captioning_blocks import Attention, Entrance, feed_forward
from semantic_cc.baselines.word_decoder import WordDecoder
from semantic_cc.config import BaselineConfig, ModelConfig
from semantic_cc.model.encoder import BitemporalEncoder


class DifferencePerception(nn.Module):
    """One progressive difference perception layer.

    Args:
        sizes: width d, heads, dropout.
    """

    def __init__(self, sizes: BaselineConfig) -> None:
        super().__init__()
        wide = 2 * sizes.width
        self.layer = nn.TransformerEncoderLayer(wide, sizes.heads, 2 * wide, sizes.dropout, batch_first=True)
        self.narrow = nn.Linear(wide, sizes.width)

    def forward(self, x: Tensor) -> Tensor:
        """(2b, n, d), before first -> (2b, n, d)."""
        before, after = x.chunk(2)
        difference = (after - before).repeat(2, 1, 1)
        return self.narrow(self.layer(torch.cat([x, difference], dim=-1)))


class ScaleReinforcement(nn.Module):
    """Cross-attention from one layer's features to the features of all other layers.

    Args:
        sizes: width d (the features have 2d), heads, dropout.
    """

    def __init__(self, sizes: BaselineConfig) -> None:
        super().__init__()
        wide = 2 * sizes.width
        self.norm = nn.LayerNorm(wide)
        self.attention = Attention(wide, sizes.heads, sizes.dropout)
        self.ffn = nn.Sequential(
            nn.LayerNorm(wide), feed_forward(wide, sizes.dropout), nn.Dropout(sizes.dropout)
        )

    def forward(self, x: Tensor, others: list[Tensor]) -> Tensor:
        """x and each of the others (b, n, 2d) -> (b, n, 2d)."""
        known = self.attention.remember(self.norm(torch.cat(others, dim=1)))
        return x + self.ffn(self.attention(self.norm(x), known))


class PSNetNeck(nn.Module):
    """Perception layers, each reinforced by the others.

    Args:
        config: the sizes; at least two layers.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        sizes = config.baseline
        self.entrance = Entrance(config)
        self.perceive = nn.ModuleList(DifferencePerception(sizes) for _ in range(sizes.layers))
        self.reinforce = nn.ModuleList(ScaleReinforcement(sizes) for _ in range(sizes.layers))

    def forward(self, tokens: Tensor) -> tuple[Tensor, ...]:
        """(2b, h, w, c), before first -> N memories (b, h w, 2d), the deepest layer's first."""
        x = self.entrance(tokens).flatten(1, 2)  # (2b, n, d)
        scales = []
        for perceive in self.perceive:
            x = perceive(x)
            scales.append(torch.cat(x.chunk(2), dim=-1))  # (b, n, 2d)
        stronger = [
            reinforce(own, [other for other in scales if other is not own])
            for reinforce, own in zip(self.reinforce, scales, strict=True)
        ]
        return tuple(reversed(stronger))


def build_psnet(config: ModelConfig, encoder: BitemporalEncoder) -> WordCaptioner:
    """PSNet on `encoder`. The word decoder has as many layers as the neck."""
    sizes = config.baseline
    decoder = WordDecoder(sizes, 2 * sizes.width, layers=sizes.layers)
    return WordCaptioner(config, encoder, PSNetNeck(config), None, decoder)

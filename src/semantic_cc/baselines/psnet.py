"""PSNet: progressive difference perception and scale-aware reinforcement, a pure Transformer.

C. Liu, J. Yang, Z. Qi, Z. Zou, Z. Shi, "Progressive Scale-Aware Network for Remote Sensing Image Change Captioning",
IGARSS 2023.

What is followed (N layers, both dates through the same weights, D = after - before of layer i's input)::

    F_i = Linear_{2d -> d}(TransformerLayer([F_{i-1} ; D]))                     progressive difference perception
    C_i = [F_i before ; F_i after]                                              (b, n, 2d)
    S_i = C_i + FFN(LN(MHA(LN(C_i), K, K))),  K = LN of all C_j, j != i         scale-aware reinforcement

Each of the N layers of the word decoder reads one of the S_i, the deepest first.

What differs: the image encoder is the one that all methods here share instead of ViT-B/32 (its grid is finer than
7 x 7); both dates' D comes from the layer's inputs, where the released code takes the later date's from the earlier
one's output; one dropout for all (theirs: 0.8 in the encoder, 0.5 in the decoder); unknown words are never written.
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
        """(2b, n, d), before first, to the same."""
        before, after = x.chunk(2)
        difference = (after - before).repeat(2, 1, 1)
        return self.narrow(self.layer(torch.cat([x, difference], dim=-1)))


class ScaleReinforcement(nn.Module):
    """Lets one layer's features gather what the other layers saw.

    Args:
        sizes: width d, of which features have twice as much; heads, dropout.
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
        """x and each of the others (b, n, 2d), to x's shape."""
        known = self.attention.remember(self.norm(torch.cat(others, dim=1)))
        return x + self.ffn(self.attention(self.norm(x), known))


class PSNetNeck(nn.Module):
    """Perception layers, and reinforcement of each by the others.

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
    """PSNet on `encoder`; its word decoder has as many layers as its encoder."""
    sizes = config.baseline
    decoder = WordDecoder(sizes, 2 * sizes.width, layers=sizes.layers)
    return WordCaptioner(config, encoder, PSNetNeck(config), None, decoder)

"""TTP, "time travelling pixels": SAM with LoRA, a gate between the dates, and a multi-level decoder.

Paper: K. Chen, C. Liu, W. Li, Z. Liu, H. Chen, H. Zhang, Z. Zou, Z. Shi, "Time travelling pixels: bitemporal features
integration with foundation model for remote sensing image change detection", 2023 (arXiv 2312.16202).

    encoder  SAM's ViT on both dates, LoRA on every qkv
    gate     g   = sigmoid(Linear_{2c -> 1}([x1 ; x2]))
             x_k <- x_k + FFN(x_other * g)                  one gate and one FFN for both dates
    decoder  SAM's neck, dates concatenated on channels, SimpleFPN to strides 4 to 64, 1x1 convolution and bilinear
             upsampling to stride 4 at each level, concatenation, 1x1 convolution, classifier

Encoder, weights and SimpleFPN are Semantic-CC's, so the two methods differ in the gate (BCSF there) and the neck.

Differences from the original:
- The gate follows the four layers with global attention, as Semantic-CC's filters do. The released code puts it after
  the other layers, with a note that the global ones may be meant. `encoder.bcsf_after` changes its position.
- The FFN's last layer is initialised to zero, so that the pretrained encoder is unchanged at the start.
- Both dates are updated from the same inputs; in the released code the second date uses the updated first.
- LayerNorm or GroupNorm replaces the decoder's BatchNorm (why: `change_networks`), and GELU its ReLU. The level at
  stride 64 is pooled from the tokens, not from the previous level. LoRA has no bias.

Legend: b pairs, H, W pixels, K classes, p pixels a side of a token, h = H/p, w = W/p, c encoder width, e width of
SAM's neck.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from semantic_cc.baselines.mask_model import MaskModel
from semantic_cc.config import ModelConfig
from semantic_cc.model.bcsf import FeedForward
from semantic_cc.model.change_decoder import ChangeDecoder, Norm, PyramidLevel, norm_layer
from semantic_cc.model.encoder import BitemporalEncoder, filtered_layers


class TimeTravellingGate(nn.Module):
    """Adds to each date the other date's features, weighted by one gate value per position.

    Args:
        width: c.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(2 * width, 1, bias=False)
        self.ffn = FeedForward(width)
        nn.init.constant_(self.gate.weight, 1 / (2 * width))

    def forward(self, tokens: Tensor) -> Tensor:
        """(2b, h, w, c), before first -> (2b, h, w, c)."""
        first, second = tokens.chunk(2)
        gate = torch.sigmoid(self.gate(torch.cat([first, second], dim=-1)))  # (b, h, w, 1)
        return tokens + self.ffn(torch.cat([second * gate, first * gate]))


class TTPDecoder(ChangeDecoder):
    """Semantic-CC's decoder with a fifth level and a convolution before the classifier.

    Args:
        token_width: e.
        width: channels of every level.
        classes: K; 1 = one logit of change.
        patch: p.
        norm: norm of all convolutions.
    """

    def __init__(self, token_width: int, width: int, classes: int, patch: int, norm: Norm = "layer") -> None:
        super().__init__(token_width, width, classes, patch, norm=norm)
        self.levels.append(PyramidLevel(2 * token_width, 64, width, patch, norm))
        self.classify = nn.Sequential(
            nn.Conv2d(5 * width, width, 1, bias=False),
            norm_layer(norm, width),
            nn.GELU(),
            nn.Conv2d(width, classes, 1),
        )


def build_ttp(config: ModelConfig, encoder: BitemporalEncoder) -> MaskModel:
    """TTP on SAM, with 256 decoder channels times `baseline.scale`."""
    sizes = config.encoder
    gates: dict[int, nn.Module] = {layer: TimeTravellingGate(sizes.width) for layer in filtered_layers(sizes)}
    width = round(256 * config.baseline.scale)
    mask = config.change_decoder
    decoder = TTPDecoder(sizes.change_width, width, mask.classes, sizes.patch, mask.norm)
    return MaskModel(config, BitemporalEncoder(encoder.vision, gates), change_decoder=decoder)

"""FC-Siam-diff: a convolutional lower bound for change detection.

Paper: R. Caye Daudt, B. Le Saux, A. Boulch, "Fully convolutional siamese networks for change detection", ICIP 2018.
A U-Net encoder with shared weights for both dates (16, 32, 64, 128 channels; 2, 2, 3, 3 convolutions). The skip
connections of the decoder pass |F1 - F2|, the absolute difference of the dates' features at each level.

Differences from the original:
- GroupNorm replaces BatchNorm (why: `change_networks`).
- The loss is the one that all methods share; the original weights the classes by their frequency.
- Images are padded to multiples of 16 and the logits cropped; the original pads inside its decoder.

As in the released code, the decoder starts from the later date's pooled features. A transposed convolution of stride 1
is implemented as a plain convolution.

Legend: b pairs, H, W pixels, K classes, i level from 0, the finest, with c_i channels at stride 2^i.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from semantic_cc.baselines.change_networks import ChangeNetwork, convolutions, resize
from semantic_cc.baselines.mask_model import MaskModel, mask_model
from semantic_cc.config import ModelConfig
from semantic_cc.model.encoder import BitemporalEncoder


class FCSiamDiff(ChangeNetwork):
    """The FC-Siam-diff network.

    Args:
        classes: K; 1 = one logit of change.
        widths: c_i.
        depths: convolutions of each level.
        dropout: probability of dropping a channel, after each convolution.
        own: whether the network has its own encoder; if not, the levels come from another encoder.
    """

    def __init__(
        self,
        classes: int,
        widths: Sequence[int] = (16, 32, 64, 128),
        depths: Sequence[int] = (2, 2, 3, 3),
        dropout: float = 0.2,
        own: bool = True,
    ) -> None:
        super().__init__(widths, multiple=2 ** len(widths))
        down, up, merge = [], [], []
        finer = 3
        for level, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            down += [convolutions([finer, *[width] * depth], dropout)] if own else []
            up.append(nn.ConvTranspose2d(width, width, 3, stride=2, padding=1, output_padding=1))
            last = [finer] if level else []  # the finest level's last convolution is `classify`
            merge.append(convolutions([2 * width, *[width] * (depth - 1), *last], dropout))
            finer = width
        self.down, self.up, self.merge = nn.ModuleList(down), nn.ModuleList(up), nn.ModuleList(merge)
        self.classify = nn.Conv2d(widths[0], classes, 3, padding=1)

    def encode(self, images: Tensor) -> list[Tensor]:
        """(2b, 3, H, W) -> (2b, c_i, H / 2^i, W / 2^i)."""
        levels: list[Tensor] = []
        for stage in self.down:
            levels.append(stage(F.max_pool2d(levels[-1], 2) if levels else images))
        return levels

    def decode(self, levels: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """(2b, c_i, h_i, w_i) -> (b, K, *size)."""
        x = F.max_pool2d(levels[-1], 2).chunk(2)[1]
        for level, up, merge in reversed(list(zip(levels, self.up, self.merge, strict=True))):
            first, second = level.chunk(2)
            x = up(x)  # (b, c_i, h_i, w_i)
            x = merge(torch.cat([x, (first - second).abs()], dim=1))  # c_(i-1), but c_0 at the finest
        return resize(self.classify(x), size)

    def layers(self) -> Iterable[nn.Module]:
        """The convolutions of each level."""
        return [*self.down, *self.merge]


def build_fc_siam_diff(config: ModelConfig, encoder: BitemporalEncoder | None) -> MaskModel:
    """FC-Siam-diff on `encoder` or its own, with c_0 = 16 times `baseline.scale`."""
    width = round(16 * config.baseline.scale)
    network = FCSiamDiff(
        config.change_decoder.classes,
        widths=(width, 2 * width, 4 * width, 8 * width),
        dropout=config.baseline.dropout,
        own=encoder is None,
    )
    return mask_model(config, network, encoder)

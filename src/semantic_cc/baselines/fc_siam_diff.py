"""FC-Siam-diff: the floor.

Paper: R. Caye Daudt, B. Le Saux, A. Boulch, "Fully convolutional siamese networks for change detection", ICIP 2018.
One encoder for both dates, as in a U-Net (16, 32, 64, 128 channels; 2, 2, 3, 3 convolutions), and one decoder whose
skip connections bring |F1 - F2|, the absolute difference of the dates' features at each level.

Differs from the original:
- GroupNorm for BatchNorm (why: `networks`).
- The loss is ours for every method; the original weighs the classes by their frequency.
- Images of any size are padded to multiples of 16 and the answer is cut; the original pads inside its decoder.

As in the released code, the decoder starts from the later date's pooled features, and a transposed convolution of
stride 1 is written as the convolution that it is.

Legend: b pairs, H, W pixels, K classes, i level from 0, the finest, with c_i channels at stride 2^i.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from semantic_cc.baselines.mask import MaskModel
from semantic_cc.baselines.networks import ChangeNetwork, convolutions
from semantic_cc.config import ModelConfig


class FCSiamDiff(ChangeNetwork):
    """The network.

    Args:
        classes: K; 1 = one logit of change.
        widths: c_i.
        depths: convolutions of each level.
        dropout: probability that a channel is dropped, after each convolution.
    """

    def __init__(
        self,
        classes: int,
        widths: Sequence[int] = (16, 32, 64, 128),
        depths: Sequence[int] = (2, 2, 3, 3),
        dropout: float = 0.2,
    ) -> None:
        super().__init__(multiple=2 ** len(widths))
        down, up, merge = [], [], []
        finer = 3
        for level, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            down.append(convolutions([finer, *[width] * depth], dropout))
            up.append(nn.ConvTranspose2d(width, width, 3, stride=2, padding=1, output_padding=1))
            last = [finer] if level else []  # the finest level's last convolution is `classify`
            merge.append(convolutions([2 * width, *[width] * (depth - 1), *last], dropout))
            finer = width
        self.down, self.up, self.merge = nn.ModuleList(down), nn.ModuleList(up), nn.ModuleList(merge)
        self.classify = nn.Conv2d(widths[0], classes, 3, padding=1)

    def logits(self, images: Tensor) -> Tensor:
        """(2b, 3, H, W) -> (b, K, H, W)."""
        x, differences = images, []
        for stage in self.down:
            x = stage(x)  # (2b, c_i, H / 2^i, W / 2^i)
            first, second = x.chunk(2)
            differences.append((first - second).abs())
            x = F.max_pool2d(x, 2)
        x = x.chunk(2)[1]
        for level in reversed(range(len(self.down))):
            x = self.up[level](x)  # (b, c_i, H / 2^i, W / 2^i)
            x = self.merge[level](torch.cat([x, differences[level]], dim=1))  # c_(i-1), but c_0 at the finest
        return self.classify(x)

    def layers(self) -> Iterable[nn.Module]:
        """The levels' convolutions."""
        return [*self.down, *self.merge]


def build_fc_siam_diff(config: ModelConfig) -> MaskModel:
    """FC-Siam-diff of 16 channels at full size, times `baseline.scale`."""
    width = round(16 * config.baseline.scale)
    network = FCSiamDiff(
        config.change_decoder.classes,
        widths=(width, 2 * width, 4 * width, 8 * width),
        dropout=config.baseline.dropout,
    )
    return MaskModel(config, None, change_decoder=network)

"""CSTSUNet: a siamese residual U-net whose differences are what one date cannot reconstruct from the other.

Paper: Y. Wu, L. Li, N. Wang, W. Li, J. Fan, R. Tao, X. Wen, Y. Wang, "CSTSUNet: a cross Swin Transformer-based siamese
U-shaped network for change detection in remote sensing images", IEEE TGRS 61, 2023.

    encoder     a residual network on each date, levels at strides 4, 8, 16, 32
    difference  at each level, a cross Swin Transformer reconstructs each date from the other: queries of the one, keys
                and values of the other, in windows and then in shifted windows; D = Conv3x3([|F1 - R1| ; |F2 - R2|])
    decoder     coarse to fine: upsample by 2, concatenate with the finer level's D, two 3x3 convolutions
    classifier  3x3 convolution at stride 4, upsampled

Neither the paper's full text nor code was at hand. From its abstract: the siamese residual encoder in U-shape, four
difference modules with a cross Swin Transformer, the assumption behind them (an unchanged date is well represented by
the other; a changed one leaves a large reconstruction error), and the decoder that adds details level by level.
Guessed: the equation of D, ResNet-18's depths and widths, one window and one shifted window layer for each level, the
window of 8, heads, and the decoder's convolutions. Windows have no relative position bias: the features of a
convolutional encoder contain positions.

Differences that all compared networks share: GroupNorm replaces BatchNorm (why: `change_networks`), one loss on the
last mask, random initialisation (the original's ResNet probably starts from ImageNet).

Legend: b pairs, H, W pixels, K classes, i level at stride s_i with c_i channels, h, w its sides, v side of a window.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from semantic_cc.baselines.change_networks import ChangeNetwork, convolutions, resize
from semantic_cc.baselines.mask_model import MaskModel, mask_model
from semantic_cc.config import ModelConfig
from semantic_cc.model.change_decoder import GroupNorm
from semantic_cc.model.encoder import BitemporalEncoder

WINDOW = 8
"""v."""
_DEPTHS = (2, 2, 2, 2)  # residual blocks of ResNet-18


class CSTSUNet(ChangeNetwork):
    """The CSTSUNet network.

    Args:
        classes: K; 1 = one logit of change.
        widths: c_i.
        heads: attention heads of each level.
        depths: residual blocks of each level.
        own: whether the network has its own encoder; if not, the levels come from another encoder.
    """

    def __init__(
        self,
        classes: int,
        widths: Sequence[int] = (64, 128, 256, 512),
        heads: Sequence[int] = (2, 4, 8, 16),
        depths: Sequence[int] = _DEPTHS,
        own: bool = True,
    ) -> None:
        super().__init__(widths, multiple=32)
        first = widths[0]
        self.stem = nn.Sequential(nn.Conv2d(3, first, 7, 2, 3), GroupNorm(first), nn.ReLU()) if own else None
        self.down = nn.ModuleList()
        if own:
            for level, (width, depth) in enumerate(zip(widths, depths, strict=True)):
                before = widths[max(0, level - 1)]
                blocks = [
                    BasicBlock(before, width, stride=2),
                    *(BasicBlock(width, width) for _ in range(depth - 1)),
                ]
                self.down.append(nn.Sequential(*blocks))
        self.differences = nn.ModuleList(
            ReconstructionError(width, head) for width, head in zip(widths, heads, strict=True)
        )
        coarser = [*widths[1:], 0]
        self.up = nn.ModuleList(
            convolutions([width + more, width, width]) for width, more in zip(widths, coarser, strict=True)
        )
        self.classify = nn.Conv2d(first, classes, 3, padding=1)

    def encode(self, images: Tensor) -> list[Tensor]:
        """(2b, 3, H, W) -> (2b, c_i, H / s_i, W / s_i)."""
        assert self.stem is not None  # called only if the network has its own encoder
        levels: list[Tensor] = []
        for stage in self.down:
            levels.append(stage(levels[-1] if levels else self.stem(images)))
        return levels

    def decode(self, levels: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """(2b, c_i, h_i, w_i) -> (b, K, *size)."""
        x: Tensor | None = None
        for level, difference, up in reversed(list(zip(levels, self.differences, self.up, strict=True))):
            new = difference(level)
            x = up(new if x is None else torch.cat([new, resize(x, new.shape[-2:])], dim=1))
        assert x is not None  # there are levels
        return resize(self.classify(x), size)

    def layers(self) -> Iterable[nn.Module]:
        """The encoder's levels, the difference modules and the decoder's levels."""
        return [*self.down, *self.differences, *self.up]


class BasicBlock(nn.Module):
    """ResNet's basic block: two 3x3 convolutions, and a 1x1 convolution of the input if its shape changes.

    Args:
        inputs: channels of the input. width: of the output. stride: of the first convolution.
    """

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv2d(inputs, width, 3, stride, 1), GroupNorm(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1), GroupNorm(width),
        )  # fmt: skip
        same = stride == 1 and inputs == width
        self.skip = (
            nn.Identity() if same else nn.Sequential(nn.Conv2d(inputs, width, 1, stride), GroupNorm(width))
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, inputs, h s, w s) -> (b, width, h, w)."""
        return F.relu(self.skip(x) + self.convs(x))


class ReconstructionError(nn.Module):
    """Difference module of a level: reconstructs each date from the other, with shared weights.

    Args:
        width: c_i. heads: attention heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(CrossWindowLayer(width, heads, shift) for shift in (0, WINDOW // 2))
        self.conv = convolutions([2 * width, width])

    def forward(self, x: Tensor) -> Tensor:
        """(2b, c_i, h, w), before first -> (b, c_i, h, w)."""
        own = x.permute(0, 2, 3, 1)
        other = torch.cat(list(reversed(own.chunk(2))))
        read = own
        for layer in self.layers:
            read = layer(read, other)
        error = (own - read).abs().permute(0, 3, 1, 2)
        return self.conv(torch.cat(error.chunk(2), dim=1))


class CrossWindowLayer(nn.Module):
    """Swin Transformer layer with queries of one date, and keys and values of the other.

    No residual goes around the attention: the reconstruction contains the date itself only as a query.

    Args:
        width: c. heads: attention heads. shift: of the windows, in tokens.
    """

    def __init__(self, width: int, heads: int, shift: int) -> None:
        super().__init__()
        self.heads, self.shift = heads, shift
        self.query_norm, self.other_norm, self.mlp_norm = (nn.LayerNorm(width) for _ in range(3))
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """Two dates (b, h, w, c) -> x as reconstructed from the other, (b, h, w, c)."""
        b, h, w, _ = x.shape
        pad = (
            self.shift,
            -(w + self.shift) % WINDOW,
            self.shift,
            -(h + self.shift) % WINDOW,
        )  # left, right, top, bottom
        query = self._windows(self.query(self.query_norm(x)), pad)
        keys_values = self.key_value(self.other_norm(other))
        key, value = (self._windows(part, pad) for part in keys_values.chunk(2, dim=-1))
        real = F.pad(x.new_ones(1, 1, h, w), pad).bool()
        read = F.scaled_dot_product_attention(query, key, value, attn_mask=_tiles(real).repeat(b, 1, 1, 1).mT)
        read = self.out(self._whole(read, h, w, pad))
        return read + self.mlp(self.mlp_norm(read))

    def _windows(self, x: Tensor, pad: tuple[int, int, int, int]) -> Tensor:
        """(b, h, w, c) -> (b windows, heads, v v, c / heads); padded, so that no window wraps around."""
        tiles = _tiles(F.pad(x.permute(0, 3, 1, 2), pad))  # (b windows, 1, v v, c)
        return tiles[:, 0].unflatten(2, (self.heads, -1)).transpose(1, 2)

    def _whole(self, windows: Tensor, h: int, w: int, pad: tuple[int, int, int, int]) -> Tensor:
        """The inverse of `_windows`."""
        left, right, top, bottom = pad
        rows, columns = (top + h + bottom) // WINDOW, (left + w + right) // WINDOW
        x = (
            windows.transpose(1, 2)
            .flatten(2)
            .unflatten(0, (-1, rows, columns))
            .unflatten(3, (WINDOW, WINDOW))
        )
        x = (
            x.transpose(2, 3).flatten(3, 4).flatten(1, 2)
        )  # (b, rows, columns, v, v, c) -> (b, rows v, columns v, c)
        return x[:, top : top + h, left : left + w]


def _tiles(x: Tensor) -> Tensor:
    """(b, c, rows v, columns v) -> (b rows columns, 1, v v, c)."""
    x = x.unflatten(3, (-1, WINDOW)).unflatten(2, (-1, WINDOW))  # (b, c, rows, v, columns, v)
    return x.permute(0, 2, 4, 3, 5, 1).flatten(0, 2).flatten(1, 2)[:, None]


def build_cstsunet(config: ModelConfig, encoder: BitemporalEncoder | None) -> MaskModel:
    """CSTSUNet on `encoder` or its own, with c_0 = 64 times `baseline.scale`."""
    width = round(64 * config.baseline.scale)
    widths = (width, 2 * width, 4 * width, 8 * width)
    network = CSTSUNet(config.change_decoder.classes, widths, own=encoder is None)
    return mask_model(config, network, encoder)

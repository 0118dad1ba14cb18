"""WNet: a CNN and a Transformer encode both dates side by side, and a decoder fuses the differences of both.

Paper: X. Tang, T. Zhang, J. Ma, X. Zhang, F. Liu, L. Jiao, "WNet: W-shaped hierarchical network for remote-sensing
image change detection", IEEE TGRS 61, 2023.

    CNN branch          four levels at strides 4, 8, 16, 32; each ends with a deformable convolution
    Transformer branch  four levels at the same strides, with deformable attention: keys and values are read at a grid
                        of reference points, each moved by an offset that is predicted from the queries
    DEM                 difference enhancement per level and branch: the absolute difference, weighted by both dates,
                        D = Conv3x3(|F1 - F2| * (1 + sigmoid(Conv1x1([F1 ; F2]))))
    CTFM                fusion per level, coarse to fine: local and global differences weight each other,
                        X = Conv3x3([L * sigmoid(Conv1x1(G)) ; G * sigmoid(Conv1x1(L)) ; up(X of the coarser level)])
    classifier          3x3 convolution at stride 4, upsampled

Neither the paper's full text nor code was at hand. From its abstract: the two siamese branches with deformable
convolution and deformable attention, the DEM from subtraction and concatenation, the CTFM from local, global and
cross-scale features, coarse to fine, and the simple classifier. Guessed: both equations above, all widths, depths and
heads, the grid of the deformable attention, its offset network (DAT, CVPR 2022), and the FFN (SegFormer's, whose
depth-wise convolution gives positions).

Differences that all compared networks share: GroupNorm replaces BatchNorm (why: `change_networks`), one loss on the
last mask, random initialisation. On the shared encoder, the two halves of each level's channels stand for the two
branches.

Legend: b pairs, H, W pixels, K classes, i level at stride s_i with c_i channels in each branch, h, w its sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import SegformerConfig
from transformers.models.segformer.modeling_segformer import SegformerMixMLP

from semantic_cc.baselines.captioning_blocks import Attention
from semantic_cc.baselines.change_networks import ChangeNetwork, convolutions, resize
from semantic_cc.baselines.mask_model import MaskModel, mask_model
from semantic_cc.config import ModelConfig
from semantic_cc.model.change_decoder import GroupNorm
from semantic_cc.model.encoder import BitemporalEncoder

GRID = 8
"""Reference points a side of the deformable attention, at most."""


class WNet(ChangeNetwork):
    """The WNet network.

    Args:
        classes: K; 1 = one logit of change.
        widths: c_i.
        heads: attention heads of each level.
        own: whether the network has its own two branches; if not, the levels come from another encoder.
    """

    def __init__(
        self,
        classes: int,
        widths: Sequence[int] = (64, 128, 256, 512),
        heads: Sequence[int] = (1, 2, 4, 8),
        own: bool = True,
    ) -> None:
        super().__init__([2 * c for c in widths], multiple=32)
        inputs = [3, *widths[:-1]]
        strides = [4, 2, 2, 2]
        self.local, self.long_range = nn.ModuleList(), nn.ModuleList()
        if own:
            for before, width, stride, head in zip(inputs, widths, strides, heads, strict=True):
                self.local.append(LocalLevel(before, width, stride))
                self.long_range.append(GlobalLevel(before, width, stride, head))
        self.differences = nn.ModuleList(
            nn.ModuleList(DifferenceEnhancement(c) for _ in range(2)) for c in widths
        )
        coarser = [*widths[1:], 0]
        self.fuse = nn.ModuleList(Fusion(c, more) for c, more in zip(widths, coarser, strict=True))
        self.classify = nn.Conv2d(widths[0], classes, 3, padding=1)

    def encode(self, images: Tensor) -> list[Tensor]:
        """(2b, 3, H, W) -> (2b, 2 c_i, H / s_i, W / s_i), the CNN's channels first."""
        near = far = images
        levels = []
        for local, long_range in zip(self.local, self.long_range, strict=True):
            near, far = local(near), long_range(far)
            levels.append(torch.cat([near, far], dim=1))
        return levels

    def decode(self, levels: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """(2b, 2 c_i, h_i, w_i) -> (b, K, *size)."""
        fused: Tensor | None = None
        differences: Any = self.differences  # two modules for each level
        for level, (near, far), fuse in reversed(list(zip(levels, differences, self.fuse, strict=True))):
            local, long_range = level.chunk(2, dim=1)
            fused = fuse(near(local), far(long_range), fused)
        assert fused is not None  # there are levels
        return resize(self.classify(fused), size)

    def layers(self) -> Iterable[nn.Module]:
        """The levels of both branches and the fusions."""
        return [*self.local, *self.long_range, *self.fuse]


class LocalLevel(nn.Module):
    """A level of the CNN branch: a strided convolution, a 3x3 convolution and a deformable one, with a residual.

    Args:
        inputs: channels of the finer level. width: c_i. stride: relative to the finer level.
    """

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.down = _embedding(inputs, width, stride)
        self.conv = convolutions([width, width])
        self.deformable = DeformableConvolution(width)
        self.norm = GroupNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """(2b, inputs, h s, w s) -> (2b, c_i, h, w)."""
        x = self.down(x)
        return F.relu(x + self.norm(self.deformable(self.conv(x))))


class DeformableConvolution(nn.Module):
    """3x3 convolution whose nine taps are each moved by a predicted offset (Dai et al., ICCV 2017).

    Args:
        width: channels.
    """

    taps: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.offset = nn.Conv2d(width, 18, 3, padding=1)
        self.mix = nn.Conv2d(9 * width, width, 1)
        for parameter in self.offset.parameters():
            nn.init.zeros_(parameter)  # an ordinary convolution at the start
        steps = torch.arange(-1.0, 2.0)
        taps = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), dim=-1)  # (3, 3, 2), x before y
        self.register_buffer("taps", taps.flatten(0, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, h, w)."""
        offsets = self.offset(x).unflatten(1, (9, 2)).permute(0, 1, 3, 4, 2)  # (b, 9, h, w, 2), pixels
        places = offsets + self.taps[:, None, None] + _places(x.shape[-2], x.shape[-1], x)
        read = [sampled(x, places[:, tap]) for tap in range(9)]
        return self.mix(torch.cat(read, dim=1))


class GlobalLevel(nn.Module):
    """A level of the Transformer branch: patch embedding, deformable attention, FFN, both pre-norm with residuals.

    Args:
        inputs: channels of the finer level. width: c_i. stride: relative to the finer level. heads: attention heads.
    """

    def __init__(self, inputs: int, width: int, stride: int, heads: int) -> None:
        super().__init__()
        self.embed = _embedding(inputs, width, stride)
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = DeformableAttention(width, heads)
        self.mlp = SegformerMixMLP(SegformerConfig(hidden_dropout_prob=0.0), width, 4 * width)

    def forward(self, x: Tensor) -> Tensor:
        """(2b, inputs, h s, w s) -> (2b, c_i, h, w)."""
        x = self.embed(x)
        h, w = x.shape[-2:]
        tokens = x.flatten(2).transpose(1, 2)  # (2b, h w, c_i)
        tokens = tokens + self.attention(self.attention_norm(tokens), h, w)
        tokens = tokens + self.mlp(self.mlp_norm(tokens), h, w)
        return tokens.transpose(1, 2).unflatten(2, (h, w))


class DeformableAttention(nn.Module):
    """Multi-head attention to features sampled at reference points that are moved by offsets (DAT).

    Args:
        width: c. heads: attention heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads, dropout=0.0)
        self.offset = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, groups=width), nn.GELU(), nn.Conv2d(width, 2, 1)
        )

    def forward(self, tokens: Tensor, h: int, w: int) -> Tensor:
        """(b, h w, c) -> (b, h w, c)."""
        x = tokens.transpose(1, 2).unflatten(2, (h, w))
        grid = min(GRID, h), min(GRID, w)
        points = F.adaptive_avg_pool2d(_places(h, w, x).permute(2, 0, 1)[None], grid)  # (1, 2, *grid), pixels
        offsets = F.adaptive_avg_pool2d(self.offset(x), grid)
        read = sampled(x, (points + offsets).permute(0, 2, 3, 1)).flatten(2).transpose(1, 2)
        return self.attention(tokens, self.attention.remember(read))


class DifferenceEnhancement(nn.Module):
    """The DEM of one branch and level.

    Args:
        width: c_i.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Conv2d(2 * width, width, 1)
        self.conv = convolutions([width, width])

    def forward(self, x: Tensor) -> Tensor:
        """(2b, c_i, h, w), before first -> (b, c_i, h, w)."""
        first, second = x.chunk(2)
        gate = torch.sigmoid(self.gate(torch.cat([first, second], dim=1)))
        return self.conv((first - second).abs() * (1 + gate))


class Fusion(nn.Module):
    """The CTFM of one level.

    Args:
        width: c_i. coarser: channels of the coarser level's output; 0 = there is none.
    """

    def __init__(self, width: int, coarser: int) -> None:
        super().__init__()
        self.from_global, self.from_local = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
        self.conv = convolutions([2 * width + coarser, width, width])

    def forward(self, local: Tensor, long_range: Tensor, coarser: Tensor | None) -> Tensor:
        """Two differences (b, c_i, h, w) and the coarser output -> (b, c_i, h, w)."""
        parts = [
            local * torch.sigmoid(self.from_global(long_range)),
            long_range * torch.sigmoid(self.from_local(local)),
        ]
        if coarser is not None:
            parts.append(resize(coarser, local.shape[-2:]))
        return self.conv(torch.cat(parts, dim=1))


def sampled(x: Tensor, places: Tensor) -> Tensor:
    """Reads x (b, c, h, w) bilinearly at places (b, r, s, 2), x before y, in pixels; zero outside -> (b, c, r, s)."""
    h, w = x.shape[-2:]
    size = torch.tensor([w, h], device=x.device)
    grid = (2 * places.float() + 1) / size - 1
    return F.grid_sample(x, grid.to(x.dtype), align_corners=False)


def _places(h: int, w: int, like: Tensor) -> Tensor:
    """The coordinates (h, w, 2) of all pixels, x before y."""
    rows, columns = torch.arange(h, device=like.device), torch.arange(w, device=like.device)
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1).float()


def _embedding(inputs: int, width: int, stride: int) -> nn.Sequential:
    """A strided convolution with overlapping patches, and norm."""
    return nn.Sequential(
        nn.Conv2d(inputs, width, 2 * stride - 1, stride=stride, padding=stride - 1), GroupNorm(width)
    )


def build_wnet(config: ModelConfig, encoder: BitemporalEncoder | None) -> MaskModel:
    """WNet on `encoder` or its own two branches, with c_0 = 64 times `baseline.scale`."""
    width = round(64 * config.baseline.scale)
    widths = (width, 2 * width, 4 * width, 8 * width)
    network = WNet(config.change_decoder.classes, widths, own=encoder is None)
    return mask_model(config, network, encoder)

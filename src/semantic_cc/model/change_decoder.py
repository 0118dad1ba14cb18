"""Change detection decoder (paper III-D, eq. 6): SimpleFPN over the joined dates, fused at stride 4.

Legend: b pairs, p pixels a side of a token, h = H/p, w = W/p, e channels of a date's tokens, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of (b, c, h, w). BatchNorm is out: the paper's batch is 1."""

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


STRIDES = (4, 8, 16, 32)
"""Pixels a side of each level's cells."""


def _resample(width: int, stride: int, patch: int) -> nn.Module:
    """From the tokens' stride to a level's."""
    if 4 * stride == patch:
        return nn.Sequential(
            nn.ConvTranspose2d(width, width // 2, 2, 2),
            ChannelNorm(width // 2),
            nn.GELU(),
            nn.ConvTranspose2d(width // 2, width // 4, 2, 2),
        )
    if 2 * stride == patch:
        return nn.ConvTranspose2d(width, width // 2, 2, 2)
    # ceil_mode: a 1x1 grid still has coarser levels
    return nn.Identity() if stride == patch else nn.MaxPool2d(stride // patch, ceil_mode=True)


class PyramidLevel(nn.Module):
    """One level: resampling, SimpleFPN's 1x1 and 3x3 convolutions, then 1x1, LN and GELU."""

    def __init__(self, width_in: int, stride: int, width: int, patch: int) -> None:
        super().__init__()
        channels = width_in // max(1, patch // stride)
        self.resample = _resample(width_in, stride, patch)
        self.convs = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=False),
            ChannelNorm(width),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            ChannelNorm(width),
            nn.Conv2d(width, width, 1, bias=False),
            ChannelNorm(width),
            nn.GELU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, 2e, h, w) -> (b, width, h', w') at the level's stride."""
        return self.convs(self.resample(x))


class ChangeDecoder(nn.Module):
    """Two dates' tokens -> change logits.

    Args:
        token_width: channels e of one date.
        width: channels of every level.
        classes: K; 1 = one logit of change.
        patch: p, 8 or 16; the levels' strides are 4 to 32 px whatever it is.
    """

    def __init__(self, token_width: int, width: int, classes: int, patch: int = 16) -> None:
        super().__init__()
        self.patch = patch
        self.levels = nn.ModuleList(PyramidLevel(2 * token_width, s, width, patch) for s in STRIDES)
        self.classify: nn.Module = nn.Conv2d(4 * width, classes, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        """(2b, h, w, e), before first -> logits (b, K, p h, p w)."""
        before, after = tokens.permute(0, 3, 1, 2).chunk(2)
        x = torch.cat([before, after], dim=1)  # (b, 2e, h, w)
        h, w = self.patch * x.shape[2], self.patch * x.shape[3]
        levels = [_resize(level(x), (h // STRIDES[0], w // STRIDES[0])) for level in self.levels]
        return _resize(self.classify(torch.cat(levels, dim=1)), (h, w))


def _resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    return x if x.shape[-2:] == size else F.interpolate(x, size, mode="bilinear", align_corners=False)

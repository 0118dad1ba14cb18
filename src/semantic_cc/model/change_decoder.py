"""Change detection decoder (paper III-D, eq. 6): SimpleFPN over the joined dates, fused at stride 4.

Legend: b pairs, h = H/16, w = W/16, e channels of a date's tokens, K classes.
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


def _resample(width: int, level: int) -> nn.Module:
    """From stride 16 to stride 4, 8, 16 or 32 (levels 0 to 3)."""
    if level == 0:
        return nn.Sequential(
            nn.ConvTranspose2d(width, width // 2, 2, 2),
            ChannelNorm(width // 2),
            nn.GELU(),
            nn.ConvTranspose2d(width // 2, width // 4, 2, 2),
        )
    if level == 1:
        return nn.ConvTranspose2d(width, width // 2, 2, 2)
    # ceil_mode: a 1x1 grid (a 16 px image) still has a coarsest level
    return nn.Identity() if level == 2 else nn.MaxPool2d(2, 2, ceil_mode=True)


class PyramidLevel(nn.Module):
    """One level: resampling, SimpleFPN's 1x1 and 3x3 convolutions, then 1x1, LN and GELU."""

    def __init__(self, width_in: int, level: int, width: int) -> None:
        super().__init__()
        channels = width_in // {0: 4, 1: 2}.get(level, 1)
        self.resample = _resample(width_in, level)
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
    """

    def __init__(self, token_width: int, width: int, classes: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(PyramidLevel(2 * token_width, level, width) for level in range(4))
        self.classify = nn.Conv2d(4 * width, classes, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        """(2b, h, w, e), before first -> logits (b, K, 16 h, 16 w)."""
        before, after = tokens.permute(0, 3, 1, 2).chunk(2)
        x = torch.cat([before, after], dim=1)  # (b, 2e, h, w)
        h, w = x.shape[-2:]
        levels = [_resize(level(x), (4 * h, 4 * w)) for level in self.levels]
        return _resize(self.classify(torch.cat(levels, dim=1)), (16 * h, 16 * w))


def _resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    return x if x.shape[-2:] == size else F.interpolate(x, size, mode="bilinear", align_corners=False)

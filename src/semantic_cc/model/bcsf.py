"""Bi-temporal change semantic filter (paper III-B, Fig. 2, eqs. 2 and 3).

Legend: b pairs, h, w token grid, c encoder width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FeedForward(nn.Sequential):
    """MLP c -> c -> c with GELU. The last layer is zero-initialised, so the filter starts as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        last = self[2]
        nn.init.zeros_(last.weight)  # type: ignore[arg-type]
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]


class ChannelGate(nn.Module):
    """One gate value per channel: a linear layer over the positions of both dates (eq. 3 on c x hw).

    The paper's layer supports one grid size. Here the weights, a (2, h, w) map, are resampled to the input's grid and
    rescaled by the ratio of position counts, so any image size works.
    """

    def __init__(self, grid: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(2, grid, grid))
        self.bias = nn.Parameter(torch.zeros(()))
        nn.init.normal_(self.weight, std=(2 * grid * grid) ** -0.5)

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """Two tensors (b, h, w, c) -> (b, 1, 1, c) in (0, 1)."""
        h, w = x.shape[1:3]
        weight: Tensor = self.weight
        if weight.shape[1:] != (h, w):
            scale = weight[0].numel() / (h * w)
            weight = scale * F.interpolate(weight[None], (h, w), mode="bilinear", align_corners=False)[0]
        joined = torch.stack([x, other], dim=1)  # (b, 2, h, w, c)
        score = torch.einsum("bthwc,thw->bc", joined, weight.to(x.dtype)) + self.bias
        return torch.sigmoid(score)[:, None, None, :]


class BCSF(nn.Module):
    """Spatial and channel gating of each date's tokens, computed from both dates (eqs. 2, 3).

    Args:
        width: channels c.
        grid: tokens per side of the channel gate's weights.
    """

    def __init__(self, width: int, grid: int) -> None:
        super().__init__()
        self.spatial_gate = nn.Linear(2 * width, 1)  # shared by both dates
        self.spatial_ffn = FeedForward(width)
        self.channel_gates = nn.ModuleList([ChannelGate(grid), ChannelGate(grid)])
        self.channel_ffns = nn.ModuleList([FeedForward(width), FeedForward(width)])

    def forward(self, tokens: Tensor) -> Tensor:
        """(2b, h, w, c), before first -> the same shape. Both updates use the same inputs."""
        first, second = tokens.chunk(2)
        updates = [self._update(0, first, second), self._update(1, second, first)]
        return tokens + torch.cat(updates)

    def _update(self, date: int, x: Tensor, other: Tensor) -> Tensor:
        spatial = torch.sigmoid(self.spatial_gate(torch.cat([x, other], dim=-1)))  # (b, h, w, 1)
        channel = self.channel_gates[date](x, other)  # (b, 1, 1, c)
        return self.spatial_ffn(x * spatial) + self.channel_ffns[date](x * channel)

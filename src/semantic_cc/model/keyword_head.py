"""Keyword head: predicts which keywords a pair's sentence uses, from visual tokens and the change mask.

Legend: b pairs, q visual tokens per pair, m LLM width, v keywords, k change classes of the mask, g = `GRID`.
"""

from __future__ import annotations

import math
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GRID = 16
"""Cells per side of the grid that a mask is pooled to."""


def mask_grid(probabilities: Tensor) -> Tensor:
    """Mean probability of each change class in each cell of a g x g grid.

    Args:
        probabilities: (b, 1 + k, H, W), class "none" first.

    Returns:
        (b, g, g, k) in [0, 1].
    """
    return F.adaptive_avg_pool2d(probabilities[:, 1:].float(), GRID).permute(0, 2, 3, 1)


class KeywordHead(nn.Module):
    """Log-odds of each keyword: a logsumexp over the visual tokens, plus an MLP on the mask.

    All tokens share one linear layer, because the LLM attends to tokens by content. A layer over the concatenated
    tokens could infer a position from a token's index, which the LLM cannot.

    Args:
        width: m.
        count: v.
        classes: k; 0 = the head does not read a mask.
    """

    def __init__(self, width: int, count: int, classes: int = 0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.2)
        self.token_logits = nn.Linear(width, count)
        nn.init.constant_(self.token_logits.bias, -3.0)  # most keywords are absent
        self.mask_logits = _mask_mlp(classes, count) if classes else None

    def zero_init(self, tokens: int) -> Self:
        """Sets the weights so that the head returns 0 for each keyword, given `tokens` visual tokens."""
        nn.init.zeros_(self.token_logits.weight)
        nn.init.constant_(self.token_logits.bias, -math.log(tokens))  # logsumexp of q equal logits adds log q
        if self.mask_logits is not None:
            for parameter in self.mask_logits[-1].parameters():
                nn.init.zeros_(parameter)
        return self

    def forward(self, visual: Tensor, grid: Tensor | None = None) -> Tensor:
        """Keyword logits of b pairs.

        Args:
            visual: (b, q, m).
            grid: `mask_grid` of the pairs' masks; required if the head has mask classes, otherwise unused.

        Returns:
            (b, v).

        Raises:
            ValueError: the head has mask classes and `grid` is None.
        """
        logits = torch.logsumexp(self.token_logits(self.dropout(visual)).float(), dim=1)
        if self.mask_logits is None:
            return logits
        if grid is None:
            raise ValueError("this keyword head reads a mask: grid must be given")
        return (
            logits + self.mask_logits(2 * grid.sqrt()).float()
        )  # sqrt: a single house covers little of a cell


def _mask_mlp(classes: int, count: int) -> nn.Sequential:
    inner = nn.Linear(GRID * GRID * classes, 256)
    return nn.Sequential(
        nn.Flatten(1), nn.Dropout(0.1), inner, nn.GELU(), nn.Dropout(0.5), nn.Linear(256, count)
    )

"""Reads off visual tokens, and off the mask where a model draws one, which words a pair's sentences use.

Legend: b pairs, q visual tokens of each, m LLM width, v words, k classes of change, g = `GRID`.
"""

from __future__ import annotations

import math
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GRID = 16
"""Cells a side in which a mask is read."""


def mask_grid(probabilities: Tensor) -> Tensor:
    """Share of each cell that is changed, as the LLM's words see it.

    Args:
        probabilities: (b, 1 + k, H, W), the class "none" first.

    Returns:
        (b, g, g, k) in [0, 1].
    """
    return F.adaptive_avg_pool2d(probabilities[:, 1:].float(), GRID).permute(0, 2, 3, 1)


class WordHead(nn.Module):
    """A pair uses a word if one of its visual tokens tells it, or the shape of its mask.

    The LLM attends to tokens by what they hold, so each of them has to tell its place itself; a layer over all
    tokens at once would know the place by the token's number. A mask has its places by its very shape.

    Args:
        width: m.
        count: v, the words.
        classes: k of the mask; 0 = no mask is read.
    """

    def __init__(self, width: int, count: int, classes: int = 0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.2)
        self.words = nn.Linear(width, count)
        nn.init.constant_(self.words.bias, -3.0)  # most words are not told
        self.shape = _shape_reader(classes, count) if classes else None

    def silenced(self, tokens: int) -> Self:
        """The head itself, which then answers 0 for every word of so many tokens."""
        nn.init.zeros_(self.words.weight)
        nn.init.constant_(self.words.bias, -math.log(tokens))  # the answer is a logsumexp over them
        for value in () if self.shape is None else self.shape[-1].parameters():
            nn.init.zeros_(value)
        return self

    def forward(self, visual: Tensor, grid: Tensor | None = None) -> Tensor:
        """The words of b pairs.

        Args:
            visual: (b, q, m).
            grid: `mask_grid` of their masks; read, and then needed, where the head has classes.

        Returns:
            Logits (b, v).
        """
        told = torch.logsumexp(self.words(self.dropout(visual)).float(), dim=1)
        if self.shape is None:
            return told
        if grid is None:
            raise ValueError("this head reads a mask beside the tokens, and was given none")
        return told + self.shape(2 * grid.sqrt()).float()  # roots: a lone house fills little of a cell


def _shape_reader(classes: int, count: int) -> nn.Sequential:
    inner = nn.Linear(GRID * GRID * classes, 256)
    return nn.Sequential(
        nn.Flatten(1), nn.Dropout(0.1), inner, nn.GELU(), nn.Dropout(0.5), nn.Linear(256, count)
    )

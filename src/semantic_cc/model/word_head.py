"""Reads off visual tokens which words a pair's sentences use.

Legend: b pairs, q visual tokens of each, m LLM width, v words.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WordHead(nn.Module):
    """A pair uses a word if one of its visual tokens tells it.

    The LLM attends to tokens by what they hold, so each of them has to tell its place itself; a layer over all
    tokens at once would know the place by the token's number.

    Args:
        width: m. count: v, the words.
    """

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.2)
        self.words = nn.Linear(width, count)
        nn.init.constant_(self.words.bias, -3.0)  # most words are not told

    def forward(self, visual: Tensor) -> Tensor:
        """(b, q, m) -> logits (b, v)."""
        return torch.logsumexp(self.words(self.dropout(visual)).float(), dim=1)

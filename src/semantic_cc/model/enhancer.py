"""Change semantic feature enhancer (paper Fig. 5, eq. 8) with the variants of Table III.

Legend: b pairs, q tokens per date, d token width, m output width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Enhancer(nn.Module):
    """Tokens of two dates -> difference tokens.

    Args:
        width: d. out_width: m.
        activation: whether to apply the gates of the first two formulas; without them all gates are 1.
        subtraction: whether to append the third block, the difference of the dates.
    """

    def __init__(self, width: int, out_width: int, activation: bool = True, subtraction: bool = True) -> None:
        super().__init__()
        self.gates = nn.ModuleList([nn.Linear(2 * width, 1) for _ in range(2)]) if activation else None
        self.subtraction = subtraction
        self.project = nn.Linear((3 if subtraction else 2) * width, out_width)
        if subtraction:
            self._start_as_difference(width)

    @torch.no_grad()
    def _start_as_difference(self, width: int) -> None:
        """Initialises the blocks as [0, 0, P] with orthogonal P, which cancels what the dates have in common."""
        self.project.weight[:, : 2 * width] = 0
        nn.init.orthogonal_(self.project.weight[:, 2 * width :])
        nn.init.zeros_(self.project.bias)

    @torch.no_grad()
    def start_from(self, projection: nn.Linear) -> None:
        """Initialises from the pretrained projection P: d -> m between Q-Former and LLM.

        All gates start at 0.5 and the blocks as [P, P, 0]; without gates the blocks start as [P/2, P/2, 0]. Two equal
        dates F then give P F.
        """
        share = 0.5
        if self.gates is not None:
            for parameter in self.gates.parameters():
                nn.init.zeros_(parameter)
            share = 1.0
        width = projection.in_features
        self.project.weight.zero_()
        self.project.weight[:, :width] = self.project.weight[:, width : 2 * width] = share * projection.weight
        self.project.bias.copy_(projection.bias)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Two tensors (b, q, d) -> (b, q, m)."""
        if self.gates is not None:
            gate1 = torch.sigmoid(self.gates[0](torch.cat([first, second], dim=-1)))  # (b, q, 1)
            gate2 = torch.sigmoid(self.gates[1](torch.cat([second, first], dim=-1)))
            first, second = first * gate1, second * gate2
        blocks = [first, second, first - second] if self.subtraction else [first, second]
        return self.project(torch.cat(blocks, dim=-1))

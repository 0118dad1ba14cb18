"""Pairs as the encoder's cached tokens, turned and mirrored together with the places that their sentences name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from semantic_cc.data.augment.symmetry import SYMMETRIES, Symmetry
from semantic_cc.data.augment.transforms import turn_sentences
from semantic_cc.training.sampling import SampleRef

Sentences = tuple[str, ...]
_SYMMETRY = 2  # keeps these draws apart from those of `sampling`


class SymmetricPairs(Dataset[tuple[Tensor, int, int]]):
    """Cached tokens, each time under another symmetry of the square.

    A turned grid of tokens is not quite what the encoder makes of the turned images, but it shows the Q-Former the
    same change in eight places at no cost.

    Args:
        tokens: (n, 2, h, w, c).
        references: the sentences of the n pairs.
        seed: of the symmetries, which are drawn evenly among those under which every sentence of a pair can be
            rewritten; of a grid that is no square, among the four that keep its shape.
    """

    def __init__(self, tokens: Tensor, references: Sequence[Sentences], seed: int) -> None:
        self.tokens = tokens
        square = tokens.shape[2] == tokens.shape[3]
        self.symmetries = [symmetry for symmetry in SYMMETRIES if square or not symmetry.swaps_axes]
        self.sentences = [
            [turn_sentences(sentences, symmetry) for symmetry in self.symmetries] for sentences in references
        ]
        """Of each pair and symmetry; None where a sentence cannot be rewritten."""
        self.seed = seed

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, ref: SampleRef) -> tuple[Tensor, int, int]:
        """Turned tokens (2, h, w, c), the row, and the symmetry's number, for `sentences`."""
        known = [number for number, said in enumerate(self.sentences[ref.index]) if said is not None]
        draw = np.random.default_rng([self.seed, _SYMMETRY, ref.epoch, ref.position])
        number = known[draw.integers(len(known))]
        return turn_tokens(self.tokens[ref.index], self.symmetries[number]), ref.index, number


def turn_tokens(tokens: Tensor, symmetry: Symmetry) -> Tensor:
    """(..., h, w, c) under a symmetry, as `Symmetry.of_array` moves a picture."""
    turned = torch.rot90(tokens, symmetry.turns, (-3, -2))
    return turned.flip(-2) if symmetry.mirror else turned

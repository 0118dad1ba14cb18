"""Cached encoder tokens under rotations and reflections, with the places in the sentences rewritten to match."""

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
_SYMMETRY = 2  # makes these draws independent of those in `sampling`


class SymmetricPairs(Dataset[tuple[Tensor, int, int]]):
    """Cached tokens, under a random symmetry of the square at each visit.

    The transformed tokens only approximate the tokens of the transformed images, but need no encoder pass.

    Args:
        tokens: (n, 2, h, w, c).
        references: sentences of the n pairs.
        seed: seed of the draws. They are uniform over the symmetries under which all sentences of the pair can be
            rewritten; for grids that are not square, over those of the four that keep the shape.
    """

    def __init__(self, tokens: Tensor, references: Sequence[Sentences], seed: int) -> None:
        self.tokens = tokens
        square = tokens.shape[2] == tokens.shape[3]
        self.symmetries = [symmetry for symmetry in SYMMETRIES if square or not symmetry.swaps_axes]
        self.sentences = [
            [turn_sentences(sentences, symmetry) for symmetry in self.symmetries] for sentences in references
        ]
        """Sentences per pair and symmetry; None if a sentence cannot be rewritten."""
        self.seed = seed

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, ref: SampleRef) -> tuple[Tensor, int, int]:
        """Transformed tokens (2, h, w, c), and the two indices into `sentences`: pair and symmetry."""
        known = [number for number, said in enumerate(self.sentences[ref.index]) if said is not None]
        draw = np.random.default_rng([self.seed, _SYMMETRY, ref.epoch, ref.position])
        number = known[draw.integers(len(known))]
        return turn_tokens(self.tokens[ref.index], self.symmetries[number]), ref.index, number


def turn_tokens(tokens: Tensor, symmetry: Symmetry) -> Tensor:
    """Applies a symmetry to tokens (..., h, w, c), as `Symmetry.of_array` does to an image."""
    turned = torch.rot90(tokens, symmetry.turns, (-3, -2))
    return turned.flip(-2) if symmetry.mirror else turned

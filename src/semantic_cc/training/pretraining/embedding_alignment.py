"""Aligns visual tokens with the LLM's input embeddings, by one linear map in closed form.

After word prediction, most variance of the visual tokens is the amount of change. An LLM then needs thousands of steps
to use directions such as "left". The map has three factors:

- whitening, so that position and number have the same variance as the amount of change;
- an orthogonal Procrustes rotation from each word's direction to the embedding of that word;
- a gain on the few directions of positions and numbers, which the LLM otherwise learns late.

The map is folded into the last layer before the LLM. Legend: n pairs, q tokens per pair, m LLM width, v words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from semantic_cc.model.caption_decoder import CaptionDecoder

FLOOR = 1e-3
"""Regularisation of the whitening: variance added to each direction, as a fraction of the total variance."""
LOUD = (
    (("left", "right", "top", "bottom", "middle", "center", "corner"), 6.0),
    (("one", "two", "three", "four", "five", "some", "many", "several", "few"), 3.0),
)
"""Words, and the gain on their directions."""
OWN = 0.3
"""Singular value above which unit directions span a further dimension."""


@torch.no_grad()
def translate(decoder: CaptionDecoder, visual: Tensor, directions: Tensor, known: Sequence[str]) -> None:
    """Folds the map into the last layer before the LLM, and scales the tokens to the mean norm of the embeddings.

    The flag head is adapted, so its output does not change.

    Args:
        decoder: caption decoder, modified in place.
        visual: (n, q, m), its visual tokens.
        directions: (v, m), weights of the linear word classifier on a token.
        known: the v words.
    """
    embeddings = decoder.llm.get_input_embeddings().weight.float()
    tokens = visual.float().flatten(0, 1)
    centre = tokens.mean(dim=0)
    whiten, colour = whitening(tokens - centre)
    meant = torch.stack(
        [embeddings[decoder.prompter.ids(f" {word}")].mean(dim=0) for word in known]
    ) - embeddings.mean(dim=0)
    change = nearest_rotation(directions.float() @ colour, meant) @ whiten
    for loud, gain in LOUD:
        rows = [row for row, word in enumerate(known) if word in loud]
        if rows:
            change = louder(moved(directions[rows].float(), change), gain) @ change
    size = embeddings.norm(dim=-1).mean() / ((tokens - centre) @ change.T).norm(dim=-1).mean()
    change *= size
    last = cast(nn.Linear, decoder.enhancer.project if decoder.to_llm is None else decoder.to_llm)
    last.bias.copy_(change @ (last.bias - centre))
    last.weight.copy_(change @ last.weight)
    if decoder.flag is not None:
        flag = cast(nn.Linear, decoder.flag)
        flag.bias.add_(flag.weight[0] @ centre)
        flag.weight.copy_(moved(flag.weight, change))


def whitening(centred: Tensor) -> tuple[Tensor, Tensor]:
    """Symmetric whitening matrix of zero-mean rows (k, m), regularised by `FLOOR`, and its inverse."""
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
    scale = (values.clamp(min=0) + FLOOR * values.sum()).sqrt()
    return vectors / scale @ vectors.T, vectors * scale @ vectors.T


def nearest_rotation(sources: Tensor, targets: Tensor) -> Tensor:
    """The orthogonal (m, m) matrix that best maps directions of sources (v, m) to directions of targets (v, m)."""
    left, _, right = torch.linalg.svd(F.normalize(targets, dim=1).T @ F.normalize(sources, dim=1))
    return left @ right


def moved(directions: Tensor, change: Tensor) -> Tensor:
    """Linear weights (k, m) that give the same products with mapped tokens as `directions` with the original ones."""
    return torch.linalg.solve(change.T, directions.T).T


def louder(directions: Tensor, gain: float) -> Tensor:
    """The symmetric (m, m) matrix that scales the span of directions (k, m) by `gain` and keeps its complement."""
    left, values, _ = torch.linalg.svd(F.normalize(directions, dim=1).T, full_matrices=False)
    own = left[:, values > OWN]
    return torch.eye(len(own)).to(own) + (gain - 1) * own @ own.T

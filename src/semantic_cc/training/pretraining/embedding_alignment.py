"""Visual tokens in the LLM's own tongue: even in all directions, and a word's direction near its embedding.

Tokens that have learned words hold them in directions of their own, and mostly one thing: how much changed. An LLM
finds "left" in such tokens only after thousands of steps. One linear map, found in closed form and laid into the last
layer before the LLM, whitens the tokens (so that place and number are as loud as the amount) and rotates them as
closely as a rotation can (orthogonal Procrustes) from each word's direction to the embedding of that word. The few
directions that tell places and numbers are then made louder than the rest: among hundreds an LLM finds them late.

Legend: n pairs, q tokens of each, m LLM width, v words.
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
"""Variance, as a share of all, below which a direction is not made louder."""
LOUD = (
    (("left", "right", "top", "bottom", "middle", "center", "corner"), 6.0),
    (("one", "two", "three", "four", "five", "some", "many", "several", "few"), 3.0),
)
"""Words, and by how much the directions that tell them are louder than others."""
OWN = 0.3
"""Singular value of unit directions from which on they span one more."""


@torch.no_grad()
def translate(decoder: CaptionDecoder, visual: Tensor, directions: Tensor, known: Sequence[str]) -> None:
    """Changes the last layer before the LLM so that its tokens come in the LLM's tongue, at its embeddings' size.

    The flag head is changed with it: the flag stays as it was.

    Args:
        decoder: whose layers are changed.
        visual: (n, q, m), tokens it gives.
        directions: (v, m), what a token is multiplied with to tell whether it tells a word.
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
        told = [row for row, word in enumerate(known) if word in loud]
        if told:
            change = louder(moved(directions[told].float(), change), gain) @ change
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
    """The symmetric map that brings rows (k, m) of mean 0 to equal variance in all directions, and its inverse.

    What is below `FLOOR` of all variance becomes no louder than what is at it.
    """
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
    scale = (values.clamp(min=0) + FLOOR * values.sum()).sqrt()
    return vectors / scale @ vectors.T, vectors * scale @ vectors.T


def nearest_rotation(sources: Tensor, targets: Tensor) -> Tensor:
    """The orthogonal (m, m) that turns the directions of sources (v, m) towards those of targets (v, m)."""
    left, _, right = torch.linalg.svd(F.normalize(targets, dim=1).T @ F.normalize(sources, dim=1))
    return left @ right


def moved(directions: Tensor, change: Tensor) -> Tensor:
    """(k, m), which tell of changed tokens what `directions` (k, m) told of them before."""
    return torch.linalg.solve(change.T, directions.T).T


def louder(directions: Tensor, gain: float) -> Tensor:
    """The symmetric (m, m) map that multiplies what lies along some directions (k, m) by `gain`, and nothing else."""
    left, values, _ = torch.linalg.svd(F.normalize(directions, dim=1).T, full_matrices=False)
    own = left[:, values > OWN]
    return torch.eye(len(own)).to(own) + (gain - 1) * own @ own.T

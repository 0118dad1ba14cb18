"""The LLM's LoRA learns sentences from visual tokens whose layers stay as they are."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import TYPE_CHECKING, cast

import torch
from lightning.fabric import Fabric
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from semantic_cc.config import Config
from semantic_cc.data.augment.place_words import named_places
from semantic_cc.losses import caption_loss
from semantic_cc.training import stages
from semantic_cc.training.pretraining.optimisation_loop import minimise
from semantic_cc.training.pretraining.symmetric_views import SymmetricPairs
from semantic_cc.training.pretraining.token_cache import instructions_for, visual_tokens

if TYPE_CHECKING:
    from semantic_cc.model.semantic_cc import SemanticCCModel

AT_ONCE = 8
"""Pairs a step."""
LR = 2e-3
"""Peak learning rate of the LLM's LoRA alone; four times as high as whole caption paths bear."""


def read(
    model: SemanticCCModel,
    pairs: SymmetricPairs,
    rows: Sequence[int],
    places: int,
    epochs: int,
    config: Config,
    fabric: Fabric,
) -> list[float]:
    """The LLM's LoRA learns the sentences of some pairs from their visual tokens, whose layers no longer change.

    Args:
        model: aligned, its visual tokens translated.
        pairs: all pairs.
        rows: those that the LLM is to tell of.
        places: passes over those of them whose sentences name a place, before all else; every second visit after
            is then another of these. Where something is, an LLM learns last, and leaves out while it is unsure.
        epochs: passes over all of them.
        config: seed, sentences a visit; optimiser settings but for the rate.
        fabric: device and precision.

    Returns:
        The loss of every step.

    Raises:
        TrainingError: the LLM has no LoRA, or the loss is no longer finite.
    """
    decoder, rng = model.caption_decoder, random.Random(config.train.seed)
    stages.apply(stages.LLM_LORA, model)
    parameters = {name: value for name, value in model.named_parameters() if value.requires_grad}

    def loss_of(given: tuple[Tensor, ...]) -> Tensor:
        tokens, numbers, symmetries = given[0], given[1].tolist(), given[2].tolist()
        asked = instructions_for(numbers)
        with torch.no_grad():
            visual = visual_tokens(decoder, tokens, asked)
        told = [
            pairs.sentences[row][symmetry] or () for row, symmetry in zip(numbers, symmetries, strict=True)
        ]
        drawn = [rng.sample(own, min(config.train.sentences, len(own))) for own in told]
        return caption_loss(*decoder.teach(visual, asked, drawn))

    visits = _visits(
        rows, [row for row in rows if _tells_place(pairs.sentences[row][0] or ())], places, epochs, rng
    )
    loader = cast("DataLoader[tuple[Tensor, ...]]", DataLoader(Subset(pairs, visits), AT_ONCE))
    return minimise("read", fabric, parameters, config, LR, 1, loader, loss_of)


def _visits(
    rows: Sequence[int], placed: Sequence[int], places: int, epochs: int, rng: random.Random
) -> list[int]:
    """Which pairs are read, one after the other: `read` says in what order."""

    def passes(part: Sequence[int], number: int | None = None) -> Iterator[int]:
        turns = repeat(part) if number is None else repeat(part, number)
        return chain.from_iterable(rng.sample(turn, len(turn)) for turn in turns)

    every = list(passes(rows, epochs))
    if not places or not placed:
        return every
    return [*passes(placed, places), *chain.from_iterable(zip(every, passes(placed), strict=False))]


def _tells_place(sentences: Sequence[str]) -> bool:
    """Whether most of the sentences name a place in the picture."""
    return 2 * sum(bool(named_places(sentence.lower())) for sentence in sentences) > len(sentences)

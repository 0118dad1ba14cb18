"""Phase `llm`: trains the LLM's LoRA on the sentences, with all other parts frozen.

Encoder and neck run once; their tokens are cached in memory, which makes the training steps cheap.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, repeat
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from semantic_cc.data.augment.place_words import named_places
from semantic_cc.data.items import ChangeDataset
from semantic_cc.data.open_dataset import name_of, open_dataset
from semantic_cc.errors import DataError
from semantic_cc.losses import caption_loss
from semantic_cc.training import stages
from semantic_cc.training.pretraining.symmetric_views import SymmetricPairs
from semantic_cc.training.pretraining.token_cache import drawn, encode, instructions_for, visual_tokens
from semantic_cc.training.row_task import RowTask
from semantic_cc.training.staged_task import float_parameters
from semantic_cc.training.task import OpenedData, PhaseRun

if TYPE_CHECKING:
    from semantic_cc.model.base import ChangeModel
    from semantic_cc.model.semantic_cc import SemanticCCModel


def open_llm_phase(run: PhaseRun) -> OpenedData:
    """Opens the phase's data.

    With a flag head, only changed pairs are used: unchanged pairs get a fixed sentence.

    Raises:
        DataError: no such dataset; no pair to learn a sentence from; images of different sizes.
    """
    items = [
        replace(item, label=None)
        for item in open_dataset(run.data, "train").items
        if item.sentences and (item.changed or not run.config.model.flag_head)
    ]
    if not items:
        raise DataError(
            f"{name_of(run.data)}: no changed pair with sentences for phase {run.name}; leave the phase out with "
            f"--phases.{run.name} null"
        )
    items = drawn(items, run.phase.items, run.seed)
    placed = [row for row, item in enumerate(items) if _names_place(item.sentences)]
    visits = visits_of(
        range(len(items)), placed, run.phase.place_epochs, run.phase.epochs, random.Random(run.seed)
    )

    def task(given: ChangeModel) -> RowTask:
        model = cast("SemanticCCModel", given.to(run.fabric.device))
        decoder = model.caption_decoder
        pairs = SymmetricPairs(
            encode(model, ChangeDataset(items), run.fabric), [item.sentences for item in items], run.seed
        )
        stages.apply(stages.LLM_LORA, model)
        parameters = float_parameters(model, stages.trainable_names(stages.LLM_LORA, model))

        def loss_of(rows: tuple[Tensor, ...], draw: random.Random) -> Tensor:
            tokens, numbers, symmetries = rows[0], rows[1].tolist(), rows[2].tolist()
            instructions = instructions_for(numbers)
            with torch.no_grad():
                visual = visual_tokens(decoder, tokens, instructions)
            known = [
                pairs.sentences[n][symmetry] or () for n, symmetry in zip(numbers, symmetries, strict=True)
            ]
            learned = [draw.sample(own, min(run.phase.sentences, len(own))) for own in known]
            return caption_loss(*decoder.teach(visual, instructions, learned))

        task = RowTask(run, parameters, pairs, lambda _: visits, loss_of)
        task.epochs = 1  # `visits` covers all passes
        return task

    return OpenedData(len(items), -(-len(visits) // run.phase.batch), task)


def visits_of(
    rows: Sequence[int], placed: Sequence[int], place_epochs: int, epochs: int, rng: random.Random
) -> list[int]:
    """Order in which the pairs are visited.

    Args:
        rows: all pairs.
        placed: pairs whose sentences name a place.
        place_epochs: passes over `placed` at the start; every second later visit is then one of them, too. An LLM
            learns places last, and omits them while uncertain.
        epochs: passes over `rows`.
        rng: random generator for the order.
    """

    def passes(part: Sequence[int], number: int | None = None) -> Iterator[int]:
        turns = repeat(part) if number is None else repeat(part, number)
        return chain.from_iterable(rng.sample(turn, len(turn)) for turn in turns)

    every = list(passes(rows, epochs))
    if not place_epochs or not placed:
        return every
    return [*passes(placed, place_epochs), *chain.from_iterable(zip(every, passes(placed), strict=False))]


def _names_place(sentences: Sequence[str]) -> bool:
    """Whether most of the sentences name a place in the image."""
    return 2 * sum(bool(named_places(sentence.lower())) for sentence in sentences) > len(sentences)

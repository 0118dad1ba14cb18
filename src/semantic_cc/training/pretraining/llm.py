"""Phase `llm`: trains the LLM's LoRA on the sentences, and, with `train_qformer`, the caption path up to the LLM.

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
from semantic_cc.losses import caption_loss, flag_loss
from semantic_cc.training import stages
from semantic_cc.training.initialisation import require_flags
from semantic_cc.training.pretraining.symmetric_views import SymmetricPairs
from semantic_cc.training.pretraining.token_cache import drawn, encode, instructions_for, visual_tokens
from semantic_cc.training.row_task import RowTask
from semantic_cc.training.staged_task import float_parameters
from semantic_cc.training.task import OpenedData, PhaseRun

if TYPE_CHECKING:
    from semantic_cc.model.base import ChangeModel
    from semantic_cc.model.caption_decoder import CaptionDecoder
    from semantic_cc.model.semantic_cc import SemanticCCModel


def open_llm_phase(run: PhaseRun) -> OpenedData:
    """Opens the phase's data.

    With a flag head, sentences are learned from changed pairs only: unchanged pairs get a fixed sentence. Unchanged
    pairs are used where the flag head trains, too.

    Raises:
        DataError: no such dataset; no pair to learn a sentence from; no change flags for a flag head that trains;
            images of different sizes.
    """
    whole, has_flag = run.phase.train_qformer, run.config.model.flag_head
    items = [
        replace(item, label=None)
        for item in open_dataset(run.data, "train").items
        if item.sentences and (item.changed or whole or not has_flag)
    ]
    if not any(item.changed or not has_flag for item in items):
        raise DataError(
            f"{name_of(run.data)}: no changed pair with sentences for phase {run.name}; leave the phase out with "
            f"--phases.{run.name} null"
        )
    items = drawn(items, run.phase.items, run.seed)
    dataset = ChangeDataset(items)
    if whole and has_flag:
        require_flags(dataset)
    spoken = [bool(item.changed) or not has_flag for item in items]
    placed = [row for row, item in enumerate(items) if spoken[row] and _names_place(item.sentences)]
    visits = visits_of(
        range(len(items)), placed, run.phase.place_epochs, run.phase.epochs, random.Random(run.seed)
    )

    def task(given: ChangeModel) -> RowTask:
        model = cast("SemanticCCModel", given.to(run.fabric.device))
        decoder = model.caption_decoder
        pairs = SymmetricPairs(
            encode(model, dataset, run.fabric), [item.sentences for item in items], run.seed
        )
        stage = stages.LLM_AND_QFORMER if whole else stages.LLM_LORA
        stages.apply(stage, model)
        parameters = float_parameters(model, stages.trainable_names(stage, model))
        changed = torch.tensor([float(bool(item.changed)) for item in items], device=run.fabric.device)

        def batch_loss(rows: tuple[Tensor, ...], draw: random.Random) -> Tensor:
            tokens, numbers, symmetries = rows[0], rows[1].tolist(), rows[2].tolist()
            instructions = instructions_for(numbers)
            with torch.set_grad_enabled(whole):
                visual = visual_tokens(decoder, tokens, instructions)
            learned = []
            for number, symmetry in zip(numbers, symmetries, strict=True):
                known = (pairs.sentences[number][symmetry] or ()) if spoken[number] else ()
                learned.append(draw.sample(known, min(run.phase.sentences, len(known))))
            return loss_of(decoder, visual, instructions, learned, changed[rows[1]] if whole else None)

        task = RowTask(run, parameters, pairs, lambda _: visits, batch_loss)
        task.epochs = 1  # `visits` covers all passes
        return task

    return OpenedData(len(items), -(-len(visits) // run.phase.batch), task)


def loss_of(
    decoder: CaptionDecoder,
    visual: Tensor,
    instructions: Sequence[str],
    learned: Sequence[Sequence[str]],
    changed: Tensor | None,
) -> Tensor:
    """Caption loss of the pairs with sentences, plus the flag loss of all if `changed` (b,) is given.

    Args:
        decoder: the caption decoder. visual: (b, q, m). instructions: b texts. learned: sentences of each pair.
        changed: (b,) of 0 and 1; None = the flag head does not train.
    """
    losses = []
    flag = None if changed is None else decoder.flag_logits(visual)
    if flag is not None and changed is not None:
        losses.append(flag_loss(flag, changed))
    told = [row for row, own in enumerate(learned) if own]
    if told:
        said = [instructions[row] for row in told], [learned[row] for row in told]
        losses.append(caption_loss(*decoder.teach(visual[told], *said)))
    return torch.stack(losses).sum()


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

"""Phase `llm`: trains the LLM's LoRA on the sentences, and, with `train_qformer`, the caption path up to the LLM.

Encoder and neck run once; their tokens are cached in memory, which makes the training steps cheap.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from semantic_cc.data.items import ChangeDataset
from semantic_cc.data.open_dataset import name_of, open_dataset
from semantic_cc.errors import DataError
from semantic_cc.losses import caption_loss, flag_loss
from semantic_cc.training import stages
from semantic_cc.training.initialisation import require_flags
from semantic_cc.training.pretraining.symmetric_views import SymmetricPairs
from semantic_cc.training.pretraining.token_cache import drawn, encode, instructions_for, visual_tokens
from semantic_cc.training.row_task import RowTask, shuffled
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
            f"{name_of(run.data)}: no changed pair with captions for phase {run.name}; leave the phase out with "
            f"--phases.{run.name} null"
        )
    items = drawn(items, run.phase.items, run.seed)
    dataset = ChangeDataset(items)
    if whole and has_flag:
        require_flags(dataset)
    spoken = [bool(item.changed) or not has_flag for item in items]

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
                visual = visual_tokens(decoder, tokens)
            learned = []
            for number, symmetry in zip(numbers, symmetries, strict=True):
                known = (pairs.sentences[number][symmetry] or ()) if spoken[number] else ()
                learned.append(draw.sample(known, min(run.phase.sentences, len(known))))
            flags = changed[rows[1]] if whole else None
            return loss_of(decoder, visual, instructions, learned, flags, run.config.train.flag_weight)

        return RowTask(run, parameters, pairs, shuffled(len(items), run.seed), batch_loss)

    return OpenedData(len(items), run.phase.epochs * -(-len(items) // run.phase.batch), task)


def loss_of(
    decoder: CaptionDecoder,
    visual: Tensor,
    instructions: Sequence[str],
    learned: Sequence[Sequence[str]],
    changed: Tensor | None,
    flag_weight: float = 1.0,
) -> Tensor:
    """Caption loss of the pairs with sentences, plus the weighted flag loss of all if `changed` (b,) is given.

    Args:
        decoder: the caption decoder. visual: (b, q, m). instructions: b texts. learned: sentences of each pair.
        changed: (b,) of 0 and 1; None = the flag head does not train.
        flag_weight: weight of the flag loss.
    """
    losses = []
    flag = None if changed is None else decoder.flag_logits(visual)
    if flag is not None and changed is not None:
        losses.append(flag_weight * flag_loss(flag, changed))
    taught = decoder.teach_captioned(visual, instructions, learned)
    if taught is not None:
        losses.append(caption_loss(*taught))
    return torch.stack(losses).sum()

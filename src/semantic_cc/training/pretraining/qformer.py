"""Phase `qformer`: word prediction, for a Q-Former without BLIP-2's weights.

The caption path up to the LLM learns which words a pair's sentences use, through a linear layer on the visual tokens.
`embedding_alignment` then maps the tokens to the LLM's embeddings, and the linear layer is discarded. Without this
phase, the Q-Former learns from the LLM's loss to output the same tokens for all pairs.

Encoder and neck run once; their tokens are cached in memory, in bfloat16 (1 KiB per pair and token at width 256). Each
visit uses them under a random rotation or reflection, with the sentences rewritten to match.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from semantic_cc.data.items import ChangeDataset
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.errors import DataError
from semantic_cc.losses import flag_loss
from semantic_cc.metrics.tokenisation import words
from semantic_cc.model.keyword_head import KeywordHead
from semantic_cc.training import stages
from semantic_cc.training.initialisation import require_flags
from semantic_cc.training.pretraining.embedding_alignment import translate
from semantic_cc.training.pretraining.symmetric_views import SymmetricPairs
from semantic_cc.training.pretraining.token_cache import (
    all_visual_tokens,
    drawn,
    encode,
    visual_tokens,
)
from semantic_cc.training.row_task import RowTask, shuffled
from semantic_cc.training.staged_task import float_parameters
from semantic_cc.training.task import OpenedData, PhaseRun

if TYPE_CHECKING:
    from semantic_cc.model.base import ChangeModel
    from semantic_cc.model.caption_decoder import CaptionDecoder
    from semantic_cc.model.semantic_cc import SemanticCCModel

RARE = 0.005
"""Minimum fraction of pairs whose sentences use a word; rarer words are ignored."""
ALIGNED_BY = 400
"""Number of pairs for the alignment."""


def open_qformer_phase(run: PhaseRun) -> OpenedData:
    """Opens the phase's data.

    Raises:
        DataError: no such dataset; no sentences; no change flags for a model with a flag head; images of different
            sizes.
    """
    items = [replace(item, label=None) for item in open_dataset(run.data, "train").items if item.sentences]
    items = drawn(items, run.phase.items, run.seed)
    known = vocabulary([item.sentences for item in items])
    dataset = ChangeDataset(items)
    has_flag = run.config.model.flag_head
    if has_flag:
        require_flags(dataset)
    spoken = [row for row, item in enumerate(items) if item.changed or not has_flag]

    def task(given: ChangeModel) -> RowTask:
        torch.manual_seed(run.seed)
        device = run.fabric.device
        model = cast("SemanticCCModel", given.to(device))
        decoder = model.caption_decoder
        pairs = SymmetricPairs(
            encode(model, dataset, run.fabric), [item.sentences for item in items], run.seed
        )
        stages.apply(stages.QFORMER, model)
        parameters = float_parameters(model, stages.trainable_names(stages.QFORMER, model))
        head = KeywordHead(decoder.llm_width, len(known)).to(device)
        parameters |= {f"head.{name}": value for name, value in head.named_parameters()}
        present = torch.stack([uses(known, own) for own in pairs.sentences]).to(device)
        changed = torch.tensor([float(bool(item.changed)) for item in items]).to(device)

        def loss_of(given: tuple[Tensor, ...], draw: random.Random) -> Tensor:
            tokens, rows, symmetries = given
            weight = run.config.train.flag_weight
            return word_loss(decoder, head, tokens, present[rows, symmetries], changed[rows], weight)

        def finish() -> dict[str, Any]:
            model.eval()  # no dropout, as for the LLM
            visual = all_visual_tokens(decoder, pairs.tokens[(spoken or [0])[:ALIGNED_BY]], run.fabric)
            translate(decoder, visual, head.token_logits.weight, known)
            return {"pairs": len(items), "words": len(known)}

        order = shuffled(len(items), run.seed)
        return RowTask(run, parameters, pairs, order, loss_of, finish=finish)

    return OpenedData(len(items), run.phase.epochs * -(-len(items) // run.phase.batch), task)


def vocabulary(references: Sequence[Sequence[str]]) -> list[str]:
    """Words that are not rare among the pairs' sentences, in alphabetical order.

    Raises:
        DataError: there are none.
    """
    counts = Counter(word for texts in references for word in phrases_of(texts))
    known = sorted(word for word, count in counts.items() if count >= RARE * len(references))
    if not known:
        raise DataError("the pairs have no captions to learn words from; add some, or leave out the phase")
    return known


def uses(known: Sequence[str], alternatives: Sequence[Sequence[str] | None]) -> Tensor:
    """Multi-hot encoding (s, v) float32 of the v known words and phrases that each of s sets of sentences uses."""
    longest = max((len(word.split()) for word in known), default=1)
    used = [phrases_of(texts or (), longest) for texts in alternatives]
    return torch.tensor([[float(word in own) for word in known] for own in used])


def phrases_of(texts: Sequence[str], longest: int = 1) -> set[str]:
    """All words of the sentences, and phrases of up to `longest` words."""
    found = set()
    for said in (words(text).split() for text in texts):
        for n in range(1, longest + 1):
            found |= {" ".join(said[at : at + n]) for at in range(len(said) - n + 1)}
    return found


def word_loss(
    decoder: CaptionDecoder,
    head: nn.Module,
    tokens: Tensor,
    present: Tensor,
    changed: Tensor,
    flag_weight: float = 1.0,
) -> Tensor:
    """Binary cross-entropy of the words, plus the weighted one of the change flag if the model has a flag head.

    Args:
        decoder, head: caption path, and the linear layer on its visual tokens.
        tokens: (b, 2, h, w, c), from `encode`. present: (b, v) of 0 and 1. changed: (b,) of 0 and 1.
        flag_weight: weight of the flag's loss.
    """
    visual = visual_tokens(decoder, tokens)
    loss = F.binary_cross_entropy_with_logits(head(visual).float(), present)
    flag = decoder.flag_logits(visual)
    return loss if flag is None else loss + flag_weight * flag_loss(flag, changed)

"""What stands in for BLIP-2's two pretraining stages where a Q-Former has none.

Words: the caption path up to the LLM learns to tell which words a pair's sentences use; a linear layer reads them
off the visual tokens and is thrown away. Reading: the LLM's LoRA learns the sentences from these tokens, whose
layers stay as they are. An LLM that cannot read yet would teach the Q-Former one token for all pairs.

Without encoder and neck in the step a visit costs little, so each pair is seen dozens of times before stage ii.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from semantic_cc.config import Config
from semantic_cc.data.items import ChangeDataset
from semantic_cc.data.open_dataset import name_of, open_dataset
from semantic_cc.errors import ConfigError, DataError
from semantic_cc.losses import flag_loss
from semantic_cc.metrics.tokenisation import words
from semantic_cc.model.keyword_head import KeywordHead
from semantic_cc.training import stages
from semantic_cc.training.devices import fabric_of
from semantic_cc.training.initialisation import refuse_untrained_foundations, require_flags, starting_model
from semantic_cc.training.pretraining.embedding_alignment import translate
from semantic_cc.training.pretraining.llm import read
from semantic_cc.training.pretraining.optimisation_loop import minimise
from semantic_cc.training.pretraining.symmetric_views import SymmetricPairs
from semantic_cc.training.pretraining.token_cache import (
    all_visual_tokens,
    drawn,
    encode,
    instructions_for,
    visual_tokens,
)

if TYPE_CHECKING:
    from semantic_cc.model.caption_decoder import CaptionDecoder
    from semantic_cc.model.semantic_cc import SemanticCCModel

RARE = 0.005
"""Words of fewer pairs than this share are left out: nothing is learned from a handful."""
TRANSLATED_BY = 400
"""Pairs whose visual tokens the translation is made from."""


def align(
    config: Config,
    out: Path,
    epochs: int = 20,
    batch: int = 32,
    lr: float = 1e-3,
    pairs: int | None = None,
    reading: int = 0,
    places: int = 0,
) -> list[float]:
    """Trains projection, queries, Q-Former, enhancer and flag head on the words of `config.data`'s train split.

    Then the LLM's LoRA on its sentences, if `reading` says so.

    Encoder and neck stay as they are and run once; their tokens are held in memory, in bfloat16 (1 KiB a
    pair and token at width 256), and each visit sees them turned or mirrored, with the sentences that are true then.

    Args:
        config: the model (`starting_model`), data, seed and precision; optimiser settings but for the rate.
        out: folder for the model, which training goes on from: --train.init FOLDER.
        epochs: passes over the pairs.
        batch: pairs a step.
        lr: peak learning rate.
        pairs: how many pairs, drawn by the configuration's seed; None = all.
        reading: passes over the pairs in which the LLM learns to read the tokens; of each visit it learns
            `train.sentences` sentences, of unchanged pairs none where the model has a flag head.
        places: passes before these over the pairs whose sentences name a place, which then are half of the visits
            (`read`).

    Returns:
        The loss of every step, of words and then of reading.

    Raises:
        ConfigError: there is no Q-Former, or it is frozen, or SAM is at its random start.
        DataError: no such dataset, or one without sentences or a changed pair to read of; images of several sizes.
        OutputError: `out` cannot be written.
        TrainingError: the loss is no longer finite, or the LLM has no LoRA to read with.
    """
    from semantic_cc.checkpoint.serialization import save_pretrained

    if config.model.method != "semantic-cc":
        raise ConfigError(f"configuration: model.method {config.model.method} has no Q-Former to align")
    if config.model.qformer.frozen:
        raise ConfigError("configuration: model.qformer.frozen leaves nothing to align; set it false")
    refuse_untrained_foundations(config)
    told = [replace(item, label=None) for item in open_dataset(config.data, "train").items if item.sentences]
    told = drawn(told, pairs, config.train.seed)
    known = vocabulary([item.sentences for item in told])
    dataset = ChangeDataset(told)
    if config.model.flag_head:
        require_flags(dataset)
    tellable = [row for row, item in enumerate(told) if item.changed or not config.model.flag_head]
    if reading and not tellable:
        raise DataError(f"{name_of(config.data)}: no changed pair for the LLM to read of; leave reading out")
    fabric = fabric_of(config.train.precision)
    torch.manual_seed(config.train.seed)
    model = cast("SemanticCCModel", starting_model(config)).to(fabric.device)
    seen = SymmetricPairs(
        encode(model, dataset, fabric), [item.sentences for item in told], config.train.seed
    )
    decoder = model.caption_decoder
    stages.apply(stages.QFORMER, model)
    parameters = {name: value for name, value in model.named_parameters() if value.requires_grad}
    head = KeywordHead(decoder.llm_width, len(known)).to(fabric.device)
    parameters |= {f"head.{name}": value for name, value in head.named_parameters()}
    present = torch.stack([uses(known, own) for own in seen.sentences]).to(fabric.device)
    changed = torch.tensor([float(bool(item.changed)) for item in told]).to(fabric.device)

    def loss_of(given: tuple[Tensor, ...]) -> Tensor:
        tokens, rows, symmetries = given
        return word_loss(decoder, head, tokens, present[rows, symmetries], changed[rows])

    loader = cast("DataLoader[tuple[Tensor, ...]]", DataLoader(seen, batch, shuffle=True))
    losses = minimise("align", fabric, parameters, config, lr, epochs, loader, loss_of)
    if reading:
        model.eval()  # tokens as the LLM will see them, without dropout
        visual = all_visual_tokens(decoder, seen.tokens[tellable[:TRANSLATED_BY]], fabric)
        translate(decoder, visual, head.token_logits.weight, known)
        losses += read(model, seen, tellable, places, reading, config, fabric)
    facts = {
        "aligned_epochs": epochs,
        "reading_epochs": reading,
        "places_epochs": places,
        "aligned_pairs": len(told),
        "seed": config.train.seed,
        "data": config.data,
    }
    save_pretrained(model, out, name=config.preset, training=facts)
    return losses


def vocabulary(references: Sequence[Sequence[str]]) -> list[str]:
    """The words that are not rare among the sentences of each pair, in alphabetical order.

    Raises:
        DataError: no word is left.
    """
    counts = Counter(word for texts in references for word in _words_of(texts))
    known = sorted(word for word, count in counts.items() if count >= RARE * len(references))
    if not known:
        raise DataError("the pairs have no sentences to align with")
    return known


def uses(known: Sequence[str], alternatives: Sequence[Sequence[str] | None]) -> Tensor:
    """Which of v known words and phrases each of s alternative sets of sentences uses: (s, v) float32 of 0 and 1."""
    longest = max((len(word.split()) for word in known), default=1)
    used = [_words_of(texts or (), longest) for texts in alternatives]
    return torch.tensor([[float(word in own) for word in known] for own in used])


def _words_of(texts: Sequence[str], longest: int = 1) -> set[str]:
    """All that stands in the sentences in up to so many words in a row."""
    found = set()
    for said in (words(text).split() for text in texts):
        for n in range(1, longest + 1):
            found |= {" ".join(said[at : at + n]) for at in range(len(said) - n + 1)}
    return found


def word_loss(
    decoder: CaptionDecoder, head: nn.Module, tokens: Tensor, present: Tensor, changed: Tensor
) -> Tensor:
    """Binary cross-entropy of every word and pair, and of the change flag where the model has its head.

    Args:
        decoder, head: caption path, and the linear layer on its visual tokens.
        tokens: (b, 2, h, w, c), as `encode` gives them. present: (b, v) of 0 and 1. changed: (b,) of 0 and 1.
    """
    visual = visual_tokens(decoder, tokens, instructions_for(range(len(tokens))))
    loss = F.binary_cross_entropy_with_logits(head(visual).float(), present)
    flag = decoder.flag_logits(visual)
    return loss if flag is None else loss + flag_loss(flag, changed)

"""What stands in for BLIP-2's two pretraining stages where a Q-Former has none.

Words: the caption path up to the LLM learns to tell which words a pair's sentences use; a linear layer reads them
off the visual tokens and is thrown away. Reading: the LLM's LoRA learns the sentences from these tokens, whose
layers stay as they are. An LLM that cannot read yet would teach the Q-Former one token for all pairs.

Without encoder and neck in the step a visit costs little, so each pair is seen dozens of times before stage ii.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Subset

from semantic_cc.config import Config
from semantic_cc.data.augment.places import named_places
from semantic_cc.data.collate import collate
from semantic_cc.data.items import ChangeDataset
from semantic_cc.data.opening import open_dataset, roots_of
from semantic_cc.errors import ConfigError, DataError
from semantic_cc.losses import caption_loss, flag_loss
from semantic_cc.metrics.words import words
from semantic_cc.model.prompter import INSTRUCTIONS
from semantic_cc.training import stages
from semantic_cc.training.devices import fabric_of
from semantic_cc.training.pretraining.minimise import minimise
from semantic_cc.training.pretraining.tongue import translate
from semantic_cc.training.pretraining.turned import TurnedPairs
from semantic_cc.training.progress import Reporter
from semantic_cc.training.sampling import default_workers
from semantic_cc.training.start import refuse_untrained_foundations, require_flags, starting_model

if TYPE_CHECKING:
    from semantic_cc.model.caption_decoder import CaptionDecoder
    from semantic_cc.model.semantic_cc import SemanticCCModel

RARE = 0.005
"""Words of fewer pairs than this share are left out: nothing is learned from a handful."""
ENCODED_AT_ONCE = 16
"""Pairs a batch of the one pass through encoder and neck."""
READ_AT_ONCE = 8
"""Pairs a step of reading."""
TRANSLATED_BY = 400
"""Pairs whose visual tokens the translation is made from."""
READING_LR = 2e-3
"""Peak learning rate of the LLM's LoRA alone; four times as high as whole caption paths bear."""


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
        places: passes before these over the pairs whose sentences name a place: there are few of them, and where
            something is, is the last thing that an LLM learns to read.

    Returns:
        The loss of every step, of words and then of reading.

    Raises:
        ConfigError: there is no Q-Former, or it is frozen, or SAM is at its random start.
        DataError: no such dataset, or one without sentences or a changed pair to read of; images of several sizes.
        OutputError: `out` cannot be written.
        TrainingError: the loss is no longer finite, or the LLM has no LoRA to read with.
    """
    from semantic_cc.model.checkpoint import save_pretrained

    if config.model.method != "semantic-cc":
        raise ConfigError(f"configuration: model.method {config.model.method} has no Q-Former to align")
    if config.model.qformer.frozen:
        raise ConfigError("configuration: model.qformer.frozen leaves nothing to align; set it false")
    refuse_untrained_foundations(config)
    told = [replace(item, label=None) for item in open_dataset(config.data, "train").items if item.sentences]
    if pairs is not None and pairs < len(told):
        told = random.Random(config.train.seed).sample(told, pairs)
    known = vocabulary([item.sentences for item in told])
    dataset = ChangeDataset(told)
    if config.model.flag_head:
        require_flags(dataset)
    tellable = [row for row, item in enumerate(told) if item.changed or not config.model.flag_head]
    if reading and not tellable:
        where = " ".join(map(str, roots_of(config.data)))
        raise DataError(f"{where}: no changed pair for the LLM to read of; leave reading out")
    fabric = fabric_of(config.train.precision)
    torch.manual_seed(config.train.seed)
    model = cast("SemanticCCModel", starting_model(config)).to(fabric.device)
    seen = TurnedPairs(encode(model, dataset, fabric), [item.sentences for item in told], config.train.seed)
    decoder = model.caption_decoder
    stages.apply(stages.ALIGN, model)
    parameters = {name: value for name, value in model.named_parameters() if value.requires_grad}
    head = WordHead(decoder.llm_width, len(known)).to(fabric.device)
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
        translate(
            decoder, _visual_of(decoder, seen, tellable[:TRANSLATED_BY], fabric), head.words.weight, known
        )
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
    """Which of v known words each of s alternative sets of sentences uses: (s, v) float32 of 0 and 1."""
    used = [_words_of(texts or ()) for texts in alternatives]
    return torch.tensor([[float(word in own) for word in known] for own in used])


def _words_of(texts: Sequence[str]) -> set[str]:
    return {word for text in texts for word in words(text).split()}


@torch.no_grad()
def encode(model: SemanticCCModel, pairs: ChangeDataset, fabric: Fabric) -> Tensor:
    """Captioning tokens of all pairs after the neck: (n, 2, h, w, c) bfloat16 on the CPU."""
    model.eval()
    loader = DataLoader(pairs, ENCODED_AT_ONCE, num_workers=default_workers(), collate_fn=list)
    rows = []
    with Reporter(len(loader), 0) as reporter:
        started = time.perf_counter()
        for items in loader:
            given = collate(items).to(fabric.device)
            with fabric.autocast():
                tokens = model.tokens(model.encode(given.before, given.after))[1]  # (2b, h, w, c)
            rows.append(torch.stack(tokens.chunk(2), dim=1).to("cpu", torch.bfloat16))
            seconds, started = time.perf_counter() - started, time.perf_counter()
            reporter.step("encode", 1, 1, {}, seconds, len(items))
    return torch.cat(rows)


class WordHead(nn.Module):
    """Reads words off visual tokens: a pair uses a word if one of its tokens tells it.

    The LLM attends to tokens by what they hold, so each of them has to tell its place itself; a layer over all
    tokens at once would know the place by the token's number.

    Args:
        width: m. count: v, the words.
    """

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.2)
        self.words = nn.Linear(width, count)
        nn.init.constant_(self.words.bias, -3.0)  # most words are not told

    def forward(self, visual: Tensor) -> Tensor:
        """(b, q, m) -> logits (b, v)."""
        return torch.logsumexp(self.words(self.dropout(visual)).float(), dim=1)


def word_loss(
    decoder: CaptionDecoder, head: nn.Module, tokens: Tensor, present: Tensor, changed: Tensor
) -> Tensor:
    """Binary cross-entropy of every word and pair, and of the change flag where the model has its head.

    Args:
        decoder, head: caption path, and the linear layer on its visual tokens.
        tokens: (b, 2, h, w, c), as `encode` gives them. present: (b, v) of 0 and 1. changed: (b,) of 0 and 1.
    """
    visual = visual_tokens(decoder, tokens, _asked(range(len(tokens))))
    loss = F.binary_cross_entropy_with_logits(head(visual).float(), present)
    flag = decoder.flag_logits(visual)
    return loss if flag is None else loss + flag_loss(flag, changed)


def visual_tokens(decoder: CaptionDecoder, tokens: Tensor, asked: list[str]) -> Tensor:
    """(b, 2, h, w, c), as `encode` gives them, and b instructions -> (b, q, m)."""
    return decoder.visual_tokens(tokens.float().transpose(0, 1).flatten(0, 1), asked)


def read(
    model: SemanticCCModel,
    pairs: TurnedPairs,
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
        places: passes over those of them whose sentences name a place, before all else.
        epochs: passes over all of them.
        config: seed, sentences a visit; optimiser settings but for the rate.
        fabric: device and precision.

    Returns:
        The loss of every step.

    Raises:
        TrainingError: the LLM has no LoRA, or the loss is no longer finite.
    """
    decoder, rng = model.caption_decoder, random.Random(config.train.seed)
    stages.apply(stages.READ, model)
    parameters = {name: value for name, value in model.named_parameters() if value.requires_grad}

    def loss_of(given: tuple[Tensor, ...]) -> Tensor:
        tokens, numbers, symmetries = given[0], given[1].tolist(), given[2].tolist()
        asked = _asked(numbers)
        with torch.no_grad():
            visual = visual_tokens(decoder, tokens, asked)
        told = [
            pairs.sentences[row][symmetry] or () for row, symmetry in zip(numbers, symmetries, strict=True)
        ]
        drawn = [rng.sample(own, min(config.train.sentences, len(own))) for own in told]
        return caption_loss(*decoder.teach(visual, asked, drawn))

    placed = [row for row in rows if _tells_place(pairs.sentences[row][0] or ())]
    passes = [placed] * places + [rows] * epochs
    visits = [row for part in passes for row in rng.sample(part, len(part))]
    loader = cast("DataLoader[tuple[Tensor, ...]]", DataLoader(Subset(pairs, visits), READ_AT_ONCE))
    return minimise("read", fabric, parameters, config, READING_LR, 1, loader, loss_of)


def _tells_place(sentences: Sequence[str]) -> bool:
    """Whether most of the sentences name a place in the picture."""
    return 2 * sum(bool(named_places(sentence.lower())) for sentence in sentences) > len(sentences)


@torch.no_grad()
def _visual_of(decoder: CaptionDecoder, pairs: TurnedPairs, rows: Sequence[int], fabric: Fabric) -> Tensor:
    """Visual tokens of some pairs as they are, (n, q, m)."""
    parts = [rows[at : at + ENCODED_AT_ONCE] for at in range(0, len(rows), ENCODED_AT_ONCE)]
    with fabric.autocast():
        return torch.cat(
            [visual_tokens(decoder, pairs.tokens[part].to(fabric.device), _asked(part)) for part in parts]
        )


def _asked(rows: Iterable[int]) -> list[str]:
    """The instruction of each row: the paper's four in turn."""
    return [INSTRUCTIONS[row % len(INSTRUCTIONS)] for row in rows]

"""Training of the keyword head (`model.keywords`), which adds log-odds for keywords while a sentence is generated.

A small language model follows what is likely to be said more than what the tokens say; a linear layer on the same
tokens knows places and numbers better, and the mask knows them best. What the head answers is how much likelier than
usual a word is, in log-odds; a word at its usual rate keeps the language model's score.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from semantic_cc.checkpoint.serialization import load_pretrained, save_pretrained
from semantic_cc.config import Config
from semantic_cc.data.items import ChangeDataset
from semantic_cc.data.open_dataset import Data, name_of, open_dataset
from semantic_cc.errors import ConfigError, DataError
from semantic_cc.model.keyword_head import KeywordHead, mask_grid
from semantic_cc.training.devices import fabric_of
from semantic_cc.training.pretraining.optimisation_loop import minimise
from semantic_cc.training.pretraining.qformer import uses
from semantic_cc.training.pretraining.symmetric_views import SymmetricPairs, turn_tokens
from semantic_cc.training.pretraining.token_cache import (
    AT_ONCE,
    by_pair,
    drawn,
    encoded,
    instructions_for,
    visual_tokens,
)

if TYPE_CHECKING:
    from lightning.fabric import Fabric

    from semantic_cc.model.semantic_cc import SemanticCCModel

LOOKS = 4
"""Symmetries under which each pair is seen."""
LR = 2e-3
"""Peak learning rate, for tokens of `SIZE`."""
SIZE = 20.0
"""Length that tokens are brought to while the head learns, whatever the LLM's embeddings have."""


def guide(
    model: str | Path, data: Data, out: Path, epochs: int = 4, pairs: int | None = None, seed: int = 0
) -> list[float]:
    """Writes `model` with its keyword head trained on the changed pairs of `data`'s train split; nothing else changes.

    Args:
        model: a shipped name, or a folder that `save_pretrained` wrote.
        data: a dataset with sentences, or several.
        out: folder for the model.
        epochs: passes over the pairs, each seen under `LOOKS` symmetries of the square.
        pairs: how many pairs, drawn by `seed`; None = all.
        seed: of pairs, symmetries and order.

    Returns:
        The loss of every step.

    Raises:
        ConfigError: the model has no such head (`model.keywords`).
        DataError: no such dataset, or one without changed pairs that are told of; images of several sizes.
        CheckpointError: no such model. OutputError: `out` cannot be written.
        TrainingError: the loss is no longer finite.
    """
    loaded, info = load_pretrained(model, merge=False)
    if not info.config.keywords:
        raise ConfigError(f"{model}: the model has no keyword head; set model.keywords and train it again")
    items = [item for item in open_dataset(data, "train").items if item.changed and item.sentences]
    if not items:
        raise DataError(f"{name_of(data)}: no changed train pair with sentences to learn words from")
    items = drawn(items, pairs, seed)
    config = Config()
    fabric = fabric_of(config.train.precision)
    torch.manual_seed(seed)
    loaded = cast("SemanticCCModel", loaded).to(fabric.device)
    tokens, grids = answers(loaded, ChangeDataset([replace(item, label=None) for item in items]), fabric)
    seen = SymmetricPairs(tokens, [item.sentences for item in items], seed)
    visual, present, *drawings = looks(loaded, seen, grids, fabric)
    size = SIZE / visual.float().norm(dim=-1).mean().item()
    head = KeywordHead(visual.shape[-1], len(info.config.keywords), info.config.mask_classes).to(
        fabric.device
    )

    def loss_of(given: tuple[Tensor, ...]) -> Tensor:
        tokens, present, *grid = given
        return F.binary_cross_entropy_with_logits(head(size * tokens.float(), *grid), present)

    rows = TensorDataset(visual, present, *drawings)
    loader = cast("DataLoader[tuple[Tensor, ...]]", DataLoader(rows, 32, shuffle=True))
    losses = minimise("guide", fabric, dict(head.named_parameters()), config, LR, epochs, loader, loss_of)
    usual = torch.logit(present.mean(dim=0), eps=1 / (2 * len(present))).to(fabric.device)
    own = loaded.caption_decoder.keyword_head
    assert own is not None  # the configuration names words
    own.load_state_dict(head.state_dict())
    with torch.no_grad():
        own.token_logits.weight.mul_(size)
        own.token_logits.bias.sub_(usual)
    facts = {"epochs": epochs, "pairs": len(items), "seed": seed, "data": name_of(data)}
    training = {**info.training, "keyword_head": facts}
    save_pretrained(loaded, out, name=info.name, training=training, dtype=torch.float32)
    return losses


@torch.no_grad()
def answers(model: SemanticCCModel, pairs: ChangeDataset, fabric: Fabric) -> tuple[Tensor, Tensor | None]:
    """What the model makes of n pairs before a sentence, on the CPU.

    Returns:
        Captioning tokens as `encode` gives them, and `mask_grid` of the masks; None where it draws none.
    """
    tokens, grids = [], []
    for batch, change, caption, trunk in encoded(model, pairs, fabric):
        tokens.append(by_pair(caption).to("cpu", torch.bfloat16))
        with fabric.autocast():
            masks = model.masks(change, batch.before, batch.after, trunk)
        if masks is not None:
            grids.append(mask_grid(masks).cpu())
    return torch.cat(tokens), torch.cat(grids) if grids else None


@torch.no_grad()
def looks(
    model: SemanticCCModel, seen: SymmetricPairs, grids: Tensor | None, fabric: Fabric
) -> tuple[Tensor, ...]:
    """Each of n pairs under `LOOKS` symmetries.

    Returns:
        Visual tokens (LOOKS n, q, m) bfloat16, which of v words the sentences use, (LOOKS n, v) float32, and where
        there are `grids`, (n, g, g, k), these turned alike, (LOOKS n, g, g, k).
    """
    decoder, known = model.caption_decoder, model.config.keywords
    visual, present, drawings = [], [], []
    for _ in range(LOOKS):
        for given, rows, symmetries in DataLoader(seen, AT_ONCE):
            with fabric.autocast():
                part = visual_tokens(decoder, given.to(fabric.device), instructions_for(rows.tolist()))
            visual.append(part.to("cpu", torch.bfloat16))
            told = list(zip(rows.tolist(), symmetries.tolist(), strict=True))
            present.append(uses(known, [seen.sentences[row][symmetry] for row, symmetry in told]))
            if grids is not None:
                drawings += [turn_tokens(grids[row], seen.symmetries[symmetry]) for row, symmetry in told]
    turned = [torch.stack(drawings)] if drawings else []
    return torch.cat(visual), torch.cat(present), *turned

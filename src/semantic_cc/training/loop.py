"""The training loop: takes a task's steps, logs them, saves, validates, and resumes from a saved state."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, cast

from lightning.fabric import Fabric

from semantic_cc.errors import SemanticCCError
from semantic_cc.files import write_files
from semantic_cc.processes import trim_freed_memory
from semantic_cc.training.console_progress import Reporter
from semantic_cc.training.devices import on_first, raise_together
from semantic_cc.training.loggers import Logs
from semantic_cc.training.optim import Updater
from semantic_cc.training.state import load_state, save_state
from semantic_cc.training.step import TrainStep
from semantic_cc.training.step_profile import Clock
from semantic_cc.training.task import PhaseRun, SteppedTask, Task
from semantic_cc.training.validate import Validation, write_pictures

if TYPE_CHECKING:
    from semantic_cc.model.base import ChangeModel

TRIM_EVERY = 32
"""Steps after which the memory that is free goes back to the system."""


def fit(
    run: PhaseRun,
    model: ChangeModel,
    task: Task,
    validation: Validation | None = None,
    history: Mapping[str, object] | None = None,
) -> None:
    """Runs `task`, from the state in the phase's folder if there is one, and saves the model.

    Args:
        run: the phase.
        model: the model that `task` trains.
        task: what the phase does.
        validation: scores the model after each epoch; None = no validation.
        history: training history of the model before this phase, for its config.json.

    Raises:
        DataError: an item cannot be read.
        OutputError: a file cannot be written; existing files are kept.
        CheckpointError: the state is corrupt.
        ConfigError: the state belongs to a different configuration.
        TrainingError: the loss is not finite.
    """
    if isinstance(task, SteppedTask):
        TrainLoop(run, model, task, validation, history or {}).train()
    else:
        facts = task.finish()
        on_first(run.fabric, lambda: _save_model(run, model, run.folder.model, history or {}, facts))


class TrainLoop:
    """State of a running phase.

    Args:
        As `fit`.
    """

    def __init__(
        self,
        run: PhaseRun,
        model: ChangeModel,
        task: SteppedTask,
        validation: Validation | None,
        history: Mapping[str, object],
    ) -> None:
        self.run, self.model, self.task, self.validation, self.history = run, model, task, validation, history
        self.total = task.epochs * task.per_epoch
        self.clock = Clock()
        self.done = 0
        self._logs: Logs | None = None
        self._reporter: Reporter | None = None

    def train(self) -> None:
        """Takes the remaining steps, finishes the task, and saves the model if no epoch did."""
        task, run, train = self.task, self.run, self.run.config.train
        updater = Updater(
            task.parameters, run.optim, self.total, scaled=train.precision == "float16", decay=run.phase.ema
        )
        if run.folder.state.exists():
            self.done = load_state(run.folder.state, run.config, updater)
        if self.validation is None or not self.validation.gives_up(self.done // task.per_epoch):
            self._take_steps(updater)
        with updater.averaged():
            facts = task.finish()
            if not task.saves_epochs:
                self._save(run.folder.model, facts)

    def _take_steps(self, updater: Updater) -> None:
        task, run = self.task, self.run
        task.begin(updater, self.clock)
        steps = task.steps(self.done)
        with self._opened():
            started = time.perf_counter()
            while (step := _next(run.fabric, steps, self.clock)) is not None:
                if self._step(step, updater, started):
                    break
                started = time.perf_counter()

    def _opened(self) -> ExitStack:
        """Opens logs and progress in the first process; for a with statement."""
        stack = ExitStack()
        if self.run.fabric.is_global_zero:
            self._logs = stack.enter_context(Logs(self.run.folder, self.run.config, self.done))
            self._reporter = stack.enter_context(Reporter(self.run.name, self.total, self.done))
        return stack

    def _step(self, step: TrainStep, updater: Updater, started: float) -> bool:
        """Takes and logs a step, with the end of its epoch; returns whether the phase stops early."""
        values = self.task.take(step)
        self.clock.enter("logs and checkpoints")
        seconds = time.perf_counter() - started  # includes data loading
        self.done = step.number + 1
        if self._logs and self._reporter:
            self._logs.step(self.done, step.epoch + 1, step.stage, values, updater.rate(step.number), seconds)
            self._reporter.step(step.stage, step.epoch + 1, self.task.epochs, values, seconds, step.items)
        if self.done % TRIM_EVERY == 0:
            trim_freed_memory()
        if step.ends_epoch:
            self._end_epoch(step.epoch + 1, updater)
        if step.ends_epoch or self.done % self.run.config.train.checkpoint_every == 0:
            on_first(
                self.run.fabric,
                lambda: save_state(self.run.folder.state, self.run.config, self.done, updater),
            )
        return step.ends_epoch and self.validation is not None and self.validation.gives_up(step.epoch + 1)

    def _end_epoch(self, epoch: int, updater: Updater) -> None:
        folder, every = self.run.folder, self.run.config.train.keep_every
        self._show_profile()
        if not self.task.saves_epochs:
            return
        with updater.averaged():
            self._save(folder.model)
            if every is not None and epoch % every == 0:
                self._save(folder.kept(epoch))
            if self.validation is not None:
                if self.validation.run(self.run.fabric, self.model, epoch):
                    self._save(folder.best)
                self._show(self.validation, epoch)
                self.task.interrupt()  # validation left the model in eval mode

    def _show(self, validation: Validation, epoch: int) -> None:
        """Displays validation scores, images and sentences."""
        shown = validation.pictures(self.run.fabric, self.model)
        if self._logs:
            self._logs.scalars(self.done, validation.latest())
            for name, picture, text in shown:
                self._logs.picture(self.done, f"val/{name}", picture, text)
        if shown:
            on_first(self.run.fabric, lambda: write_pictures(self.run.folder.pictures(epoch), shown))

    def _show_profile(self) -> None:
        """Displays the profile once, after the first epoch that this process completes."""
        self.clock.detach()
        lines = self.clock.lines()
        if lines and self._reporter:
            profile = self.run.folder.profile
            write_files(profile.parent, {profile.name: self.clock.table().encode()})
            for line in lines:
                self._reporter.say(line)
        self.clock.seconds.clear()

    def _save(self, folder: Path, facts: Mapping[str, object] | None = None) -> None:
        task = self.task
        own: dict[str, object] = {
            "epoch": self.done // task.per_epoch,
            "epochs": task.epochs,
            "step": self.done,
        }
        if self.run.phase.ema is not None:
            own["ema"] = self.run.phase.ema
        on_first(
            self.run.fabric,
            lambda: _save_model(self.run, self.model, folder, self.history, {**own, **(facts or {})}),
        )


def _save_model(
    run: PhaseRun,
    model: ChangeModel,
    folder: Path,
    history: Mapping[str, object],
    facts: Mapping[str, object],
) -> None:
    """Saves a model with its history and the phase's facts."""
    from semantic_cc.checkpoint.serialization import save_pretrained

    own = {"kind": run.phase.kind, "data": run.data, **facts}
    phases = {**cast("dict[str, object]", history.get("phases", {})), run.name: own}
    training = {**history, "seed": run.seed, "phases": phases}
    save_pretrained(model, folder, name=run.config.preset, training=training)


def _next(fabric: Fabric, steps: Iterator[TrainStep], clock: Clock) -> TrainStep | None:
    """The next step, None after the last.

    Raises:
        DataError: an item cannot be read, in any process.
    """
    step, error = None, None
    clock.enter("data")
    try:
        step = next(steps, None)
    except SemanticCCError as raised:
        error = raised
    raise_together(fabric, error)
    return step

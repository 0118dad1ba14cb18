"""One loop for all stages (paper III-F): each epoch runs every stage once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.fabric import Fabric
from torch import nn

from semantic_cc.config import Config, TrainConfig
from semantic_cc.data.dataset_checks import check_dataset
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.errors import SemanticCCError
from semantic_cc.files import write_files
from semantic_cc.training import stages
from semantic_cc.training.console_progress import Reporter
from semantic_cc.training.devices import fabric_of, on_first, raise_together, shard_llm
from semantic_cc.training.feature_cache import FeatureCache
from semantic_cc.training.gradient_checkpointing import recompute_layers
from semantic_cc.training.initialisation import (
    refuse_untrained_foundations,
    require_flags,
    starting_model,
    with_vocabulary,
)
from semantic_cc.training.loggers import Logs, require_loggers
from semantic_cc.training.optim import Updater
from semantic_cc.training.sampling import (
    DeviceShare,
    Pairs,
    StageSchedule,
    default_workers,
    samples,
    schedules_of,
)
from semantic_cc.training.state import RunFolder, load_state, open_run, save_state
from semantic_cc.training.step import Stepper, TrainStep
from semantic_cc.training.step_profile import Clock
from semantic_cc.training.validate import Validation, validation_pairs, write_pictures

if TYPE_CHECKING:
    from semantic_cc.model.base import ChangeModel


def train(config: Config, resume: bool = False) -> Path:
    """Trains a model from the train split of `config.data`, in every process of the run.

    Args:
        config: everything about the run.
        resume: go on from the latest training state in `config.out`; start anew where there is none.

    Returns:
        The folder of the trained model, for `load_pretrained`.

    Raises:
        DataError: no such dataset, no items of the kind a stage needs, or without the flags the model needs.
        OutputError: `config.out` cannot be written, or holds a run and `resume` is off.
        ConfigError: resumed with another configuration; a part is frozen at its random start; hardware or a
            package that is not there.
        FoundationWeightsError: SAM's or the LLM's weights are not to be found.
        TrainingError: the loss is no longer finite.
    """
    require_loggers(config)
    refuse_untrained_foundations(config)
    pairs = open_dataset(config.data, "train")
    check_dataset(pairs)
    config = with_vocabulary(config, pairs)
    plan = schedules_of(stages.stages_of(config.train.strategy, config.model), pairs, config.train)
    if config.model.learns_flag and any(leg.stage.caption for leg in plan):
        require_flags(pairs)
    val = validation_pairs(config)
    fabric = fabric_of(config.train.precision, config.hardware)
    folder = on_first(fabric, lambda: open_run(config, resume))
    validation = None if val is None else Validation(config.train, val, folder)
    workers = default_workers(config.hardware.devices)
    return fit(fabric, starting_model(config), pairs, plan, config, folder, validation, workers)


def fit(
    fabric: Fabric,
    model: ChangeModel,
    pairs: Pairs,
    plan: Sequence[StageSchedule],
    config: Config,
    folder: RunFolder,
    validation: Validation | None = None,
    workers: int = 0,
) -> Path:
    """Runs the loop on a built model, from the state in `folder` where there is one.

    Args:
        fabric: devices and precision.
        model: the model, the same in every process; trained in place.
        pairs: the dataset.
        plan: the stages of each epoch with their items.
        config: optimiser and training settings.
        folder: the run's folder, opened.
        validation: scores the model after each epoch; None = no validation.
        workers: processes that read ahead.

    Returns:
        The folder of the model after the last epoch.

    Raises:
        As `train`.
    """
    run = TrainLoop(fabric, model, plan, config, folder, validation)
    done = run.restored()
    if validation is not None and validation.gives_up(done // run.per_epoch):
        return folder.model
    share = DeviceShare(fabric.global_rank, fabric.world_size, config.train.accumulate)
    steps = turns(plan, pairs, config.train, done, workers, share)
    with run.opened(done):
        while (turn := _next(fabric, steps, run.clock)) is not None:
            if run.step(turn):
                break
    return folder.model


class TrainLoop:
    """All that a running training holds.

    Args:
        As `fit`.
    """

    def __init__(
        self,
        fabric: Fabric,
        model: ChangeModel,
        plan: Sequence[StageSchedule],
        config: Config,
        folder: RunFolder,
        validation: Validation | None,
    ) -> None:
        self.fabric, self.model, self.config, self.folder, self.validation = (
            fabric, model, config, folder, validation,
        )  # fmt: skip
        settings = config.train
        self.per_epoch = sum(leg.steps for leg in plan)
        self.total = settings.epochs * self.per_epoch
        self.updater = prepared(fabric, model, plan, config, self.total)
        self.clock = Clock()
        self.stepper = Stepper(fabric, model, self.updater, settings, self.clock)
        self.cache = FeatureCache(model) if settings.cache_features else None
        self._readable_cache: FeatureCache | None = None
        self._leg: StageSchedule | None = None
        self._started = time.perf_counter()
        self._logs: Logs | None = None
        self._reporter: Reporter | None = None

    def restored(self) -> int:
        """Goes back to the latest state, where there is one; the number of steps done."""
        if not self.folder.state.exists():
            return 0
        return load_state(self.folder.state, self.config, self.updater)

    def opened(self, done: int) -> ExitStack:
        """Opens logs and progress, of the first process alone, and starts the clock; for a with statement."""
        stack = ExitStack()
        if self.fabric.is_global_zero:
            self._logs = stack.enter_context(Logs(self.folder, self.config, done))
            self._reporter = stack.enter_context(Reporter(self.total, done))
        self.clock.attach(self.model)
        self._started = time.perf_counter()
        return stack

    def step(self, turn: TrainStep) -> bool:
        """Takes a step, logs it, and does what is due after it; whether the run stops early."""
        if turn.leg is not self._leg:
            self._enter(turn.leg)
        values = self.stepper.take(turn, self._readable_cache)
        self.clock.enter("logs and checkpoints")
        seconds = time.perf_counter() - self._started  # with the wait for the items
        done, stage = turn.step + 1, turn.leg.stage.name
        if self._logs and self._reporter:
            self._logs.step(done, turn.epoch + 1, stage, values, self.updater.rate(turn.step), seconds)
            items = min(turn.leg.batch, turn.leg.visits)
            self._reporter.step(stage, turn.epoch + 1, self.config.train.epochs, values, seconds, items)
        if turn.ends_epoch:
            self._end_epoch(turn)
        if turn.ends_epoch or done % self.config.train.checkpoint_every == 0:
            on_first(self.fabric, lambda: save_state(self.folder.state, self.config, done, self.updater))
        self._started = time.perf_counter()
        return turn.ends_epoch and self.validation is not None and self.validation.gives_up(turn.epoch + 1)

    def _enter(self, leg: StageSchedule) -> None:
        stages.apply(leg.stage, self.model)
        self._leg = leg
        self.clock.stage = leg.stage.name
        trains_encoder = any(
            parameter.requires_grad
            for name, parameter in self.model.named_parameters()
            if name.startswith("encoder.")
        )
        if self.cache is not None and trains_encoder:
            self.cache.clear()
        self._readable_cache = None if trains_encoder else self.cache

    def _end_epoch(self, turn: TrainStep) -> None:
        epoch, every = turn.epoch + 1, self.config.train.keep_every
        self._show_profile()
        with self.updater.averaged():
            self._save(self.folder.model, turn)
            if every is not None and epoch % every == 0:
                self._save(self.folder.kept(epoch), turn)
            if self.validation is not None:
                better = self.validation.run(self.fabric, self.model, epoch)
                if better:
                    self._save(self.folder.best, turn)
                self._show(self.validation, turn)
                self._leg = None  # it left the model in eval mode

    def _show(self, validation: Validation, turn: TrainStep) -> None:
        """Validation's scores, pictures and sentences, for people."""
        shown = validation.pictures(self.fabric, self.model)
        if self._logs:
            self._logs.scalars(turn.step + 1, validation.latest())
            for name, picture, text in shown:
                self._logs.picture(turn.step + 1, f"val/{name}", picture, text)
        if shown:
            on_first(self.fabric, lambda: write_pictures(self.folder.pictures(turn.epoch + 1), shown))

    def _show_profile(self) -> None:
        """Once, after the first epoch that this process saw the end of."""
        self.clock.detach()
        lines = self.clock.lines()
        if lines and self._reporter:
            write_files(self.folder.root, {self.folder.profile.name: self.clock.table().encode()})
            for line in lines:
                self._reporter.say(line)
        self.clock.seconds.clear()

    def _save(self, folder: Path, turn: TrainStep) -> None:
        on_first(self.fabric, lambda: _save_model(self.model, folder, self.config, turn))


def prepared(
    fabric: Fabric, model: ChangeModel, plan: Sequence[StageSchedule], config: Config, total: int
) -> Updater:
    """Puts `model` on its device, as `config` wants it trained, and gives the optimiser of a run of `total` steps."""
    settings = config.train
    model.to(fabric.device)
    if settings.gradient_checkpointing:
        recompute_layers(model)
    parameters = trained_parameters(model, plan)
    if config.hardware.strategy == "fsdp" and model.llm is not None:
        shard_llm(fabric, model.llm)
    return Updater(
        parameters, config.optim, total, scaled=settings.precision == "float16", decay=settings.ema
    )


def _next(fabric: Fabric, steps: Iterator[TrainStep], clock: Clock) -> TrainStep | None:
    """The next step, None after the last.

    Raises:
        DataError: an item cannot be read, in this process or in another.
    """
    turn, error = None, None
    clock.enter("data")
    try:
        turn = next(steps, None)
    except SemanticCCError as raised:
        error = raised
    raise_together(fabric, error)
    return turn


def turns(
    plan: Sequence[StageSchedule],
    pairs: Pairs,
    config: TrainConfig,
    done: int,
    workers: int,
    share: DeviceShare,
) -> Iterator[TrainStep]:
    """The steps of a run in order, without the first `done`, as far as they are of `share`."""
    per_epoch = sum(leg.steps for leg in plan)
    for epoch in range(done // per_epoch, config.epochs):
        step = epoch * per_epoch
        for leg in plan:
            first = min(max(done - step, 0), leg.steps)
            step += first
            if first == leg.steps:
                continue
            for pieces in samples(pairs, leg, config, epoch, first, workers, share):
                yield TrainStep(step, epoch, leg, pieces, step + 1 == (epoch + 1) * per_epoch)
                step += 1


def trained_parameters(model: ChangeModel, plan: Sequence[StageSchedule]) -> dict[str, nn.Parameter]:
    """Every parameter that trains in some stage, by name, in the model's order; all made float32.

    The masters are float32 whatever the precision of the forward pass: in bfloat16, updates below 1/256 of
    a weight would be rounded away.
    """
    names = set().union(*(stages.trainable_names(leg.stage, model) for leg in plan))
    parameters = {name: parameter for name, parameter in model.named_parameters() if name in names}
    for parameter in parameters.values():
        parameter.data = parameter.data.float()
    return parameters


def _save_model(model: ChangeModel, folder: Path, config: Config, turn: TrainStep) -> None:
    from semantic_cc.checkpoint.serialization import save_pretrained

    training: dict[str, Any] = {
        "epoch": turn.epoch + 1,
        "epochs": config.train.epochs,
        "step": turn.step + 1,
        "strategy": config.train.strategy,
        "seed": config.train.seed,
        "data": config.data,
    }
    if config.train.ema is not None:
        training["ema"] = config.train.ema
    save_pretrained(model, folder, name=config.preset, training=training)

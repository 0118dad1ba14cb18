"""Estimate of a run before it starts: parameters, memory, operations, steps and hours."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from semantic_cc.checkpoint.meta_model import outline
from semantic_cc.config import Config, HardwareConfig
from semantic_cc.data.items import ChangeDataset
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.errors import ConfigError
from semantic_cc.model.prompter import Prompter
from semantic_cc.training import stages
from semantic_cc.training.compute_cost import cost_of
from semantic_cc.training.devices import device_name, fabric_of
from semantic_cc.training.finetuning.calibration import CalibrationTask, flag_probabilities
from semantic_cc.training.gradient_checkpointing import recompute_layers
from semantic_cc.training.initialisation import starting_model
from semantic_cc.training.known_devices import DEVICES, KnownDevice
from semantic_cc.training.optim import Updater
from semantic_cc.training.parameter_count import PartCount, count
from semantic_cc.training.pipeline import OpenedPhase, left_out, open_data, open_phase, prepared, selected
from semantic_cc.training.sampling import DeviceShare, StageSchedule, schedules_of
from semantic_cc.training.staged_task import StagedTask, staged_steps, trained_parameters
from semantic_cc.training.state import RunFolder
from semantic_cc.training.step import MicroBatch, StagedStep, TrainStep, losses_of, micro_batches_of
from semantic_cc.training.step_profile import Clock
from semantic_cc.training.task import PhaseRun, SteppedTask

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from semantic_cc.model.base import ChangeModel

LOOKED_AT = 3
"""Number of steps per stage to count or time."""
BUSY = 0.35
"""Assumed fraction of a device's peak throughput."""
GIB = 2**30


@dataclass(frozen=True)
class PhaseEstimate:
    """Estimate of a phase, or of one stage of it.

    Attributes:
        phase: name of the phase.
        stage: name of the stage; for a phase without stages, its kind.
        items: items per epoch.
        steps: steps in all epochs.
        seconds: seconds per step; None = unknown for this device.
        preparation: seconds before the first step, for computing cached features.
        operations: per step on one device, forward and backward; None = not counted.
        memory: peak bytes of a step on one device in float32, in addition to `RunEstimate.held`; None = not counted.
    """

    phase: str
    stage: str
    items: int
    steps: int
    seconds: float | None
    preparation: float = 0.0
    operations: float | None = None
    memory: int | None = None

    @property
    def hours(self) -> float | None:
        """Hours of all steps, without validation; None = unknown for this device."""
        return None if self.seconds is None else (self.steps * self.seconds + self.preparation) / 3600


@dataclass(frozen=True)
class RunEstimate:
    """Estimate of a run.

    Attributes:
        parts: parameter counts of the model's parts, and their sum.
        phases: estimates in order.
        left_out: phase -> why it does not run.
        held: permanent bytes on one device: weights, AdamW moments, moving average.
        cached: bytes of cached encoder features, 0 without `cache_features`.
        device: name of the device, and how the seconds were obtained.
    """

    parts: list[PartCount]
    phases: tuple[PhaseEstimate, ...]
    left_out: dict[str, str]
    held: int
    cached: int
    device: str

    @property
    def steps(self) -> int:
        """Steps of all phases."""
        return sum(phase.steps for phase in self.phases)

    @property
    def hours(self) -> float:
        """Hours of all phases with known hours."""
        return sum(phase.hours or 0.0 for phase in self.phases)

    @property
    def memory(self) -> int:
        """Peak bytes on one device over the counted steps."""
        return self.held + max((phase.memory or 0 for phase in self.phases), default=0)


def estimate_run(
    config: Config, device: str | None = None, phase: str | None = None, first: str | None = None
) -> RunEstimate:
    """Estimates a run; writes nothing.

    Args:
        config: the run, with its data.
        device: a name in `DEVICES`; seconds are computed from the operations. None = this machine: a few steps of each
            phase are timed, which needs the foundation weights.
        phase, first: as in `train`.

    Raises:
        ConfigError: unknown device or phase.
        DataError: as in training.
        FoundationWeightsError: the sizes of the language model are unknown, or its weights are not found.
    """
    if device is not None and device not in DEVICES:
        raise ConfigError(f"no device {device!r} is known; choose one of: {', '.join(DEVICES)}")
    config = prepared(replace(config, train=replace(config.train, features=None)))
    names = selected(config, phase, first)
    hardware = HardwareConfig(accelerator=config.hardware.accelerator if device is None else "cpu")
    fabric = fabric_of(config.train.precision, hardware)
    folder = RunFolder(Path(config.out))
    runs = [open_phase(config, name, fabric, folder) for name in names]
    rows: list[PhaseEstimate] = []
    for opened in runs:
        rows += _of_phase(opened, config, device)
    plans = [_plan(opened) for opened in runs if opened.run.phase.kind == "stages"]
    model = outline(config.model)
    distinct = {schedule.stage.name: schedule.stage for plan in plans for schedule in plan}
    trained = max(
        (sum(p.numel() for p in trained_parameters(model, plan).values()) for plan in plans), default=0
    )
    why = {name: left_out(own, config.model) for name, own in config.phases.items()}
    return RunEstimate(
        parts=count(model, tuple(distinct.values())),
        phases=tuple(rows),
        left_out={name: reason for name, reason in why.items() if reason is not None},
        held=_held(model, trained, config),
        cached=max((_cached(opened, config) for opened in runs), default=0),
        device=_described(device),
    )


def _plan(opened: OpenedPhase) -> tuple[StageSchedule, ...]:
    run = opened.run
    return schedules_of(run.phase, run.config.model, open_dataset(run.data, "train"), run.config.train)


def _of_phase(opened: OpenedPhase, config: Config, device: str | None) -> list[PhaseEstimate]:
    run, data = opened.run, opened.data
    if run.phase.kind == "stages":
        return _of_stages(opened, config, device)
    row = PhaseEstimate(run.name, run.phase.kind, data.items, data.steps, None)
    if device is not None:
        return [row]
    few = replace(run.phase, items=min(data.items, LOOKED_AT * run.phase.batch), epochs=1)
    if run.phase.kind == "calibration":
        few = run.phase
    short = replace(run, config=replace(run.config, phases={run.name: few}))
    return [_timed_rows(row, short, config)]


def _timed_rows(row: PhaseEstimate, run: PhaseRun, config: Config) -> PhaseEstimate:
    """`row` with measured seconds of steps and preparation, from a few items."""
    data = open_data(run)
    model = starting_model(config)
    started = time.perf_counter()
    task = data.task_of(model)
    if isinstance(task, CalibrationTask):
        pairs = ChangeDataset(task.pairs.items[: run.phase.batch])
        started = time.perf_counter()
        flag_probabilities(model.eval(), pairs, run.phase.batch)
        return replace(row, seconds=0.0, preparation=(time.perf_counter() - started) / len(pairs) * row.items)
    assert isinstance(task, SteppedTask)
    cached = run.phase.kind != "encoder"
    preparation = (time.perf_counter() - started) / data.items * row.items if cached else 0.0
    task.begin(Updater(task.parameters, run.optim, 10**6), Clock())
    return replace(
        row, seconds=_seconds(task, list(islice(task.steps(0), LOOKED_AT))), preparation=preparation
    )


def _seconds(task: SteppedTask, steps: Sequence[TrainStep]) -> float:
    """Mean seconds per step, without the first step."""
    task.take(steps[0])
    timed = steps[1:] or steps
    started = time.perf_counter()
    for step in timed:
        task.take(step)
    return (time.perf_counter() - started) / len(timed)


def _of_stages(opened: OpenedPhase, config: Config, device: str | None) -> list[PhaseEstimate]:
    """One estimate per stage: operations and memory counted on the meta device, seconds timed or computed."""
    run = opened.run
    pairs = open_dataset(run.data, "train")
    plan = _plan(opened)
    share = DeviceShare(0, config.hardware.devices * config.hardware.nodes, config.train.accumulate)
    steps = [list(islice(staged_steps([own], pairs, 1, 0, 0, share), LOOKED_AT)) for own in plan]
    costs = _costs(config, plan, steps)
    if device is None:
        task = StagedTask(run, starting_model(config), pairs, workers=0)
        task.begin(Updater(task.parameters, run.optim, 10**6), Clock())
        seconds = [_seconds(task, own) for own in steps]
    else:
        seconds = [_computed(operations, DEVICES[device], config) for operations, _ in costs]
    return [
        PhaseEstimate(
            run.name, own.stage.name, own.visits, run.phase.epochs * own.steps, spent, 0.0, operations, memory
        )
        for own, (operations, memory), spent in zip(plan, costs, seconds, strict=True)
    ]


def _costs(
    config: Config, plan: Sequence[StageSchedule], steps: Sequence[Sequence[StagedStep]]
) -> list[tuple[float, int]]:
    model = outline(config.model)
    if model.llm is not None:
        decoder = model.caption_decoder
        decoder.prompter = Prompter(_word_tokenizer(), decoder.prompter.template)
    if config.train.gradient_checkpointing:
        recompute_layers(model)
    trained_parameters(model, plan)
    return [_cost(model, own) for own in steps]


def _word_tokenizer() -> PreTrainedTokenizerFast:
    """One token per word or punctuation mark, close to LLM tokenizers, which may not be available."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="?")


def _cost(model: ChangeModel, steps: Sequence[StagedStep]) -> tuple[float, int]:
    """Mean operations per step of a stage, and the peak memory."""
    stage = steps[0].schedule.stage
    stages.apply(stage, model)
    found = []
    for step in steps:
        batches = list(micro_batches_of(model, step, torch.device("meta")))

        def work(batches: list[MicroBatch] = batches) -> None:
            for batch in batches:
                parts = losses_of(model, stage, batch, batch.sentences, None)
                torch.stack(list(parts.values())).sum().backward()

        found.append(cost_of(work))
        model.zero_grad(set_to_none=True)
    return sum(operations for operations, _ in found) / len(found), max(memory for _, memory in found)


def _computed(operations: float, device: KnownDevice, config: Config) -> float:
    peak = device.single if config.train.precision == "float32" else device.half
    return operations / (BUSY * peak)


def _held(model: ChangeModel, trained: int, config: Config) -> int:
    spread = 1 if config.hardware.sharding == "ddp" else config.hardware.devices * config.hardware.nodes
    layers = [] if model.llm is None else model.llm.get_decoder().layers
    frozen_layers = sum(p.nbytes for layer in layers for n, p in layer.named_parameters() if "lora_" not in n)
    weights = (
        sum(parameter.nbytes for parameter in model.parameters()) - frozen_layers + frozen_layers // spread
    )
    per_trained = 8 + (4 if any(phase.ema is not None for phase in config.phases.values()) else 0)
    return weights + per_trained * trained


def _cached(opened: OpenedPhase, config: Config) -> int:
    if not opened.run.phase.cache_features:
        return 0
    plan, pairs = _plan(opened), open_dataset(opened.run.data, "train")
    height, width = pairs[plan[0].items[0]].before.shape[:2]
    patch = config.model.encoder.patch
    channels = config.model.encoder.width + (
        config.model.encoder.change_width if config.model.change_task else 0
    )
    items = max((len(own.items) for own in plan if own.stage.caption), default=0)
    return items * 2 * -(-height // patch) * -(-width // patch) * channels * 4


def _described(device: str | None) -> str:
    if device is None:
        return f"this machine ({device_name()}), {LOOKED_AT - 1} steps of each phase and stage timed"
    known = DEVICES[device]
    peak = f"{known.half / 1e12:g} TFLOP/s in half precision"
    return f"{device}, {peak}, of which {BUSY:.0%} are assumed (small batches reach less)"

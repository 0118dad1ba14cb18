"""What a run will take, before anything starts: parameters, memory, operations, steps and hours."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

import torch
from torch import nn

from semantic_cc.config import Config, HardwareConfig
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.errors import ConfigError
from semantic_cc.training import stages
from semantic_cc.training.compute_cost import cost_of
from semantic_cc.training.devices import device_name, fabric_of
from semantic_cc.training.initialisation import starting_model, with_vocabulary
from semantic_cc.training.loop import prepared, trained_parameters, turns
from semantic_cc.training.parameter_count import PartCount, count
from semantic_cc.training.sampling import DeviceShare, Pairs, StageSchedule, schedules_of
from semantic_cc.training.step import Stepper, TrainStep, losses_of, pieces_of
from semantic_cc.training.step_profile import Clock

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from semantic_cc.model.base import ChangeModel

LOOKED_AT = 3
"""Steps of each stage that are counted, or timed."""
BUSY = 0.35
"""Share of a device's peak that a run is assumed to reach."""
GIB = 2**30


@dataclass(frozen=True)
class Device:
    """A device as its maker describes it.

    Attributes:
        memory: GiB.
        half: peak of dense bfloat16 (V100: float16) matrix products, in operations a second.
        single: the same in float32, with TF32 where the device has it.
    """

    memory: int
    half: float
    single: float


DEVICES = {
    "v100-32gb": Device(32, 125e12, 15.7e12),
    "a100-40gb": Device(40, 312e12, 156e12),
    "a100-80gb": Device(80, 312e12, 156e12),
    "h100-80gb": Device(80, 989e12, 494e12),
    "l4-24gb": Device(24, 121e12, 60e12),
    "l40s-48gb": Device(48, 362e12, 183e12),
    "rtx4090-24gb": Device(24, 165e12, 82.6e12),
}
"""From the makers' data sheets, without sparsity."""


@dataclass(frozen=True)
class StageEstimate:
    """One stage.

    Attributes:
        name: of the stage.
        items: of its dataset; `visits` of them an epoch, in `steps` steps.
        operations: of a step on one device, forward and backward.
        memory: bytes that a step needs at its peak on one device beside what is always there, counted in float32.
        seconds: of a step.
    """

    name: str
    items: int
    visits: int
    steps: int
    operations: float
    memory: int
    seconds: float


@dataclass(frozen=True)
class RunEstimate:
    """The whole run.

    Attributes:
        parts: of the model, and their sum.
        stages: of each epoch.
        epochs: as configured.
        held: bytes always there on one device: weights, AdamW's moments, moving average.
        cached: bytes of encoder features in memory, 0 without `train.cache_features`.
        device: its name, and how the seconds came about.
    """

    parts: list[PartCount]
    stages: tuple[StageEstimate, ...]
    epochs: int
    held: int
    cached: int
    device: str

    @property
    def steps(self) -> int:
        """Of all epochs."""
        return self.epochs * sum(stage.steps for stage in self.stages)

    @property
    def hours(self) -> float:
        """Of all epochs, without validation."""
        return self.epochs * sum(stage.steps * stage.seconds for stage in self.stages) / 3600

    @property
    def memory(self) -> int:
        """Bytes on one device at the peak."""
        return self.held + max(stage.memory for stage in self.stages)


def estimate_run(config: Config, device: str | None = None) -> RunEstimate:
    """Counts what a run would take; nothing is written.

    Args:
        config: the run, with its data.
        device: a name of `DEVICES`, whose seconds are reckoned from the operations; None = this machine, whose
            seconds are taken from a few real steps, which needs the model's foundation weights.

    Raises:
        ConfigError: a device of that name is not known.
        DataError: as in training.
        FoundationWeightsError: the sizes of the language model are not known, or its weights are not here.
    """
    from semantic_cc.checkpoint.meta_model import outline
    from semantic_cc.model.prompter import Prompter
    from semantic_cc.training.gradient_checkpointing import recompute_layers

    if device is not None and device not in DEVICES:
        raise ConfigError(f"no device {device!r} is known; choose one of: {', '.join(DEVICES)}")
    pairs = open_dataset(config.data, "train")
    config = with_vocabulary(config, pairs)
    legs = schedules_of(stages.stages_of(config.train.strategy, config.model), pairs, config.train)
    model = outline(config.model)
    if model.llm is not None:
        decoder = model.caption_decoder
        decoder.prompter = Prompter(_word_tokenizer(), decoder.prompter.template)
    if config.train.gradient_checkpointing:
        recompute_layers(model)
    trained = trained_parameters(model, legs)
    steps = [_steps(leg, pairs, config) for leg in legs]
    costs = [_cost(model, own) for own in steps]
    seconds = (
        _timed(config, legs, steps)
        if device is None
        else [_reckoned(o, DEVICES[device], config) for o, _ in costs]
    )
    return RunEstimate(
        parts=count(model, tuple(leg.stage for leg in legs)),
        stages=tuple(
            StageEstimate(leg.stage.name, len(leg.items), leg.visits, leg.steps, operations, memory, spent)
            for leg, (operations, memory), spent in zip(legs, costs, seconds, strict=True)
        ),
        epochs=config.train.epochs,
        held=_held(model, trained, config),
        cached=_cached(legs, pairs, config),
        device=_described(device),
    )


def _word_tokenizer() -> PreTrainedTokenizerFast:
    """One token a word or mark, which is about what LLMs make of such sentences; their own may not be here."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="?")


def _steps(leg: StageSchedule, pairs: Pairs, config: Config) -> list[TrainStep]:
    """The first steps of a stage as the first device takes them."""
    share = DeviceShare(0, config.hardware.devices * config.hardware.nodes, config.train.accumulate)
    return list(islice(turns([leg], pairs, config.train, 0, 0, share), LOOKED_AT))


def _cost(model: ChangeModel, steps: Sequence[TrainStep]) -> tuple[float, int]:
    """Mean operations of the steps of a stage, and the most memory one takes."""
    stage = steps[0].leg.stage
    stages.apply(stage, model)
    found = []
    for turn in steps:
        pieces = list(pieces_of(model, turn, torch.device("meta")))

        def work(pieces=pieces) -> None:  # type: ignore[no-untyped-def]
            for piece in pieces:
                torch.stack(list(losses_of(model, stage, piece, piece.told, None).values())).sum().backward()

        found.append(cost_of(work))
        model.zero_grad(set_to_none=True)
    return sum(operations for operations, _ in found) / len(found), max(memory for _, memory in found)


def _reckoned(operations: float, device: Device, config: Config) -> float:
    peak = device.single if config.train.precision == "float32" else device.half
    return operations / (BUSY * peak)


def _timed(
    config: Config, legs: Sequence[StageSchedule], steps_of: Sequence[Sequence[TrainStep]]
) -> list[float]:
    """Mean seconds of the steps of each stage here, on one device, the first left out."""
    alone = replace(config, hardware=HardwareConfig(accelerator=config.hardware.accelerator))
    fabric = fabric_of(config.train.precision, alone.hardware)
    model = starting_model(config)
    updater = prepared(fabric, model, legs, alone, total=10**6)
    stepper = Stepper(fabric, model, updater, config.train, Clock())
    means = []
    for steps in steps_of:
        stages.apply(steps[0].leg.stage, model)
        stepper.take(steps[0])
        started = time.perf_counter()
        for turn in steps[1:] or steps:
            stepper.take(turn)
        means.append((time.perf_counter() - started) / len(steps[1:] or steps))
    return means


def _held(model: ChangeModel, trained: dict[str, nn.Parameter], config: Config) -> int:
    spread = 1 if config.hardware.strategy == "ddp" else config.hardware.devices * config.hardware.nodes
    layers = [] if model.llm is None else model.llm.get_decoder().layers
    frozen_layers = sum(p.nbytes for layer in layers for n, p in layer.named_parameters() if "lora_" not in n)
    weights = (
        sum(parameter.nbytes for parameter in model.parameters()) - frozen_layers + frozen_layers // spread
    )
    per_trained = 8 + (4 if config.train.ema is not None else 0)
    return weights + per_trained * sum(parameter.numel() for parameter in trained.values())


def _cached(legs: Sequence[StageSchedule], pairs: Pairs, config: Config) -> int:
    if not config.train.cache_features:
        return 0
    height, width = pairs[legs[0].items[0]].before.shape[:2]
    patch = config.model.encoder.patch
    channels = config.model.encoder.width + (
        config.model.encoder.change_width if config.model.change_task else 0
    )
    items = max((len(leg.items) for leg in legs if leg.stage.caption), default=0)
    return items * 2 * -(-height // patch) * -(-width // patch) * channels * 4


def _described(device: str | None) -> str:
    if device is None:
        return f"this machine ({device_name()}), {LOOKED_AT - 1} steps of each stage timed"
    known = DEVICES[device]
    peak = f"{known.half / 1e12:g} TFLOP/s in half precision"
    return f"{device}, {peak}, of which {BUSY:.0%} are assumed (small batches reach less)"

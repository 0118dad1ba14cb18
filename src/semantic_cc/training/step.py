"""One optimiser step: the stage's losses over all micro-batches and devices, their gradients, the update."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor

from semantic_cc.config import TrainConfig
from semantic_cc.data.collate import Batch, collate
from semantic_cc.errors import DataError, SemanticCCError, TrainingError
from semantic_cc.losses import caption_loss, change_loss, dice_loss, flag_loss
from semantic_cc.training.devices import add_gradients, distributed_sum, raise_together
from semantic_cc.training.optim import Updater
from semantic_cc.training.sampling import DrawnSample, StageSchedule
from semantic_cc.training.stages import Stage
from semantic_cc.training.step_profile import Clock

if TYPE_CHECKING:
    from semantic_cc.model.base import ChangeModel
    from semantic_cc.model.encoder import Features
    from semantic_cc.training.feature_cache import FeatureCache

PARTS: tuple[Literal["change", "caption", "flag", "dice"], ...] = ("change", "caption", "flag", "dice")
"""The unweighted losses: means over all items (captions: tokens) of the step."""


@dataclass(frozen=True)
class TrainStep:
    """One step of a phase.

    Attributes:
        number: index over all epochs of the phase, from 0.
        epoch: from 0.
        ends_epoch: whether it is the last step of its epoch.
        stage: name in the log.
        items: number of items on all devices.
    """

    number: int
    epoch: int
    ends_epoch: bool
    stage: str
    items: int


@dataclass(frozen=True)
class StagedStep(TrainStep):
    """One step of a stage.

    Attributes:
        schedule: the stage with its dataset.
        micro_batches: this device's items with their draws, see `sampling.DeviceShare`.
    """

    schedule: StageSchedule
    micro_batches: list[list[DrawnSample]]


@dataclass(frozen=True)
class MicroBatch:
    """The items of one forward pass.

    Attributes:
        samples: the items.
        batch: the items as tensors.
        sentences: target sentences of each item; None if the stage uses none.
        counts: (4,) float64, denominators of the means of `PARTS`: items, tokens, items, items; 0 for a loss that is
            not computed.
    """

    samples: list[DrawnSample]
    batch: Batch
    sentences: list[tuple[str, ...]] | None
    counts: Tensor


class Stepper:
    """Takes steps of stages.

    Args:
        fabric: devices and precision.
        model: the model on this device.
        updater: optimiser of the trainable parameters.
        config: settings of all phases.
        dice_weight: weight of the Dice loss.
        clock: profiler.
    """

    def __init__(
        self,
        fabric: Fabric,
        model: ChangeModel,
        updater: Updater,
        config: TrainConfig,
        dice_weight: float,
        clock: Clock,
    ) -> None:
        self.fabric, self.model, self.updater, self.config, self.dice_weight, self.clock = (
            fabric, model, updater, config, dice_weight, clock,
        )  # fmt: skip

    def take(self, step: StagedStep, cache: FeatureCache | None = None) -> dict[str, float]:
        """Takes one step; returns the losses, weighted sum first, and the gradient norm if clipping is on.

        Args:
            step: the step; the model must be prepared for its stage.
            cache: cached features of the frozen encoder; None = run the encoder.

        Raises:
            DataError: an item lacks what the stage needs, or does not fit its batch.
            TrainingError: a loss or the gradient is not finite.
        """
        torch.manual_seed(draw_key(self.config.seed, step.number, self.fabric.global_rank))  # for dropout
        batches = self._prepared(step)
        self.updater.optimizer.zero_grad(set_to_none=True)
        counts = distributed_sum(self.fabric, torch.stack([batch.counts for batch in batches]))
        totals = counts.sum(dim=0)  # counts: (micro-batches, 4)
        values = torch.zeros(len(PARTS), dtype=torch.float64, device=self.fabric.device)
        for batch, everywhere in zip(batches, counts, strict=True):
            sentences = _with_stand_in(batch) if everywhere[1] > 0 else batch.sentences
            with self.fabric.autocast():
                features = None if cache is None else cache.features(batch.samples, batch.batch)
                parts = losses_of(
                    self.model, step.schedule.stage, batch, sentences, features, self.dice_weight > 0
                )

            shares = batch.counts / totals.clamp_min(1)
            weighted = self._weights(step) * shares
            loss = torch.stack([weighted[PARTS.index(name)] * part for name, part in parts.items()]).sum()
            self.clock.enter("losses")
            self.updater.backward(loss.float())
            for name, part in parts.items():
                values[PARTS.index(name)] += part.detach() * shares[PARTS.index(name)]
        self.clock.enter("optimiser")
        values = distributed_sum(self.fabric, values)
        shown = {"loss": float((self._weights(step) * values).sum())}
        shown |= {name: float(v) for name, v, n in zip(PARTS, values, totals, strict=True) if n > 0}
        names = [name for batch in batches for name in batch.batch.names]
        require_finite("loss", shown, step, names)
        add_gradients(self.fabric, self.updater.parameters.values())
        norm = self.updater.gradient_norm()
        if norm is not None and self.config.precision != "float16":
            require_finite("gradient", {"norm": norm}, step, names)
        self.updater.update(step.number)
        return shown if norm is None else shown | {"norm": norm}

    def _prepared(self, step: StagedStep) -> list[MicroBatch]:
        batches: list[MicroBatch] = []
        error: SemanticCCError | None = None
        try:
            batches = list(micro_batches_of(self.model, step, self.fabric.device, self.dice_weight > 0))
        except SemanticCCError as raised:
            error = raised
        raise_together(self.fabric, error)
        return batches

    def _weights(self, step: StagedStep) -> Tensor:
        """Weights in the order of `PARTS`: L_cd; L_cc; or L_cc + lambda L_cd (eq. 9); L_cc with the flag loss."""
        change = self.config.change_weight if step.schedule.stage.caption else 1.0
        weights = [change, 1.0, self.config.flag_weight, change * self.dice_weight]
        return torch.tensor(weights, dtype=torch.float64, device=self.fabric.device)


def micro_batches_of(
    model: ChangeModel, step: StagedStep, device: torch.device, dice: bool = False
) -> Iterator[MicroBatch]:
    """The micro-batches of a step on `device`; `dice`: whether a Dice loss is computed with L_cd.

    Raises:
        DataError: an item lacks what the stage needs, or does not fit its batch.
    """
    stage = step.schedule.stage
    for samples in step.micro_batches:
        batch = collate([sample.pair for sample in samples], device)
        sentences = None
        tokens = flags = 0
        if stage.change and batch.label is None:
            raise DataError(f"{batch.names[0]}: has no label, which stage {stage.name} learns from; add it")
        if stage.caption:
            sentences = [_sentences_for(model, sample) for sample in samples]
            tokens = sum(len(model.caption_decoder.answer_ids(text)) for own in sentences for text in own)
            flags = len(samples) if model.config.learns_flag else 0
            if flags and batch.changed is None:
                name = next(sample.pair.name for sample in samples if sample.pair.changed is None)
                raise DataError(
                    f"{name}: has no change flag, which the flag head or promptcc's classifier learns from; "
                    "add the flags, or turn the head off"
                )
        masked = len(samples) if stage.change else 0
        counts = torch.tensor([masked, tokens, flags, masked if dice else 0], dtype=torch.float64)
        counted = float(samples[0].visit.counted)  # a padding item has its own micro-batch
        yield MicroBatch(samples, batch, sentences, (counts * counted).to(device))


def _sentences_for(model: ChangeModel, sample: DrawnSample) -> tuple[str, ...]:
    """The target sentences of a pair.

    With a flag head, unchanged pairs have none: `predict` answers them without the LLM.
    """
    return () if model.config.flag_head and not sample.pair.changed else sample.pair.sentences


def losses_of(
    model: ChangeModel,
    stage: Stage,
    given: MicroBatch,
    sentences: list[tuple[str, ...]] | None,
    features: Features | None,
    dice: bool = False,
) -> dict[str, Tensor]:
    """The unweighted losses of a micro-batch, by their names in `PARTS`.

    Args:
        model, stage: the model, prepared for the stage.
        given: the micro-batch.
        sentences: target sentences of each pair, None if the stage uses none.
        features: cached features of the frozen encoder; None = run the encoder.
        dice: whether to compute the Dice loss with L_cd.
    """
    batch, asked = given.batch, [sample.instruction or "" for sample in given.samples]
    output = model(
        batch.before,
        batch.after,
        change=stage.change,
        sentences=sentences,
        instructions=None if sentences is None else asked,
        features=features,
    )
    parts = {}
    if stage.change and batch.label is not None:
        parts["change"] = change_loss(output.change_logits, batch.label)
        if dice:
            parts["dice"] = dice_loss(output.change_logits, batch.label)
    if output.caption_logits is not None:
        parts["caption"] = caption_loss(output.caption_logits, output.caption_targets)
    if output.flag_logits is not None and batch.changed is not None:
        parts["flag"] = flag_loss(output.flag_logits, batch.changed)
    return parts


def _with_stand_in(batch: MicroBatch) -> list[tuple[str, ...]] | None:
    """Target sentences, with a dummy if only other devices have some: all devices must enter a sharded layer."""
    if batch.sentences is None or any(batch.sentences):
        return batch.sentences
    return [batch.samples[0].pair.sentences, *batch.sentences[1:]]


def draw_key(*numbers: int) -> int:
    """A random seed derived from `numbers` by hashing."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def require_finite(what: str, values: dict[str, float], step: TrainStep, names: list[str]) -> None:
    """Requires finite losses and gradients.

    Raises:
        TrainingError: a value is not finite; names the stage, the step and its items.
    """
    if not all(math.isfinite(value) for value in values.values()):
        shown = ", ".join(f"{name} {value}" for name, value in values.items())
        items = f", items {', '.join(names)}" if names else ""
        raise TrainingError(
            f"the {what} is not finite ({shown}) in stage {step.stage}, epoch {step.epoch + 1}, step "
            f"{step.number + 1}{items}; lower the phase's lr or set optim.max_grad_norm"
        )

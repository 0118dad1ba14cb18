"""One optimiser step: the stage's losses over all pieces and devices, their gradients, the update."""

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
"""The losses, unweighted: each the mean over all items (for captions: tokens) of the step."""


@dataclass(frozen=True)
class TrainStep:
    """One step to take.

    Attributes:
        step: its number over all stages and epochs, from 0.
        epoch: from 0.
        leg: the stage with its dataset.
        pieces: this device's items with what was drawn for them, see `sampling.DeviceShare`.
        ends_epoch: whether it is the epoch's last.
    """

    step: int
    epoch: int
    leg: StageSchedule
    pieces: list[list[DrawnSample]]
    ends_epoch: bool


@dataclass(frozen=True)
class MicroBatch:
    """What goes through the model at once.

    Attributes:
        samples: the items.
        batch: the same as tensors.
        told: the sentences the LLM learns from each; None where the stage reads none.
        counts: (4,) float64, what the means of `PARTS` are taken over: items, tokens, items, items.
    """

    samples: list[DrawnSample]
    batch: Batch
    told: list[tuple[str, ...]] | None
    counts: Tensor


class Stepper:
    """Takes steps.

    Args:
        fabric: devices and precision.
        model: on this device.
        updater: optimiser over what trains.
        config: the training settings.
        clock: told which part is at work.
    """

    def __init__(
        self, fabric: Fabric, model: ChangeModel, updater: Updater, config: TrainConfig, clock: Clock
    ) -> None:
        self.fabric, self.model, self.updater, self.config, self.clock = fabric, model, updater, config, clock

    def take(self, turn: TrainStep, cache: FeatureCache | None = None) -> dict[str, float]:
        """One step; the losses as numbers, their weighted sum first, and the gradient's norm where it is clipped.

        Args:
            turn: the step; the model must be in its stage.
            cache: what the frozen encoder said of items; None = the encoder runs.

        Raises:
            DataError: an item lacks what the stage learns from, or does not fit its batch.
            TrainingError: a loss or the gradient is not finite.
        """
        torch.manual_seed(_key(self.config.seed, turn.step, self.fabric.global_rank))  # for dropout
        pieces = self._prepared(turn)
        self.updater.optimizer.zero_grad(set_to_none=True)
        counts = distributed_sum(self.fabric, torch.stack([piece.counts for piece in pieces]))  # (pieces, 4)
        totals = counts.sum(dim=0)
        values = torch.zeros(len(PARTS), dtype=torch.float64, device=self.fabric.device)
        for piece, everywhere in zip(pieces, counts, strict=True):
            told = _with_stand_in(piece) if everywhere[1] > 0 else piece.told
            with self.fabric.autocast():
                features = None if cache is None else cache.features(piece.samples, piece.batch)
                parts = losses_of(
                    self.model, turn.leg.stage, piece, told, features, self.config.dice_weight > 0
                )

            shares = piece.counts / totals.clamp_min(1)
            weighted = self._weights(turn) * shares
            loss = torch.stack([weighted[PARTS.index(name)] * part for name, part in parts.items()]).sum()
            self.clock.enter("losses")
            self.updater.backward(loss.float())
            for name, part in parts.items():
                values[PARTS.index(name)] += part.detach() * shares[PARTS.index(name)]
        self.clock.enter("optimiser")
        values = distributed_sum(self.fabric, values)
        shown = {"loss": float((self._weights(turn) * values).sum())}
        if self.config.dice_weight == 0:
            totals[PARTS.index("dice")] = 0  # it was not taken
        shown |= {name: float(v) for name, v, n in zip(PARTS, values, totals, strict=True) if n > 0}
        _require_finite("loss", shown, turn, pieces)
        add_gradients(self.fabric, self.updater.parameters.values())
        norm = self.updater.gradient_norm()
        if norm is not None and self.config.precision != "float16":
            _require_finite("gradient", {"norm": norm}, turn, pieces)
        self.updater.update(turn.step)
        return shown if norm is None else shown | {"norm": norm}

    def _prepared(self, turn: TrainStep) -> list[MicroBatch]:
        pieces: list[MicroBatch] = []
        error: SemanticCCError | None = None
        try:
            pieces = list(pieces_of(self.model, turn, self.fabric.device))
        except SemanticCCError as raised:
            error = raised
        raise_together(self.fabric, error)
        return pieces

    def _weights(self, turn: TrainStep) -> Tensor:
        """L_cd alone; L_cc; or L_cc + lambda L_cd (eq. 9); the flag's loss beside L_cc. As `PARTS`."""
        change = self.config.change_weight if turn.leg.stage.caption else 1.0
        weights = [change, 1.0, self.config.flag_weight, change * self.config.dice_weight]
        return torch.tensor(weights, dtype=torch.float64, device=self.fabric.device)


def pieces_of(model: ChangeModel, turn: TrainStep, device: torch.device) -> Iterator[MicroBatch]:
    """The pieces of a step on `device`.

    Raises:
        DataError: an item lacks what the stage learns from, or does not fit its batch.
    """
    stage = turn.leg.stage
    for samples in turn.pieces:
        batch = collate([sample.pair for sample in samples]).to(device)
        told = None
        tokens = flags = 0
        if stage.change and batch.label is None:
            raise DataError(f"{batch.names[0]}: has no label, which stage {stage.name} learns from")
        if stage.caption:
            told = [_told(model, sample) for sample in samples]
            tokens = sum(len(model.caption_decoder.answer_ids(text)) for own in told for text in own)
            flags = len(samples) if model.config.learns_flag else 0
            if flags and batch.changed is None:
                name = next(sample.pair.name for sample in samples if sample.pair.changed is None)
                raise DataError(
                    f"{name}: has no change flag, which the flag head or promptcc's classifier learns from; "
                    "add the flags, or turn the head off"
                )
        masked = len(samples) if stage.change else 0
        counts = torch.tensor([masked, tokens, flags, masked], dtype=torch.float64)
        counted = float(samples[0].visit.counted)  # a stand-in is alone in its piece
        yield MicroBatch(samples, batch, told, (counts * counted).to(device))


def _told(model: ChangeModel, sample: DrawnSample) -> tuple[str, ...]:
    """The sentences that are learned from a pair.

    With a flag head none from unchanged pairs: `predict` answers them without the LLM.
    """
    return () if model.config.flag_head and not sample.pair.changed else sample.pair.sentences


def losses_of(
    model: ChangeModel,
    stage: Stage,
    piece: MicroBatch,
    told: list[tuple[str, ...]] | None,
    features: Features | None,
    dice: bool = False,
) -> dict[str, Tensor]:
    """The stage's losses over a piece, by their names in `PARTS`, unweighted.

    Args:
        model, stage: the model, in its stage.
        piece: what goes in.
        told: the sentences the LLM reads of each pair, None where the stage reads none.
        features: what the frozen encoder said of the piece, None = it runs.
        dice: whether the Dice loss is taken beside L_cd.
    """
    batch, asked = piece.batch, [sample.instruction or "" for sample in piece.samples]
    output = model(
        batch.before,
        batch.after,
        change=stage.change,
        sentences=told,
        instructions=None if told is None else asked,
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


def _with_stand_in(piece: MicroBatch) -> list[tuple[str, ...]] | None:
    """What the LLM reads where it reads something on any device: a sharded layer needs all of them to come."""
    if piece.told is None or any(piece.told):
        return piece.told
    return [piece.samples[0].pair.sentences, *piece.told[1:]]


def _key(*numbers: int) -> int:
    """A generator's seed that no other combination of numbers shares but by chance."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def _require_finite(what: str, values: dict[str, float], turn: TrainStep, pieces: list[MicroBatch]) -> None:
    if not all(math.isfinite(value) for value in values.values()):
        shown = ", ".join(f"{name} {value}" for name, value in values.items())
        names = ", ".join(name for piece in pieces for name in piece.batch.names)
        raise TrainingError(
            f"the {what} is not finite ({shown}) in stage {turn.leg.stage.name}, epoch "
            f"{turn.epoch + 1}, step {turn.step + 1}, items {names}; "
            "lower optim.lr or set optim.max_grad_norm"
        )

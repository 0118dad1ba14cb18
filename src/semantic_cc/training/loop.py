"""One loop for all stages (paper III-F): each epoch runs every stage once."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from semantic_cc.config import Config, TrainConfig
from semantic_cc.data.collate import Batch, collate
from semantic_cc.data.opening import open_dataset
from semantic_cc.errors import DataError, TrainingError
from semantic_cc.losses import caption_loss, change_loss, flag_loss
from semantic_cc.training import stages
from semantic_cc.training.device import fabric_of
from semantic_cc.training.optim import learning_rate, optimizer_of
from semantic_cc.training.progress import Reporter
from semantic_cc.training.sampling import Leg, Pairs, Sample, default_workers, legs_of, samples
from semantic_cc.training.start import refuse_untrained_foundations, require_flags, starting_model
from semantic_cc.training.state import Log, RunFolder, load_state, open_run, save_state
from semantic_cc.training.validate import Validation, validation_pairs

if TYPE_CHECKING:
    from semantic_cc.model.semantic_cc import SemanticCCModel

Parts = dict[Literal["change", "caption", "flag"], Tensor]
"""Losses by name, unweighted."""


def train(config: Config, resume: bool = False) -> Path:
    """Trains a model from the train split of `config.data`.

    Args:
        config: everything about the run.
        resume: go on from the latest training state in `config.out`; start anew where there is none.

    Returns:
        The folder of the trained model, for `load_pretrained`.

    Raises:
        DataError: no such dataset, no items of the kind a stage needs, or without the flags the model needs.
        OutputError: `config.out` cannot be written, or holds a run and `resume` is off.
        ConfigError: resumed with another configuration; a part is frozen at its random start.
        FoundationWeightsError: SAM's or the LLM's weights are not to be found.
        TrainingError: the loss is no longer finite.
    """
    refuse_untrained_foundations(config)
    pairs = open_dataset(config.data, "train")
    plan = legs_of(stages.stages_of(config.train.strategy, config.model), pairs, config.train)
    if config.model.flag_head and any(leg.stage.caption for leg in plan):
        require_flags(pairs)
    val = validation_pairs(config)
    folder = open_run(config, resume)
    validation = None if val is None else Validation(config.train, val, folder)
    return fit(starting_model(config), pairs, plan, config, folder, validation, workers=default_workers())


def fit(
    model: SemanticCCModel,
    pairs: Pairs,
    plan: Sequence[Leg],
    config: Config,
    folder: RunFolder,
    validation: Validation | None = None,
    workers: int = 0,
    accelerator: str = "auto",
) -> Path:
    """Runs the loop on a built model, from the state in `folder` where there is one.

    Args:
        model: the model; trained in place.
        pairs: the dataset.
        plan: the stages of each epoch with their items.
        config: optimiser and training settings.
        folder: the run's folder, opened.
        validation: scores the model after each epoch; None = no validation.
        workers: processes that read ahead.
        accelerator: Fabric's name of the device; auto = the first accelerator, or else the CPU.

    Returns:
        The folder of the model after the last epoch.

    Raises:
        As `train`.
    """
    fabric = fabric_of(config.train, accelerator)
    model.to(fabric.device)
    parameters = trained_parameters(model, plan)
    optimizer = optimizer_of(parameters, config.optim)
    per_epoch = sum(leg.steps for leg in plan)
    total = config.train.epochs * per_epoch
    torch.manual_seed(config.train.seed)
    done = load_state(folder.state, config, parameters, optimizer) if folder.state.exists() else 0
    if validation is not None and validation.gives_up(done // per_epoch):
        return folder.model
    current: Leg | None = None
    started = time.perf_counter()
    with Log(folder.log, done) as log, Reporter(total, done) as reporter:
        for turn in turns(plan, pairs, config.train, done, workers):
            if turn.leg is not current:
                stages.apply(turn.leg.stage, model)
                current = turn.leg
            lr = learning_rate(turn.step, total, config.optim)
            for group in optimizer.param_groups:
                group["lr"] = lr
            losses = take_step(fabric, model, optimizer, turn, config)
            seconds = time.perf_counter() - started  # with the wait for the items
            done = turn.step + 1
            stage = turn.leg.stage.name
            log.write(
                step=done, epoch=turn.epoch + 1, stage=stage, **losses, lr=lr, seconds=round(seconds, 4)
            )
            reporter.step(stage, turn.epoch + 1, config.train.epochs, losses, seconds, len(turn.samples))
            if turn.ends_epoch:
                _save_model(model, folder.model, config, turn)
                if validation is not None:
                    if validation.run(fabric, model, turn.epoch + 1):
                        _save_model(model, folder.best, config, turn)
                    current = None  # it left the model in eval mode
            if turn.ends_epoch or done % config.train.checkpoint_every == 0:
                save_state(folder.state, config, done, parameters, optimizer)
            if turn.ends_epoch and validation is not None and validation.gives_up(turn.epoch + 1):
                break
            started = time.perf_counter()
    return folder.model


@dataclass(frozen=True)
class Turn:
    """One step to take.

    Attributes:
        step: its number over all stages and epochs, from 0.
        epoch: from 0.
        leg: the stage with its dataset.
        samples: the items with what was drawn for them.
        ends_epoch: whether it is the epoch's last.
    """

    step: int
    epoch: int
    leg: Leg
    samples: list[Sample]
    ends_epoch: bool


def turns(plan: Sequence[Leg], pairs: Pairs, config: TrainConfig, done: int, workers: int) -> Iterator[Turn]:
    """The steps of a run in order, without the first `done`."""
    per_epoch = sum(leg.steps for leg in plan)
    for epoch in range(done // per_epoch, config.epochs):
        step = epoch * per_epoch
        for leg in plan:
            first = min(max(done - step, 0), leg.steps)
            step += first
            if first == leg.steps:
                continue
            for batch in samples(pairs, leg, config, epoch, first, workers):
                yield Turn(step, epoch, leg, batch, step + 1 == (epoch + 1) * per_epoch)
                step += 1


def trained_parameters(model: SemanticCCModel, plan: Sequence[Leg]) -> dict[str, nn.Parameter]:
    """Every parameter that trains in some stage, by name, in the model's order; all made float32.

    The masters are float32 whatever the precision of the forward pass: in bfloat16, updates below 1/256 of
    a weight would be rounded away.
    """
    names = set().union(*(stages.trainable_names(leg.stage, model) for leg in plan))
    parameters = {name: parameter for name, parameter in model.named_parameters() if name in names}
    for parameter in parameters.values():
        parameter.data = parameter.data.float()
    return parameters


def take_step(
    fabric: Fabric, model: SemanticCCModel, optimizer: torch.optim.Optimizer, turn: Turn, config: Config
) -> dict[str, float]:
    """One optimiser step; the losses as numbers, the total first."""
    batch = collate([sample.pair for sample in turn.samples]).to(fabric.device)
    with fabric.autocast():
        parts = _losses(model, turn, batch)
    loss = _total(parts, config.train)
    values = dict(zip(("loss", *parts), torch.stack([loss, *parts.values()]).tolist(), strict=True))
    _require_finite("loss", values, turn, batch)
    optimizer.zero_grad(set_to_none=True)
    fabric.backward(loss)
    if config.optim.max_grad_norm is not None:
        norm = nn.utils.clip_grad_norm_(model.parameters(), config.optim.max_grad_norm)
        _require_finite("gradient", {"norm": norm.item()}, turn, batch)
    optimizer.step()
    return values


def _losses(model: SemanticCCModel, turn: Turn, batch: Batch) -> Parts:
    """The stage's losses, unweighted."""
    stage = turn.leg.stage
    parts: Parts = {}
    output = model(
        batch.before,
        batch.after,
        change=stage.change,
        sentences=_told(model, turn) if stage.caption else None,
        instructions=[s.instruction for s in turn.samples] if stage.caption else None,
    )
    if stage.change:
        if batch.label is None:
            raise DataError(f"{batch.names[0]}: has no label, which stage {stage.name} learns from")
        parts["change"] = change_loss(output.change_logits, batch.label)
    if stage.caption:
        if output.caption_logits is not None:
            parts["caption"] = caption_loss(output.caption_logits, output.caption_targets)
        if output.flag_logits is not None:
            if batch.changed is None:
                name = next(sample.pair.name for sample in turn.samples if sample.pair.changed is None)
                raise DataError(
                    f"{name}: has no change flag, which model.flag_head learns from; "
                    "add the flags or turn the head off"
                )
            parts["flag"] = flag_loss(output.flag_logits, batch.changed)
    return parts


def _told(model: SemanticCCModel, turn: Turn) -> list[tuple[str, ...]]:
    """The sentences the LLM learns from each pair.

    With a flag head none from unchanged pairs: `predict` answers them without the LLM.
    """
    gated = model.caption_decoder.flag is not None
    return [() if gated and not s.pair.changed else s.pair.sentences for s in turn.samples]


def _total(parts: Parts, config: TrainConfig) -> Tensor:
    """L_cd alone; L_cc; or L_cc + lambda L_cd (eq. 9); with the flag's loss beside L_cc."""
    if parts.keys() == {"change"}:
        return parts["change"]
    weights = {"caption": 1.0, "change": config.change_weight, "flag": config.flag_weight}
    return torch.stack([weights[name] * part for name, part in parts.items()]).sum()


def _require_finite(what: str, values: dict[str, float], turn: Turn, batch: Batch) -> None:
    if not all(math.isfinite(value) for value in values.values()):
        shown = ", ".join(f"{name} {value}" for name, value in values.items())
        raise TrainingError(
            f"the {what} is not finite ({shown}) in stage {turn.leg.stage.name}, epoch "
            f"{turn.epoch + 1}, step {turn.step + 1}, items {', '.join(batch.names)}; "
            "lower optim.lr or set optim.max_grad_norm"
        )


def _save_model(model: SemanticCCModel, folder: Path, config: Config, turn: Turn) -> None:
    from semantic_cc.model.checkpoint import save_pretrained

    training = {
        "epoch": turn.epoch + 1,
        "epochs": config.train.epochs,
        "step": turn.step + 1,
        "strategy": config.train.strategy,
        "seed": config.train.seed,
        "data": config.data,
    }
    save_pretrained(model, folder, name=config.preset, training=training)

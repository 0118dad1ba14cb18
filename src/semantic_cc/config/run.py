"""A run's settings: optimiser, training loop, hardware, and the configuration that holds them all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from semantic_cc.config.model import ModelConfig
from semantic_cc.config.phases import PhaseConfig


@dataclass(frozen=True)
class OptimConfig:
    """AdamW and its schedule over all steps of a phase (paper IV-C): linear warm-up, then cosine to zero.

    Args:
        lr: peak learning rate of the phases that do not set one.
        trunk_lr_scale: factor of the learning rate for a hybrid encoder's convolutions, which start from ImageNet.
        weight_decay: decoupled weight decay.
        warmup: share of all steps spent warming up, in [0, 1).
        max_grad_norm: gradients are clipped to this norm; null = not clipped (the paper does not say).
    """

    lr: float = 1e-4
    trunk_lr_scale: float = 1.0
    weight_decay: float = 0.05
    warmup: float = 0.03
    max_grad_norm: float | None = None


@dataclass(frozen=True)
class TrainConfig:
    """Settings of all phases of a training run.

    Args:
        init: folder of a trained model, or a shipped name, to start from; null = start from foundation weights.
        accumulate: micro-batches that each device splits its share of a step into; their gradients are added up, so
            that the step is the same and takes less memory. Read by phases of kind stages.
        change_weight: the factor lambda of eq. 9.
        flag_weight: weight of the change-flag head's loss, added to the caption loss; in kind qformer, to that of the
            words.
        sort_by_length: put pairs with captions of similar length into one batch, so that less of it is padding. Read by
            phases of kind stages.
        gradient_checkpointing: keep only the inputs of encoder layers, neck units, Q-Former and LLM layers, and
            run these again in the backward pass: less memory, a third more time. Read by phases of kind stages.
        precision: float32, or autocast to bfloat16 or to float16 with a gradient scaler.
        seed: seed of initial weights, sampling, augmentation and dropout.
        cache_images: keep the decoded images of a phase of kind stages in memory, 7 bytes for each pixel of a labelled
            pair, so that images are decoded only once.
        features: folder to keep the features of phases with cache_features in, instead of in memory, if no part of the
            image encoder trains; runs with the same encoder and images share it.
        checkpoint_every: optimiser steps between checkpoints of the training state.
        keep_every: epochs between models that are kept permanently, in `epochs/`; null = only the last and the best.
            Read by phases of kind stages.
        loggers: where the curves are logged in addition to log.csv: tensorboard, wandb (needs the extra wandb).
        val_data: datasets whose val split is scored after each epoch and calibrates the change flag; null = those of
            the phase.
        val_items: pairs of the val split, drawn with seed 0, that are scored after each epoch of the phases that have a
            val_metric; 0 = no validation.
        val_pictures: validated pairs whose images, masks and descriptions go to `pictures/` and the loggers after each
            epoch.
    """

    init: str | None = None
    accumulate: int = 1
    change_weight: float = 0.5
    flag_weight: float = 1.0
    sort_by_length: bool = False
    gradient_checkpointing: bool = False
    precision: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    seed: int = 0
    cache_images: bool = False
    features: str | None = None
    checkpoint_every: int = 500
    keep_every: int | None = None
    loggers: tuple[Literal["tensorboard", "wandb"], ...] = ("tensorboard",)
    val_data: str | tuple[str, ...] | None = None
    val_items: int = 0
    val_pictures: int = 4


@dataclass(frozen=True)
class HardwareConfig:
    """The hardware of a run; a resumed run may use other hardware.

    Args:
        accelerator: auto = CUDA if available, otherwise the CPU.
        devices: devices on each machine; each has its own process.
        nodes: number of machines.
        sharding: ddp = each device holds the whole model; fsdp = the LLM's frozen layers are spread over the
            devices (FSDP2) and gathered one at a time, and the rest is held whole.
    """

    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = 1
    nodes: int = 1
    sharding: Literal["ddp", "fsdp"] = "ddp"


@dataclass(frozen=True)
class Config:
    """Everything a training run needs.

    Args:
        preset: the preset this configuration starts from, for example small or paper+table2-bcsf.
        data: the dataset (docs/data.md lists the layouts), or a list of several to join.
        out: folder for the log, the checkpoints and the trained model.
        model: the model.
        optim: optimiser and schedule.
        train: settings of all phases.
        phases: the phases, in the order in which they run: name -> settings.
        hardware: the devices it runs on.
    """

    preset: str = "small"
    data: str | tuple[str, ...] = "data"
    out: str = "runs/out"
    model: ModelConfig = field(default_factory=ModelConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    phases: dict[str, PhaseConfig] = field(default_factory=dict)
    hardware: HardwareConfig = field(default_factory=HardwareConfig)

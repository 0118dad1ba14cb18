"""A run's settings: optimiser, training loop, hardware, and the configuration that holds them all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from semantic_cc.config.model import ModelConfig


@dataclass(frozen=True)
class OptimConfig:
    """AdamW and its one schedule over all steps (paper IV-C): linear warm-up, then cosine to zero.

    Args:
        lr: peak learning rate.
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
    """The staged training loop (paper III-F, Table IV).

    Args:
        init: folder of a trained model to go on from, under a new schedule; null = start anew.
        strategy: three stages (paper), two (i, ii), or one (everything together).
        epochs: each epoch runs every stage once.
        change_batch: items of a step of stage i, over all devices.
        caption_batch: items of a step of stage ii, over all devices.
        joint_batch: items of a step of stage iii and of the one-stage strategy, over all devices.
        accumulate: pieces that each device cuts its share of a step into; their gradients add up, so that the
            step is the same and takes less memory.
        source_weights: shares of the visits of each stage that the datasets of `data` get, in their order; empty =
            every item alike. A dataset without the items that a stage needs gives its share to the others.
        change_items: items stage i draws per epoch; null = all, 0 = the stage is left out.
        caption_items: items stage ii draws per epoch; null = all, 0 = the stage is left out.
        joint_items: items stage iii (or the single stage) draws per epoch; null = all, 0 = left out.
        sentences: sentences of a pair that stages with captions draw at each visit, at most all it has.
        change_weight: the factor lambda of eq. 9.
        dice_weight: weight of a Dice loss on the building class, added to L_cd; 0 = none (the paper).
        flag_weight: weight of the change-flag head's loss beside the caption loss.
        augment: random flips, turns, exchange of the dates, shifts, light, blur and JPEG, with the sentence
            rewritten where it is read, and crops where none is (docs/augmentation.md).
        sort_by_length: put pairs with sentences of like length into a batch, so that less of it is padding.
        cache_features: keep what the frozen encoder said of an item (in memory, 2hw(c + change_width) numbers)
            until a stage trains the encoder again; needs augment off.
        gradient_checkpointing: keep only the inputs of encoder layers, neck units, Q-Former and LLM layers, and
            run these again in the backward pass: less memory, a third more time.
        precision: float32, or autocast to bfloat16 or to float16 with a gradient scaler.
        ema: decay of an exponential moving average of the weights, in (0, 1), which is what is validated and
            saved as the model; null = the weights themselves.
        seed: seed of initial weights, sampling, augmentation and dropout.
        checkpoint_every: optimiser steps between checkpoints of the training state.
        keep_every: epochs between models that are kept for good, in `epochs/`; null = the last and the best alone.
        loggers: where the curves go besides log.csv: tensorboard, wandb (needs the extra of that name).
        val_items: pairs of the val split scored after each epoch, drawn with seed 0; 0 = no validation.
        val_pictures: of these the first so many are drawn and told after each epoch, in `pictures/` and the loggers.
        val_metric: by which the best model is kept: CIDEr of all validated pairs, F1 of building change, or
            accuracy of the change flag.
        patience: epochs without a better model after which the run stops; null = it never stops early.
    """

    init: str | None = None
    strategy: Literal["three_stage", "two_stage", "one_stage"] = "three_stage"
    epochs: int = 300
    change_batch: int = 1
    caption_batch: int = 1
    joint_batch: int = 1
    accumulate: int = 1
    source_weights: tuple[float, ...] = ()
    change_items: int | None = None
    caption_items: int | None = None
    joint_items: int | None = None
    sentences: int = 1
    change_weight: float = 0.5
    dice_weight: float = 0.0
    flag_weight: float = 1.0
    augment: bool = False
    sort_by_length: bool = False
    cache_features: bool = False
    gradient_checkpointing: bool = False
    precision: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    ema: float | None = None
    seed: int = 0
    checkpoint_every: int = 500
    keep_every: int | None = None
    loggers: tuple[Literal["tensorboard", "wandb"], ...] = ("tensorboard",)
    val_items: int = 0
    val_pictures: int = 4
    val_metric: Literal["cider", "building_f1", "flag"] = "cider"
    patience: int | None = None


@dataclass(frozen=True)
class HardwareConfig:
    """What a run computes on; a run may go on from its state on other hardware.

    Args:
        accelerator: auto = CUDA where there is one, or else the CPU.
        devices: devices, each with a process of its own, on each machine.
        nodes: machines.
        strategy: ddp = each device holds the whole model; fsdp = the LLM's frozen layers are spread over the
            devices (FSDP2) and gathered one at a time, and the rest is held whole.
    """

    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = 1
    nodes: int = 1
    strategy: Literal["ddp", "fsdp"] = "ddp"


@dataclass(frozen=True)
class Config:
    """Everything a training run needs.

    Args:
        preset: the preset this configuration starts from, for example small or paper+table2-bcsf.
        data: the dataset (docs/data.md names the layouts), or a list of several to be joined.
        out: folder for the log, the checkpoints and the trained model.
        model: the model.
        optim: optimiser and schedule.
        train: the training loop.
        hardware: the devices it runs on.
    """

    preset: str = "paper"
    data: str | tuple[str, ...] = "data"
    out: str = "runs/out"
    model: ModelConfig = field(default_factory=ModelConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    hardware: HardwareConfig = field(default_factory=HardwareConfig)

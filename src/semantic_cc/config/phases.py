"""The phases of a training run: what each trains, on what, for how long."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal

STAGES = ("change", "caption", "joint", "together", "mask_decoder")
"""Stages that a phase of kind `stages` may run; `training/stages.py` says what each trains."""


@dataclass(frozen=True)
class StageConfig:
    """One stage of a phase's epochs.

    Args:
        items: items drawn per epoch; null = all.
        batch: items per step, over all devices.
    """

    items: int | None = None
    batch: int = 1


@dataclass(frozen=True)
class PhaseConfig:
    """One phase of a training run. Each kind reads some of the fields; a field that it does not read is refused.

    Args:
        kind: stages = the staged loop (paper III-F); encoder = land cover of single images; qformer = words of the
            captions, then the alignment of the visual tokens with the LLM's embeddings; llm = the LLM's LoRA on the
            captions, and with train_qformer the caption path up to it; keyword_head = the head of model.keywords;
            calibration = scale and offset of the change flag.
        stages: the stages of each epoch, in order: change, caption, joint (the paper's i, ii, iii), together (all parts
            at once), or mask_decoder (the change decoder, everything else fixed). Kind stages.
        data: datasets of this phase; null = those of the run.
        items: pairs (kind encoder: images per epoch) to draw; null = all. Kinds other than stages.
        epochs: passes over the items.
        batch: items per step. Kinds other than stages.
        lr: peak learning rate; null = optim.lr.
        trunk_lr_scale: replaces optim.trunk_lr_scale in this phase; null = keep that.
        weight_decay: replaces optim.weight_decay in this phase; null = keep that.
        ema: decay of an exponential moving average of the weights, in (0, 1); the average is validated and saved
            instead of the weights. null = no average.
        augment: random flips, rotations, exchange of the dates, shifts, light, blur and JPEG, with the caption
            rewritten to match, and crops if no caption is read (docs/augmentation.md). Kind stages.
        sentences: captions drawn per visit to a pair, at most all that it has. Kinds stages and llm.
        dice_weight: weight of a Dice loss on the building class, added to L_cd; 0 = none (the paper). Kind stages.
        source_weights: share of each stage's visits for each dataset, in their order; empty = all items have equal
            weight. A dataset without the items that a stage needs gives its share to the others. Kind stages.
        cache_features: keep the frozen encoder's features of an item (in memory, 2hw(c + change_width) numbers) until
            a stage trains the encoder again; needs augment false. Kind stages.
        recipe: a `synth` recipe of single images with building masks; an equal number of its windows is mixed in. Kind
            encoder.
        train_qformer: whether the Q-Former, the enhancer and the flag head train too, also on unchanged pairs (only on
            their flag, if there is a flag head). Kind llm.
        min_counts: how many training captions of changed pairs must contain a word, a phrase of two words, and so on,
            for it to become a keyword in addition to model.keywords; empty = none does. Kind keyword_head.
        balance: whether changed and unchanged pairs have equal weight; use it if the share of changed pairs in the val
            split differs from the share in use. Kind calibration.
        val_metric: the score that selects the best model: CIDEr of the validated pairs, F1 of building change, or
            accuracy of the change flag; null = this phase is not validated. Kind stages, with train.val_items.
        patience: epochs without a better model after which the phase stops; null = it never stops early. Kind stages,
            with val_metric and train.val_items.
    """

    kind: Literal["stages", "encoder", "qformer", "llm", "keyword_head", "calibration"] = "stages"
    stages: dict[str, StageConfig] = field(default_factory=dict)
    data: str | tuple[str, ...] | None = None
    items: int | None = None
    epochs: int = 1
    batch: int = 8
    lr: float | None = None
    trunk_lr_scale: float | None = None
    weight_decay: float | None = None
    ema: float | None = None
    augment: bool = False
    sentences: int = 1
    dice_weight: float = 0.0
    source_weights: tuple[float, ...] = ()
    cache_features: bool = False
    recipe: str | None = None
    train_qformer: bool = False
    min_counts: tuple[int, ...] = ()
    balance: bool = False
    val_metric: Literal["cider", "building_f1", "flag"] | None = None
    patience: int | None = None

    def unread(self) -> list[str]:
        """The fields that are given, and that this kind does not read."""
        plain = PhaseConfig(kind=self.kind)
        return [
            one.name
            for one in fields(self)
            if one.name not in _READ[self.kind] and getattr(self, one.name) != getattr(plain, one.name)
        ]


_TRAINS = {"kind", "data", "epochs", "lr", "weight_decay", "ema"}
_READ = {
    "stages": _TRAINS
    | {
        "stages", "trunk_lr_scale", "augment", "sentences", "dice_weight", "source_weights", "cache_features",
        "val_metric", "patience",
    },
    "encoder": _TRAINS | {"items", "batch", "trunk_lr_scale", "recipe"},
    "qformer": _TRAINS | {"items", "batch"},
    "llm": _TRAINS | {"items", "batch", "sentences", "train_qformer"},
    "keyword_head": _TRAINS | {"items", "batch", "min_counts"},
    "calibration": {"kind", "data", "batch", "balance"},
}  # fmt: skip
"""Kind -> the fields that it reads."""

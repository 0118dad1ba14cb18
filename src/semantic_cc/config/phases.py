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
        items: items that it draws per epoch; null = all.
        batch: items of a step, over all devices.
    """

    items: int | None = None
    batch: int = 1


@dataclass(frozen=True)
class PhaseConfig:
    """One phase of a training run. Each kind reads some of the fields; a field that it does not read is refused.

    Args:
        kind: stages = the staged loop (paper III-F); encoder = land cover of single images; qformer = words of the
            sentences, then the alignment of the visual tokens with the LLM's embeddings; llm = the LLM's LoRA on the
            sentences, and with train_qformer the caption path up to it; keyword_head = the head of model.keywords;
            calibration = scale and offset of the change flag.
        stages: what each epoch runs, in order: change, caption, joint (the paper's i, ii, iii), together (all parts at
            once), or mask_decoder (the change decoder, everything else fixed). Read by kind stages.
        data: datasets of this phase; null = the run's.
        items: pairs (kind encoder: images of an epoch) that are drawn; null = all. Kinds other than stages.
        epochs: passes over the items.
        batch: items of a step. Kinds other than stages.
        lr: peak learning rate; null = optim.lr.
        trunk_lr_scale: in place of optim.trunk_lr_scale; null = that.
        weight_decay: in place of optim.weight_decay; null = that.
        ema: decay of an exponential moving average of the weights, in (0, 1), which is what is validated and saved;
            null = the weights themselves.
        augment: random flips, turns, exchange of the dates, shifts, light, blur and JPEG, with the sentence rewritten
            to match, and crops where no sentence is read (docs/augmentation.md). Kind stages.
        sentences: sentences of a pair that are drawn at each visit, at most all it has. Kinds stages and llm.
        dice_weight: weight of a Dice loss on the building class, added to L_cd; 0 = none (the paper). Kind stages.
        source_weights: shares of the visits of each stage that the datasets get, in their order; empty = every item
            alike. A dataset without the items that a stage needs gives its share to the others. Kind stages.
        cache_features: keep the frozen encoder's features of an item (in memory, 2hw(c + change_width) numbers) until
            a stage trains the encoder again; needs augment false. Kind stages.
        recipe: a `synth` recipe of single images with building masks, of which as many windows are mixed in. Kind
            encoder.
        train_qformer: whether the Q-Former, the enhancer and the flag head train too, on unchanged pairs as well (their
            flag only, with a flag head). Kind llm.
        min_counts: how many training sentences of changed pairs must contain a word, a phrase of two words, and so on,
            for it to become a keyword in addition to model.keywords; empty = none does. Kind keyword_head.
        balance: whether changed and unchanged pairs weigh alike, for a val split with another share of changed pairs
            than the pairs in use have. Kind calibration.
        val_metric: by which the best model is kept: CIDEr of the validated pairs, F1 of building change, or accuracy
            of the change flag; null = this phase is not validated. Kind stages, with train.val_items.
        patience: epochs without a better model after which the phase stops; null = it never stops early.
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

"""Sizes of a reproduction: the paper's, one on real pairs, one on drawn pairs, and one for tests.

Below the paper's scale there are no public weights of the model's size. Replacements: an image encoder that all rows
and seeds share, pretrained here or trained on from the packaged model, and pretraining of Semantic-CC's Q-Former on
the words of the sentences. At the scales `small` and `tiny`, Semantic-CC's own stages follow a phase of change
detection, which counts as visits.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from semantic_cc.config import (
    Config,
    ConfigValues,
    StageConfig,
    load_config,
    merge,
    own_values,
    preset_values,
)
from semantic_cc.config.model import OWN_ENCODER
from semantic_cc.reproduce.paper_tables import Row
from semantic_cc.training.stages import stages_of

MAIN = "multitask"
"""The phase that every row has: the paper's stages, or the single stage of a baseline."""

_WITHOUT_ADDITIONS: dict[str, Any] = {
    "change_decoder": {"laterals": False, "caption_features": False},
    "keywords": [],
    "llm": {"layers": [], "lora_targets": ["q_proj", "k_proj", "v_proj"]},
    "decoding": "greedy",
    "ensemble": {"mask": 0.0, "keywords": 1.0},
}
"""Model fields that take from the preset `small` what it adds to the paper's model, and its beam search."""

_ON_TOKENS: dict[str, Any] = {
    "model": {"change_decoder": {"laterals": False}},
    "train": {"loggers": []},
    "phases": {
        "change_detection": {
            "epochs": 6, "ema": None, "val_metric": None, "stages": {"change": {"items": None, "batch": 8}},
        },
    },
}  # fmt: skip
"""Configuration values of `shared_encoder_run`, over those of the preset `small+ttp`."""


@dataclass(frozen=True)
class Scale:
    """Sizes and budget of all runs.

    Attributes:
        preset: the model's sizes, and the phases.
        description: initial weights and length of the runs, shown to users.
        overrides: configuration values in addition to the preset's.
        shared_encoder: whether change detectors with their own encoder use the shared one instead.
        frozen_encoder: whether the shared encoder is made by `shared_encoder_run`, and then stays frozen.
        visits: pairs that stages i, ii and iii visit per epoch of the phase `MAIN`; None = each stage visits all its
            items. All rows of Semantic-CC visit the same number of pairs with sentences; rows with masks visit at least
            as many pairs with masks. Other methods visit as many pairs as Semantic-CC does for both tasks. With
            `frozen_encoder`, every row visits their sum.
        batch: pairs of a step.
    """

    preset: str
    description: str
    overrides: dict[str, Any] = field(default_factory=dict)
    shared_encoder: bool = False
    frozen_encoder: bool = False
    visits: tuple[int, int, int] | None = None
    batch: int = 1


SCALES = {
    "paper": Scale(
        "paper",
        "every method that reads SAM starts from SAM ViT-L, Semantic-CC also from BLIP-2's Q-Former and MiniGPT-4's "
        "projection; FC-Siam-diff, ChangeFormer and IDET have encoders of their own, which start at random; 300 "
        "epochs of the whole dataset, batch 1",
    ),
    "small": Scale(
        "small",
        "every method starts from the same encoder, pretrained here on land cover, on which FC-Siam-diff, ChangeFormer "
        "and IDET have their decoders instead of on an encoder of their own; every row of "
        "Semantic-CC visits as many pairs with sentences, before these its Q-Former is pretrained on the words of the "
        "training sentences and its language model on reading it, and where it learns masks stage i comes first; "
        "other methods visit as many pairs as Semantic-CC does for both tasks; tokens of 16 px, so that a run trains "
        "for some ten minutes of one CPU core",
        {
            "model": merge(
                _WITHOUT_ADDITIONS, {"change_decoder": {"norm": "layer"}, "llm": {"min_count": 0}}
            ),
            "phases": {
                "encoder": {"kind": "encoder", "epochs": 2, "batch": 8, "lr": 1e-3},
                "change_detection": {
                    "epochs": 1, "augment": False, "lr": None, "trunk_lr_scale": None, "weight_decay": None,
                    "ema": None, "dice_weight": 0.0, "stages": {"change": {"items": 320, "batch": 8}},
                },
                "qformer": {"epochs": 8, "batch": 16},
                "llm": {"epochs": 1, "sentences": 2, "batch": 8, "lr": 2e-3},
                MAIN: {"epochs": 2, "augment": False, "sentences": 2, "lr": 2e-4},
                "keyword_head": {"min_counts": [], "epochs": 4}, "calibration": None,
            },
        },
        shared_encoder=True,
        visits=(30, 150, 30),
        batch=8,
    ),
    "levir-dev": Scale(
        "small",
        "every method reads the tokens of the same image encoder: that of the packaged model `small` without its "
        "filters, trained on for six epochs by TTP on the masks of the training scenes, then frozen; BCSF and TTP's "
        "gate start at zero and train; the decoders of WNet, CSTSUNet, FC-Siam-diff, ChangeFormer and IDET read these "
        "tokens instead of an encoder of their own; Semantic-CC's change decoder has GroupNorm instead of LayerNorm, "
        "and all masks train with a Dice loss in addition; language models generate from the words of the "
        "training sentences, PromptCC's frozen one from all words; every row visits equally many pairs; before, "
        "Semantic-CC's Q-Former is pretrained on the words of the training sentences in place of BLIP-2's weights, "
        "which does not count as visits",
        {
            "model": _WITHOUT_ADDITIONS,
            "train": {"loggers": []},
            "phases": {
                "change_detection": None,
                "qformer": {"epochs": 8},
                "llm": None,
                MAIN: {"epochs": 4, "augment": False, "sentences": 2, "lr": None, "dice_weight": 0.5},
                "keyword_head": {"min_counts": [], "epochs": 4}, "calibration": None,
            },
        },
        shared_encoder=True,
        frozen_encoder=True,
        visits=(60, 140, 40),
        batch=8,
    ),
    "tiny": Scale(
        "tiny",
        "a few steps that prove the path; the numbers mean nothing",
        {"train": {"loggers": []}, "phases": {MAIN: {"lr": 5e-4}, "mask_decoder": None, "calibration": None}},
        shared_encoder=True,
        visits=(4, 4, 2),
        batch=2,
    ),
}  # fmt: skip
"""Name -> scale."""


def configured(scale: Scale, row: Row, data: tuple[str, ...], seed: int, flags: ConfigValues) -> Config:
    """The configuration of a row's run, without its output folder and initial weights.

    Args:
        scale: sizes and budget.
        row: the row to run.
        data: the training data.
        seed: of everything.
        flags: configuration values for all rows; they override the scale's, and the row's override them.

    Raises:
        ConfigError: the values contradict each other.
    """
    own = own_values(row.preset) if row.preset else {}
    method = own.get("model", {}).get("method")
    start = (
        {"model": {"baseline": {"encoder": "shared"}}}
        if method in OWN_ENCODER and scale.shared_encoder
        else {}
    )
    given = merge(merge(merge(scale.overrides, start), flags), own)
    values = merge(merge(preset_values(scale.preset), given), row.overrides)
    if scale.frozen_encoder:
        values = merge(values, _on_frozen_encoder(method, values))
    values = merge(values, {"data": list(data) if len(data) > 1 else data[0], "train": {"seed": seed}})
    config = load_config({**values, "preset": f"{scale.preset}+{method}" if method else scale.preset})
    if scale.visits is None or "stages" in flags.get("phases", {}).get(MAIN, {}):
        return config
    if scale.frozen_encoder:
        return _with_equal_total(config, scale.visits, scale.batch)
    return _with_equal_visits(config, scale.visits, scale.batch)


def shared_encoder_run(config: Config) -> Config:
    """The run that makes the frozen encoder of a row's run: change detection from the packaged encoder, by TTP.

    Without laterals, so that the tokens must carry the masks. Its folder and initial weights are missing.
    """
    start = load_config("small+ttp", merge(_ON_TOKENS, {"data": config.data}))
    only = {"change_detection": start.phases["change_detection"]}
    return replace(start, train=replace(start.train, precision=config.train.precision), phases=only)


def _on_frozen_encoder(method: str | None, values: ConfigValues) -> ConfigValues:
    """The values of a row whose encoder stays frozen; its features are stored if it has no trained filters either."""
    trains = values["model"]["encoder"].get("bcsf", True) or method == "ttp"
    return {"model": {"encoder": {"adapt": "frozen"}}, "phases": {MAIN: {"cache_features": not trains}}}


def _with_equal_total(config: Config, visits: tuple[int, int, int], batch: int) -> Config:
    """`config` with as many visits per epoch, of any kind, as the three stages have together."""
    change, caption, joint = visits
    total, main = sum(visits), config.phases[MAIN]
    first = round(total * change / (change + caption))
    items = {"change": first, "caption": total - first}  # two stages
    if tasks_of(config) != (True, True):
        items = {"change" if config.model.change_task else "caption": total}
    elif "joint" in main.stages:
        items = {"change": change, "caption": caption, "joint": joint}
    elif "together" in main.stages:
        items = {"together": total}
    stages = {name: StageConfig(items[name], batch) for name in main.stages if name in items}
    phases = {**config.phases, MAIN: replace(main, stages=stages)}
    if not tasks_of(config)[1]:
        phases = {MAIN: phases[MAIN]}
    return replace(config, phases=phases)


def tasks_of(config: Config) -> tuple[bool, bool]:
    """Whether a run trains masks, and whether it trains sentences."""
    stages = stages_of(config.phases[MAIN].stages, config.model)
    return config.model.change_task, any(stage.caption for stage in stages)


def _with_equal_visits(config: Config, visits: tuple[int, int, int], batch: int) -> Config:
    """`config` with the visits per epoch of each stage according to `Scale.visits`.

    A row with only one task has no phases before `MAIN`; their visits are added to `MAIN`.
    """
    main, first = config.phases[MAIN], config.phases.get("change_detection")
    before = first.epochs * (first.stages["change"].items or 0) // main.epochs if first else 0
    change, caption, joint = visits
    masks, sentences = change + joint + before, caption + joint
    phases = dict(config.phases)
    if config.model.method != "semantic-cc":
        masks = sentences = masks + caption
    if config.model.method != "semantic-cc" or not tasks_of(config)[1]:
        phases = {name: phase for name, phase in phases.items() if name in ("encoder", MAIN)}
        main = replace(main, lr=None)  # the low rate protects what earlier phases have learned
    items = {
        (True, False): {"change": masks},
        (False, True): {"caption": sentences},
        (True, True): {"change": change, "caption": caption, "joint": joint},
    }[tasks_of(config)]
    if tasks_of(config) == (True, True) and "joint" not in main.stages:
        items = {"change": change + joint, "caption": sentences, "together": sentences}
    stages = {name: StageConfig(items[name], batch) for name in main.stages if name in items}
    phases[MAIN] = replace(main, stages=stages)
    return replace(config, phases=phases)

"""How large a run is: the paper's, one that a single accelerator does in an afternoon, one for tests.

Below the paper's scale there are no public weights of that size, so a run begins with pretrainings that stand in for
them (`training.pretraining`): the encoder's, which all rows and seeds share, and stage i alone and the words of the
sentences before Semantic-CC's own stages, which count as visits.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from semantic_cc.config import Config, load_config, merge, own_values, preset_values
from semantic_cc.config.model import OWN_ENCODER
from semantic_cc.reproduce.paper_tables import Row

ITEMS = ("change_items", "caption_items", "joint_items")


@dataclass(frozen=True)
class Scale:
    """Sizes and budget of every run.

    Attributes:
        preset: the model's sizes.
        told: what starts the runs and how long they are, for people.
        overrides: configuration values beside the preset's.
        shared_encoder: whether change detectors with an encoder of their own start from everybody's instead.
        visits: pairs that stages i, ii and iii visit an epoch; None = each stage visits all its items. Every row of
            Semantic-CC visits as many pairs with sentences, and where it draws masks at least as many with these;
            other methods visit as many pairs as Semantic-CC does for both tasks.
        cover_epochs: passes of the encoder's pretraining on land cover; 0 = none.
        first_visits: pairs that stage i visits before all else, where a model learns both tasks.
        align_epochs: passes over the pairs in which the Q-Former learns the sentences' words; 0 = none.
        align_batch: pairs a step of that.
        read_epochs: passes over the changed pairs in which the LLM then learns to read it; 0 = none.
        aligned_lr: peak learning rate of the stages that go on from this; None = the configuration's.
    """

    preset: str
    told: str
    overrides: dict[str, Any] = field(default_factory=dict)
    shared_encoder: bool = False
    visits: tuple[int, int, int] | None = None
    cover_epochs: int = 0
    first_visits: int = 0
    align_epochs: int = 0
    align_batch: int = 16
    read_epochs: int = 0
    aligned_lr: float | None = None


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
            "model": {
                "encoder": {"patch": 16},
                "change_decoder": {"detail": 0},
                "keywords": [],
                "decoding": "greedy",
            },
            "train": {"epochs": 2, "change_batch": 8, "caption_batch": 8, "joint_batch": 8, "sentences": 2},
        },
        shared_encoder=True,
        visits=(30, 150, 30),
        cover_epochs=2,
        first_visits=320,
        align_epochs=8,
        read_epochs=1,
        aligned_lr=2e-4,
    ),
    "tiny": Scale(
        "tiny",
        "a few steps that prove the path; the numbers mean nothing",
        {"train": {"loggers": []}},
        shared_encoder=True,
        visits=(4, 4, 2),
        cover_epochs=1,
        first_visits=2,
        align_epochs=1,
        read_epochs=1,
        aligned_lr=5e-4,
    ),
}


def configured(scale: Scale, row: Row, data: tuple[str, ...], seed: int, flags: dict[str, Any]) -> Config:
    """The configuration of a row's run, but for where it lies and what it starts from.

    Args:
        scale: sizes and budget.
        row: what is run.
        data: the training data.
        seed: of everything.
        flags: configuration values for every row, which win over the scale's and lose to the row's.

    Raises:
        ConfigError: values that do not fit together.
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
    values = merge(values, {"data": list(data) if len(data) > 1 else data[0], "train": {"seed": seed}})
    config = load_config({**values, "preset": f"{scale.preset}+{method}" if method else scale.preset})
    if scale.visits is None or set(ITEMS) & flags.get("train", {}).keys():
        return config
    change, caption, joint = _items(config, scale.visits, scale.first_visits)
    settings = replace(config.train, change_items=change, caption_items=caption, joint_items=joint)
    return replace(config, train=settings)


def tasks_of(config: Config) -> tuple[bool, bool]:
    """Whether a run learns masks, and whether sentences."""
    sentences = config.model.writes and (config.train.caption_items, config.train.joint_items) != (0, 0)
    return config.model.change_task, sentences


def _items(config: Config, visits: tuple[int, int, int], first: int) -> tuple[int, int, int]:
    """Visits an epoch of each stage, as `Scale.visits` says."""
    change, caption, joint = visits
    masks, sentences = change + joint + first // config.train.epochs, caption + joint
    if config.model.method != "semantic-cc":
        masks = sentences = masks + caption
    return {
        (True, False): (masks, 0, 0),
        (False, True): (0, sentences, 0),
        (True, True): {
            "three_stage": visits,
            "two_stage": (change + joint, sentences, 0),
            "one_stage": (0, 0, sentences),
        }[config.train.strategy],
    }[tasks_of(config)]

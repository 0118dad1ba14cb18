"""What trains in each stage equals the method's table, on paper and on the weights after two steps."""

import re

import pytest
import torch
from phases import ALL, multitask

from semantic_cc.checkpoint.meta_model import outline
from semantic_cc.config import load_config, merge, preset_names
from semantic_cc.training import stages
from semantic_cc.training.stages import apply, stages_of, trainable_names

PAPER_LIKE = {
    "encoder": {"adapt": "lora"},
    "qformer": {"frozen": True},
    "change_decoder": {"classes": 1},
    "flag_head": False,
}
ALONE = {"change_task": False}
BEFORE = {"enhancer": {"position": "before"}}
ONE_WAY = {"neck": {"directions": "cd_to_cc", "similarity": "tensor"}}

LORA = r"encoder\.vision\..*lora_|encoder\.filters\."
FULL = r"encoder\.vision\.|encoder\.filters\."
FULL_WITHOUT_NECK = r"encoder\.vision\.(?!neck\.)|encoder\.filters\."
TO_CHANGE = r"neck\.(?!units\.1\.into_caption)"  # all but the other task's last update; tiny has two units
TO_CAPTION = r"neck\.(?!units\.1\.into_change)"
CHANGE_ALONE = r"neck\.units\.\d\.intra_change"
MASK = r"change_decoder\."
TEXT = r"caption_decoder\.(project|enhancer|to_llm)\.|caption_decoder\.llm\..*lora_"
WHOLE_TEXT = TEXT + r"|caption_decoder\.(qformer\.|queries|flag\.)"


def either(*patterns: str) -> str:
    return "|".join(patterns)


# model, names -> (stage, what trains)
TABLE = {
    "paper": (
        PAPER_LIKE,
        ALL,
        [("change", either(LORA, TO_CHANGE, MASK)), ("caption", either(TO_CAPTION, TEXT)), ("joint", "neck")],
    ),
    "tiny": (
        {},
        ALL,
        [
            ("change", either(FULL, TO_CHANGE, MASK)),
            ("caption", either(TO_CAPTION, WHOLE_TEXT)),
            ("joint", "neck"),
        ],
    ),
    "one way": (
        ONE_WAY,
        ALL,
        [
            ("change", either(FULL, CHANGE_ALONE, MASK)),
            ("caption", either("neck", WHOLE_TEXT)),
            ("joint", "neck"),
        ],
    ),
    "paper, two stages": (
        PAPER_LIKE,
        ALL[:2],
        [("change", either(LORA, TO_CHANGE, MASK)), ("caption", either(TO_CAPTION, TEXT))],
    ),
    "paper, one stage": (PAPER_LIKE, ("together",), [("together", either(LORA, "neck", MASK, TEXT))]),
    "tiny, one stage": ({}, ("together",), [("together", either(FULL, "neck", MASK, WHOLE_TEXT))]),
    "paper, captions alone": (PAPER_LIKE | ALONE, ALL, [("caption", either(LORA, TEXT))]),
    "tiny, captions alone": (ALONE, ALL, [("caption", either(FULL_WITHOUT_NECK, WHOLE_TEXT))]),
    "enhancer before": (
        PAPER_LIKE | ALONE | BEFORE,
        ALL,
        [("caption", either(LORA, TEXT))],
    ),
}


def matching(model, pattern: str) -> set[str]:
    return {name for name, _ in model.named_parameters() if re.match(pattern, name)}


@pytest.mark.parametrize("case", TABLE)
def test_each_stage_trains_what_the_table_says(case, tiny, build):
    values, names, rows = TABLE[case]
    config = tiny(model=values, **multitask(only=names))
    model = build(config.model)
    plan = stages_of(names, config.model)
    assert [stage.name for stage in plan] == [name for name, _ in rows]
    for stage, (_, pattern) in zip(plan, rows, strict=True):
        apply(stage, model)
        training = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        assert training == matching(model, pattern)
        assert not any("ln_vision" in name for name in training)


@pytest.mark.parametrize("case", TABLE)
def test_two_steps_change_every_trainable_tensor_and_no_other(case, tiny, bench, pairs):
    values, names, rows = TABLE[case]
    no_dropout = {"lora": {"dropout": 0.0}}
    model = merge(values, {"encoder": no_dropout, "llm": no_dropout})
    config = tiny(model=model, **multitask(only=names, items=4))  # two batches of two
    made = bench(config, pairs)
    assert len(made.plan) == len(rows)
    # one optimizer through all stages: moments of an earlier stage must not move a weight
    for leg in made.plan:
        before = {name: parameter.detach().clone() for name, parameter in made.model.named_parameters()}
        assert len(made.run(leg)) == 2
        trained = trainable_names(leg.stage, made.model)
        changed = {n for n, p in made.model.named_parameters() if not torch.equal(p, before[n])}
        assert changed == trained
        assert all(
            (parameter.grad is not None) == (name in trained)
            for name, parameter in made.model.named_parameters()
        )


def test_parts_without_trainable_parameters_are_in_eval_mode(tiny, build):
    config = tiny(model=PAPER_LIKE)
    model = build(config.model)
    text = model.caption_decoder
    parts = {
        "encoder": model.encoder,
        "neck": model.neck,
        "mask": model.change_decoder,
        "qformer": text.qformer,
        "llm": text.llm,
        "enhancer": text.enhancer,
    }
    expected = {
        "change": {"encoder", "neck", "mask"},
        "caption": {"neck", "llm", "enhancer"},
        "joint": {"neck"},
    }
    for stage in stages_of(ALL, config.model):
        apply(stage, model)
        assert {name for name, part in parts.items() if part.training} == expected[stage.name]
        for part in parts.values():
            assert {module.training for module in part.modules()} == {part.training}


def test_what_a_stage_needs_and_loses(tiny):
    config = tiny()
    rows = [(s.name, s.needs, s.change, s.caption) for s in stages_of(ALL, config.model)]
    assert rows == [
        ("change", "change", True, False),
        ("caption", "caption", False, True),
        ("joint", "both", True, True),
    ]
    (together,) = stages_of(("together",), config.model)
    assert (together.needs, together.change, together.caption) == ("both", True, True)


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_has_its_stages(preset):
    """Full size, on the meta device: no memory, no foundation weights."""
    config = load_config(
        f"paper+{preset}" if preset == "keyword-head" else preset
    )  # it is laid on another preset
    model = outline(config.model)
    plan = stages_of(config.phases["multitask"].stages, config.model)
    trained = set().union(*(trainable_names(stage, model) for stage in plan))
    base = LORA if config.model.encoder.adapt == "lora" else FULL
    if config.model.method != "semantic-cc":
        (stage,) = plan
        assert (stage.caption, stage.change) == (config.model.writes, not config.model.writes)
        assert trained == matching(model, either(base, "neck", MASK, r"caption_decoder\.(?!llm\.)"))
        return
    text = TEXT if config.model.qformer.frozen else WHOLE_TEXT
    assert trained == matching(model, either(base, "neck", MASK, text))
    assert stages.trainable_names(plan[-1], model)


def test_of_a_frozen_encoder_the_filters_train():
    model = outline(load_config("tiny", {"model": {"encoder": {"adapt": "frozen"}}}).model)
    trained = trainable_names(stages.CHANGE, model)
    assert {name for name in trained if name.startswith("encoder.")} == matching(model, r"encoder\.filters\.")
    alone = load_config("tiny+ttp", {"model": {"encoder": {"adapt": "frozen"}}}).model
    names = trainable_names(stages.COMPARED_CHANGE, outline(alone))
    assert not [name for name in names if name.startswith("encoder.vision.")] and names

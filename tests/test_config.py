"""Presets, files and checks; the preset `paper` has the paper's values."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from semantic_cc.config import (
    Config,
    EnhancerConfig,
    LoraConfig,
    ModelConfig,
    NeckConfig,
    PhaseConfig,
    StageConfig,
    load_config,
    merge,
    own_values,
    parse,
    preset_names,
    preset_values,
    to_dict,
)
from semantic_cc.config.renamed_keys import RENAMED_KEYS, RENAMED_PRESETS
from semantic_cc.errors import ConfigError

PAPER: dict[str, Any] = {
    "encoder.width": 1024,
    "encoder.depth": 24,
    "encoder.heads": 16,
    "encoder.window": 14,
    "encoder.global_layers": (5, 11, 17, 23),
    "encoder.image_size": 256,
    "encoder.change_width": 256,
    "encoder.bcsf": True,
    "encoder.bcsf_after": "global",
    "encoder.adapt": "lora",
    "encoder.weights": "sam-vit-large",
    "encoder.lora": LoraConfig(rank=16, alpha=32, dropout=0.05),
    "change_task": True,
    "neck": NeckConfig(
        units=3,
        attention="bilinear",
        similarity="matrix",
        directions="both",
        caption_heads=16,
        change_heads=8,
    ),
    "change_decoder.width": 512,
    "change_decoder.classes": 1,
    "qformer.queries": 32,
    "qformer.width": 768,
    "qformer.layers": 12,
    "qformer.heads": 12,
    "qformer.encoder_width": 1408,
    "qformer.frozen": True,
    "qformer.weights": "blip2",
    "enhancer": EnhancerConfig(position="after", activation=True, subtraction=True, weights="minigpt4-7b"),
    "llm.name": "vicuna-7b",
    "llm.template": "minigpt4",
    "llm.lora": LoraConfig(rank=16, alpha=32, dropout=0.05),
    "llm.lora_targets": ("q_proj", "k_proj", "v_proj"),
    "flag_head": False,
    "decoding": "consensus",
    "keywords": (),
    "change_decoder.detail": 0,
}


@pytest.mark.parametrize("field", PAPER)
def test_the_papers_model(field: str) -> None:
    value: Any = load_config("paper").model
    for part in field.split("."):
        value = getattr(value, part)
    assert value == PAPER[field]


def test_the_papers_training() -> None:
    config = load_config("paper")
    assert (config.optim.lr, config.optim.weight_decay) == (1e-4, 0.05)
    assert list(config.phases) == ["multitask"]
    phase = config.phases["multitask"]
    assert (phase.kind, phase.epochs, phase.lr, config.train.change_weight) == ("stages", 300, None, 0.5)
    assert list(phase.stages.items()) == [
        (name, StageConfig(None, 1)) for name in ("change", "caption", "joint")
    ]


def test_the_papers_sizes() -> None:
    """On the meta device: SAM ViT-L at 256 px has 304.3 M parameters, BLIP-2's Q-Former 105.1 M."""
    from semantic_cc.checkpoint.build import build_change_decoder, build_encoder, build_neck
    from semantic_cc.model.qformer import QFormer

    config = load_config("paper").model

    def count(module: torch.nn.Module, only: str = "") -> int:
        return sum(parameter.numel() for name, parameter in module.named_parameters() if only in name)

    with torch.device("meta"):
        encoder = build_encoder(config.encoder)
        qformer = QFormer(config.qformer)
        neck = build_neck(config.neck, config.encoder)
        decoder = build_change_decoder(config)
    lora = count(encoder.vision, "lora_")
    assert round((count(encoder.vision) - lora) / 1e6, 1) == 304.3
    assert lora == 24 * 16 * (1024 + 3 * 1024)
    ffn, gate = 2 * (1024 * 1024 + 1024), 2 * 16 * 16 + 1
    assert list(encoder.filters) == ["5", "11", "17", "23"]
    assert count(encoder.filters) == 4 * (3 * ffn + 2 * gate + 2 * 1024 + 1)
    assert round(count(qformer) / 1e6, 1) == 105.1
    inter = 2 * 1024 * 256 + (1280 * 1024 + 1024) + (1280 * 256 + 256)
    intra = sum(12 * c * c + 13 * c for c in (256, 1024))
    assert count(neck) == 3 * (inter + intra)
    assert decoder.classify.in_channels == 4 * 512


SIZES = ("paper", "small", "tiny")


@pytest.mark.parametrize("name", [name for name in preset_names() if name not in SIZES])
def test_methods_and_variants_lie_over_every_size(name: str) -> None:
    for size in SIZES:
        assert load_config(f"{size}+{name}").preset == f"{size}+{name}"


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_survives_the_round_trip(name: str) -> None:
    config = load_config(name)
    assert parse(Config, to_dict(config)) == config
    assert parse(ModelConfig, json.loads(json.dumps(to_dict(config.model)))) == config.model


@settings(max_examples=25, deadline=None)
@given(
    rank=st.integers(1, 64),
    lr=st.floats(1e-6, 1.0),
    # three hyphens are YAML's mark of a new document, and jsonargparse reads an empty one
    weights=st.none() | st.text("abc/._-é", min_size=1).filter(lambda text: not text.startswith("---")),
    layers=st.lists(st.integers(0, 23), max_size=4),
    items=st.none() | st.integers(1, 10**6),
)
def test_any_values_survive_the_round_trip(
    rank: int, lr: float, weights: str | None, layers: list[int], items: int | None
) -> None:
    encoder = {"lora": {"rank": rank}, "weights": weights, "global_layers": layers}
    config = parse(
        Config,
        {
            "model": {"encoder": encoder},
            "optim": {"lr": lr},
            "phases": {"a": {"stages": {"change": {"items": items}}}},
        },
    )
    assert config.model.encoder.lora.rank == rank and config.optim.lr == lr
    assert config.model.encoder.weights == weights
    assert config.model.encoder.global_layers == tuple(layers)
    assert config.phases["a"].stages["change"].items == items
    assert parse(Config, to_dict(config)) == config


def test_presets_are_laid_over_one_another() -> None:
    config = load_config("tiny+table2-neck-cs")
    assert config.model.neck.attention == "cross"
    assert config.model.encoder == load_config("tiny").model.encoder
    assert config.preset == "tiny+table2-neck-cs"
    alone = load_config("table2-neck-cs")
    assert alone.model == dataclasses.replace(load_config("paper").model, neck=alone.model.neck)
    three = load_config("tiny+table2-base+table3-before-act").model
    assert (three.encoder.bcsf, three.enhancer.position, three.enhancer.subtraction) == (
        False,
        "before",
        False,
    )


def test_overrides_come_last() -> None:
    config = load_config("tiny", {"model": {"neck": {"units": 1}}, "optim": {"lr": 0.5}})
    assert (config.model.neck.units, config.model.neck.caption_heads, config.optim.lr) == (1, 2, 0.5)


def test_merge_changes_neither_side() -> None:
    base, over = {"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 5}, "e": {"f": 6}}
    assert merge(base, over) == {"a": {"b": 5, "c": 2}, "d": 3, "e": {"f": 6}}
    assert base == {"a": {"b": 1, "c": 2}, "d": 3} and over == {"a": {"b": 5}, "e": {"f": 6}}


def test_preset_values_are_fresh() -> None:
    preset_values("tiny")["model"]["encoder"]["width"] = 0
    assert preset_values("tiny")["model"]["encoder"]["width"] == 32


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("preset: tiny\ndata: somewhere\noptim: {lr: 0.25}\n")
    config = load_config(path, {"data": "elsewhere"})
    assert (config.preset, config.optim.lr, config.data) == ("tiny", 0.25, "elsewhere")
    assert config.model == load_config("tiny").model


def test_data_is_one_dataset_or_several(tmp_path):
    joined = load_config("tiny", {"data": ["one", "two"]})
    assert joined.data == ("one", "two")
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(to_dict(joined)))
    assert load_config(tmp_path / "again.yaml") == joined
    with pytest.raises(ConfigError, match="data"):
        load_config("tiny", {"data": [{"one": 1}]})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "not valid YAML"),
        ("- 1", "must hold keys and values"),
        ("", "must hold keys and values"),
        ("preset: tiny\nmodle: 1", "'modle' is not accepted"),
        (
            "train: {seed: 1}\ntrain: {val_items: 2}",
            "train occurs twice; write its values together .* line 2",
        ),
        ("phases: {llm: null, llm: {}}", "llm occurs twice"),
    ],
)
def test_a_wrong_file(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the configuration .*none\.yaml: No such file"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_config(tmp_path / "bytes.yaml")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown preset": ({"preset": "nope"}, "unknown preset 'nope'; choose one of: .*paper, .*small"),
    "unknown second preset": ({"preset": "tiny+nope"}, "unknown preset 'nope'"),
    "unknown key": ({"nope": 1}, "'nope' is not accepted"),
    "unknown inner key": ({"model": {"encoder": {"widht": 1}}}, "model.encoder.widht' is not accepted"),
    "text for a number": ({"model": {"encoder": {"depth": "x"}}}, r"model\.encoder\.depth.*Got value: x"),
    "fraction for a count": ({"train": {"seed": 1.5}}, r"train\.seed.*Got value: 1\.5"),
    "fraction in a phase": ({"phases": {"multitask": {"epochs": 1.5}}}, r"phases\.multitask: .*epochs.*1\.5"),
    "a key of a phase": (
        {"phases": {"multitask": {"epoch": 1}}},
        r"phases\.multitask: Option 'epoch' is not",
    ),
    "no phases": ({"phases": 3}, "phases must hold names, each with keys and values"),
    "a phase that is no section": (
        {"phases": {"multitask": 3}},
        r"phases\.multitask: it must hold keys and values",
    ),
    "number for a list": ({"model": {"encoder": {"global_layers": 3}}}, r"model\.encoder\.global_layers"),
    "null for a number": ({"optim": {"lr": None}}, r"optim\.lr must not be null"),
    "an inner null": ({"model": {"encoder": {"width": None}}}, r"model\.encoder\.width must not be null"),
    "an empty section": ({"model": None}, "model must hold keys and values"),
    "a number for a section": ({"model": {"encoder": {"lora": 3}}}, r"model\.encoder\.lora must hold keys"),
    "an unknown empty section": ({"modle": {}}, "'modle' is not accepted"),
    "a preset that is no name": ({"preset": 3}, "preset must be a name, not 3"),
    "word outside the choice": ({"model": {"neck": {"attention": "x"}}}, r"model\.neck\.attention.*bilinear"),
}


@pytest.mark.parametrize(("values", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_named_in_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_config({"preset": "tiny", **values})
    assert "\n" not in str(caught.value)


RULES: dict[str, tuple[dict[str, Any], str]] = {
    "encoder heads": (
        {"model": {"encoder": {"heads": 3}}},
        "encoder.width must be a multiple of encoder.heads",
    ),
    "no heads": ({"model": {"encoder": {"heads": 0}}}, "encoder.width must be a multiple of encoder.heads"),
    "a layer below 0": (
        {"model": {"encoder": {"global_layers": [-1]}}},
        "encoder.global_layers must be numbers from 0",
    ),
    "no rank": ({"model": {"llm": {"lora": {"rank": 0}}}}, "lora.rank must be at least 1"),
    "dropout": ({"model": {"encoder": {"lora": {"dropout": 1.0}}}}, r"lora.dropout must lie in \[0, 1\)"),
    "no learning rate": ({"optim": {"lr": float("nan")}}, "optim.lr must be positive"),
    "image size": (
        {"model": {"encoder": {"image_size": 60}}},
        "encoder.image_size must be a multiple of encoder.patch",
    ),
    "global layers": (
        {"model": {"encoder": {"global_layers": [4]}}},
        "encoder.global_layers must be numbers from 0",
    ),
    "caption heads": ({"model": {"neck": {"caption_heads": 3}}}, "encoder.width .* neck.caption_heads"),
    "change heads": ({"model": {"neck": {"change_heads": 3}}}, "encoder.change_width .* neck.change_heads"),
    "tensor both ways": ({"model": {"neck": {"similarity": "tensor"}}}, "neck.similarity tensor needs"),
    "tensor and cross": (
        {"model": {"neck": {"similarity": "tensor", "directions": "cd_to_cc", "attention": "cross"}}},
        "neck.similarity tensor needs",
    ),
    "q-former heads": ({"model": {"qformer": {"heads": 3}}}, "qformer.width must be a multiple"),
    "positions": (
        {"model": {"qformer": {"positions": True}}},
        "qformer.positions needs qformer.encoder_width",
    ),
    "beams": ({"model": {"llm": {"beams": 0}}}, "llm.beams must be at least 1"),
    "tokens": ({"model": {"llm": {"max_new_tokens": 0}}}, "llm.max_new_tokens must be at least 1"),
    "queries": ({"model": {"qformer": {"queries": 0}}}, "qformer.queries must be at least 1"),
    "decoder width": ({"model": {"change_decoder": {"width": 0}}}, "change_decoder.width must be at least 1"),
    "weight decay": ({"optim": {"weight_decay": -1.0}}, "optim.weight_decay must not be negative"),
    "gradient norm": ({"optim": {"max_grad_norm": -1.0}}, "optim.max_grad_norm must be positive, or null"),
    "a loss's weight": ({"train": {"flag_weight": -1.0}}, "train.flag_weight must not be negative"),
    "a phase's weight decay": (
        {"phases": {"llm": {"weight_decay": -1.0}}},
        r"phases\.llm\.weight_decay must not be negative",
    ),
    "details": ({"model": {"change_decoder": {"detail": -1}}}, "change_decoder.detail must not be"),
    "batch": (
        {"phases": {"multitask": {"stages": {"joint": {"batch": 0}}}}},
        r"phases\.multitask\.batch must be at least 1",
    ),
    "items": (
        {"phases": {"multitask": {"stages": {"caption": {"items": 0}}}}},
        "items must be at least 1, or null",
    ),
    "validation": ({"train": {"val_items": -1}}, "train.val_items must not be negative"),
    "nothing to validate": (
        {
            "train": {"val_items": 2},
            "phases": dict.fromkeys(("change_detection", "multitask", "mask_decoder")),
        },
        "train.val_items needs a phase with a val_metric",
    ),
    "patience": (
        {"train": {"val_items": 2}, "phases": {"multitask": {"patience": 0}}},
        "patience must be at least 1, and needs val_metric",
    ),
    "patience without validation": (
        {"phases": {"multitask": {"patience": 2}}},
        r"phases\.multitask\.patience .* needs val_metric and train\.val_items",
    ),
    "a phase's name": (
        {"phases": {"../x": {"stages": {"change": {}}}}},
        r"phases\.\.\./x: a name has only letters, digits, - and _",
    ),
    "sentences": ({"phases": {"multitask": {"sentences": 0}}}, "sentences must be at least 1"),
    "epochs": ({"phases": {"multitask": {"epochs": 0}}}, r"phases\.multitask\.epochs must be at least 1"),
    "a phase's rate": ({"phases": {"llm": {"lr": 0.0}}}, r"phases\.llm\.lr must be positive"),
    "what a kind does not read": (
        {"phases": {"llm": {"augment": True}}},
        r"phases\.llm\.augment: kind llm does not read it",
    ),
    "an unknown stage": (
        {"phases": {"multitask": {"stages": {"last": {}}}}},
        r"phases\.multitask\.stages\.last: no such stage; choose from change, caption",
    ),
    "no stage": ({"phases": {"other": {}}}, r"phases\.other\.stages must name at least one"),
    "an odd batch": ({"phases": {"encoder": {"batch": 3}}}, r"phases\.encoder\.batch must be even"),
    "cached features": (
        {"phases": {"multitask": {"augment": True, "cache_features": True}}},
        "cache_features needs augment false",
    ),
    "checkpoints": ({"train": {"checkpoint_every": 0}}, "train.checkpoint_every must be at least 1"),
    "learning rate": ({"optim": {"lr": 0.0}}, "optim.lr must be positive"),
    "warm-up": ({"optim": {"warmup": 1.0}}, r"optim.warmup must lie in \[0, 1\)"),
}


@pytest.mark.parametrize(("values", "message"), RULES.values(), ids=RULES)
def test_fields_that_do_not_fit_together(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config({"preset": "tiny", **values})


def test_a_tensor_fits_with_one_direction() -> None:
    neck = {"similarity": "tensor", "directions": "cd_to_cc"}
    assert load_config("tiny", {"model": {"neck": neck}}).model.neck.similarity == "tensor"


def test_a_preset_s_own_values_are_without_its_base() -> None:
    own = own_values("table2-base")
    assert own == {
        "model": {
            "change_task": False,
            "change_decoder": {"caption_features": False},
            "ensemble": {"mask": 0.0},
            "encoder": {"bcsf": False},
            "enhancer": {"position": "off"},
        }
    }
    assert merge(preset_values("small"), own) == preset_values("small+table2-base")
    with pytest.raises(ConfigError, match="unknown preset 'none'"):
        own_values("none")


def test_old_keys_and_presets_are_refused_with_the_new_name() -> None:
    with pytest.raises(ConfigError, match=r"model\.evidence is now called model\.keywords"):
        load_config("tiny", {"model": {"evidence": ["left"]}})
    with pytest.raises(ConfigError, match="preset 'guided' is now called 'keyword-head'"):
        load_config("tiny+guided")


def test_every_new_name_of_a_renamed_key_exists() -> None:
    kinds = {"phases": PhaseConfig, "stages": StageConfig}
    for new in RENAMED_KEYS.values():
        kind, parts = Config, new.split(".")
        while parts:
            part = parts.pop(0)
            assert part in {field.name for field in dataclasses.fields(kind)}, new
            kind = kinds.get(part) or type(getattr(kind(), part))
            parts = parts[1:] if part in kinds else parts  # after these comes a name
    assert set(RENAMED_PRESETS.values()) <= set(preset_names())


@pytest.mark.parametrize(("old", "new"), RENAMED_KEYS.items())
def test_an_old_key_is_refused_with_the_new_one(old: str, new: str) -> None:
    section, key = old.split(".")
    with pytest.raises(ConfigError, match=re.escape(f"{old} is now called {new}")) as caught:
        load_config("tiny", {section: {key: 1}})
    assert "\n" not in str(caught.value)


def test_phases_run_in_the_order_of_the_preset() -> None:
    order = [
        "encoder", "change_detection", "qformer", "llm", "multitask", "mask_decoder", "keyword_head", "calibration",
    ]  # fmt: skip
    assert list(load_config("tiny").phases) == order
    assert list(load_config("small").phases) == [n for n in order if n not in ("encoder", "mask_decoder")]
    assert list(load_config("paper+keyword-head").phases) == ["multitask", "keyword_head"]
    own, base = (load_config(name).phases["keyword_head"] for name in ("small", "paper+keyword-head"))
    assert own == dataclasses.replace(base, min_counts=(40, 80), epochs=8)


def test_null_takes_a_phase_or_a_stage_out() -> None:
    phases = {"encoder": None, "multitask": {"stages": {"joint": None}}}
    config = load_config("tiny", {"phases": phases})
    assert "encoder" not in config.phases
    assert list(config.phases["multitask"].stages) == ["change", "caption"]


def test_a_file_without_a_preset_starts_from_small(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("data: somewhere\n")
    assert load_config(tmp_path / "mine.yaml", {}).preset == "small" == Config().preset

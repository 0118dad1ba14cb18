"""Every compared change detector as a method: what it trains, what it says, and what is kept of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from semantic_cc.baselines.mask_model import MaskModel
from semantic_cc.baselines.ttp import TimeTravellingGate
from semantic_cc.checkpoint.build import build_model
from semantic_cc.checkpoint.serialization import load_pretrained, save_pretrained
from semantic_cc.config import ModelConfig, load_config
from semantic_cc.config.model import CHANGE_METHODS, OWN_ENCODER
from semantic_cc.data.collate import collate
from semantic_cc.errors import ConfigError, InputError
from semantic_cc.losses import change_loss
from semantic_cc.model.encoder import filtered_layers
from semantic_cc.synth.procedural import generate_pair
from semantic_cc.training import stages
from semantic_cc.training.gradient_checkpointing import recompute_layers

Dates = Callable[..., tuple[Tensor, Tensor]]
Shake = Callable[[nn.Module], None]
LORA = {"encoder": {"adapt": "lora"}}


def config_of(method: str, model: dict[str, Any] | None = None) -> ModelConfig:
    """The method at tiny size without dropout, and other values on top."""
    fields = {"baseline": {"scale": 0.0625, "dropout": 0.0}, **(model or {})}
    return load_config(f"tiny+{method}", {"model": fields}).model


def built(method: str, shake: Shake, model: dict[str, Any] | None = None) -> MaskModel:
    made = build_model(config_of(method, model))
    assert isinstance(made, MaskModel)
    shake(made)
    return made.eval()


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("method", CHANGE_METHODS)
def test_a_mask_and_no_sentence(method: str, classes: int, shake: Shake, dates: Dates) -> None:
    model = built(method, shake, {"change_decoder": {"classes": classes}})
    pair = dates(37, 50)
    output = model(*pair, sentences=[["a"], ["b"]], instructions=["", ""])
    assert output.change_logits.shape == (2, classes, 37, 50)
    assert output.caption_logits is output.flag_logits is None
    found = model.predict(*pair)
    planes = found.class_probabilities
    assert planes.shape == (2, max(2, classes), 37, 50)
    torch.testing.assert_close(planes.sum(1), torch.ones(2, 37, 50))
    assert found.sentence == ["", ""] and found.sentences == [{}, {}] and found.change_probability is None
    assert found.changed == [bool((plane.argmax(0) > 0).any()) for plane in planes]
    assert torch.equal(found.heatmap, 1 - planes[:, 0])
    located = model.predict_masks(*pair)
    assert torch.equal(located.class_probabilities, planes) and torch.equal(located.heatmap, found.heatmap)
    with pytest.raises(InputError, match=f"{method} does not read an instruction"):
        model.predict(*pair, instructions=["Where?"])


@pytest.mark.parametrize("method", CHANGE_METHODS)
def test_its_one_stage_trains_all_of_it(method: str, shake: Shake, dates: Dates) -> None:
    model = built(method, shake)
    (stage,) = stages.stages_of(["change", "caption", "joint"], model.config)
    assert (stage.change, stage.caption, stage.needs) == (True, False, "change")
    stages.apply(stage, model)
    names = {name for name, _ in model.named_parameters()}
    assert stages.trainable_names(stage, model) == names
    change_loss(model(*dates(64, 64)).change_logits, torch.randint(0, 3, (2, 64, 64))).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().any()] == []


def test_ttp_with_lora_trains_adapters_gates_and_decoder(shake: Shake) -> None:
    model = built("ttp", shake, LORA)
    trained = stages.trainable_names(stages.COMPARED_CHANGE, model)
    vision = {name for name in trained if name.startswith("encoder.vision.")}
    assert vision and all("lora_" in name for name in vision)
    others = {name for name, _ in model.named_parameters() if not name.startswith("encoder.vision.")}
    assert trained - vision == others


def test_ttp_starts_from_the_encoder_that_semantic_cc_starts_from() -> None:
    ours = build_model(load_config("tiny").model, seed=5).encoder.vision.state_dict()
    theirs = build_model(config_of("ttp"), seed=5).encoder.vision.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("after", ["global", "window"])
def test_ttps_gates_follow_the_global_layers_or_the_others(after: str) -> None:
    config = config_of("ttp", {"encoder": {"global_layers": [1, 3], "bcsf_after": after}})
    filters = build_model(config).encoder.filters
    assert list(filters) == (["1", "3"] if after == "global" else ["0", "2"])
    assert filtered_layers(config.encoder) == [int(name) for name in filters]
    assert all(isinstance(gate, TimeTravellingGate) for gate in filters.values())


@pytest.mark.parametrize("method", OWN_ENCODER)
def test_methods_with_an_encoder_of_their_own_have_no_sam(method: str) -> None:
    names = {name.split(".")[0] for name, _ in build_model(config_of(method)).named_parameters()}
    assert names == {"change_decoder"}


@pytest.mark.parametrize("method", CHANGE_METHODS)
def test_gradient_checkpointing_changes_no_gradient(method: str, shake: Shake, dates: Dates) -> None:
    gradients, pair = [], dates(32, 64)
    for recomputed in (False, True):
        model = built(method, shake).train()
        if recomputed:
            assert list(model.layers())
            recompute_layers(model)
        model(*pair).change_logits.square().mean().backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("method", CHANGE_METHODS)
def test_checkpoints_are_bit_equal(method: str, shake: Shake, dates: Dates, tmp_path: Path) -> None:
    model = built(method, shake)
    folder = save_pretrained(model, tmp_path / "saved", name="mine")
    assert set(load_file(folder / "model.safetensors")) == set(model.state_dict())
    loaded, info = load_pretrained(folder)
    assert info.config == model.config and info.foundation == {}
    pair = dates(40, 32)
    assert torch.equal(
        loaded.predict_masks(*pair).class_probabilities, model.predict_masks(*pair).class_probabilities
    )


def test_sams_frozen_base_is_no_part_of_ttps_checkpoint(shake: Shake, dates: Dates, tmp_path: Path) -> None:
    weights = tmp_path / "sam.safetensors"
    save_file(build_model(config_of("ttp"), seed=7).encoder.vision.state_dict(), weights)
    fields = {"encoder": {"adapt": "lora", "weights": str(weights)}}
    model = build_model(config_of("ttp", fields)).eval()
    shake(model.change_decoder)
    shake(model.encoder.filters)
    folder = save_pretrained(model, tmp_path / "saved", name="mine")
    stored = set(load_file(folder / "model.safetensors"))
    assert {name for name in stored if name.startswith("encoder.vision.") and "lora_" not in name} == set()
    loaded, info = load_pretrained(folder, merge=False)
    assert list(info.foundation) == ["encoder"]
    pair = dates(32, 32)
    assert torch.equal(
        loaded.predict_masks(*pair).class_probabilities, model.predict_masks(*pair).class_probabilities
    )


def test_sizes_follow_the_scale() -> None:
    counts = {
        scale: sum(
            p.numel() for p in build_model(config_of("idet", {"baseline": {"scale": scale}})).parameters()
        )
        for scale in (0.0625, 0.125)
    }
    assert 3.5 < counts[0.125] / counts[0.0625] < 4.1


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "no mask": ("idet", {"model": {"change_task": False}}, "idet gives only a mask"),
    "flag": ("ttp", {"model": {"flag_head": True}}, "ttp has no change-flag head"),
    "bcsf": ("ttp", {"model": {"encoder": {"bcsf": True}}}, "without BCSF"),
    "sam": (
        "changeformer",
        {"model": {"encoder": {"weights": "sam-vit-large"}}},
        "changeformer has an encoder of its own and reads no SAM",
    ),
    "lora": ("fc-siam-diff", {"model": {"encoder": {"adapt": "lora"}}}, "reads no SAM"),
    "scale": ("idet", {"model": {"baseline": {"scale": 0.05}}}, "baseline.scale must be at least 1/16"),
    "no scale": (
        "idet",
        {"model": {"baseline": {"scale": float("nan")}}},
        "baseline.scale must be at least 1/16",
    ),
    "cache": (
        "idet",
        {"phases": {"multitask": {"cache_features": True}}},
        r"cache_features keeps SAM's features, which model\.method idet",
    ),
}


@pytest.mark.parametrize(("method", "values", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused(method: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(f"tiny+{method}", values)


SCALES = {
    "fc-siam-diff": 0.5, "changeformer": 0.125, "ttp": 0.125, "idet": 0.125, "wnet": 0.125, "cstsunet": 0.25,
}  # fmt: skip
"""Small enough to be quick, large enough to learn by heart."""


@pytest.mark.slow
@pytest.mark.parametrize("method", CHANGE_METHODS)
def test_it_learns_eight_pairs_of_the_world_by_heart(method: str) -> None:
    batch = collate([generate_pair(3, index, size=32) for index in range(8)])
    fields = {"baseline": {"scale": SCALES[method], "dropout": 0.0}, "change_decoder": {"classes": 1}}
    encoder = {"patch": 8, "width": 64, "window": 4} if method == "ttp" else {}  # 4 tokens would be too few
    model = build_model(config_of(method, {**fields, "encoder": encoder}))
    stages.apply(stages.COMPARED_CHANGE, model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, fused=True)
    truth = batch.label == 2
    scores = []
    for _ in range(250):
        logits = model(batch.before, batch.after).change_logits
        found = logits[:, 0] > 0
        scores.append(2 * float((found & truth).sum()) / float(found.sum() + truth.sum()))
        if scores[-1] > 0.8:
            break
        optimizer.zero_grad()
        change_loss(logits, batch.label).backward()
        optimizer.step()
    assert scores[0] < 0.3 < 0.8 < scores[-1]

"""LoRA's algebra: the base never moves, merging adds (alpha / rank) B A."""

from collections.abc import Callable

import torch
from torch.testing import assert_close

from semantic_cc.checkpoint.build import merge_lora
from semantic_cc.losses import caption_loss, change_loss
from semantic_cc.model.semantic_cc import SemanticCCModel

Build = Callable[..., SemanticCCModel]
Images = Callable[..., tuple[torch.Tensor, torch.Tensor]]
LORA = {
    "encoder": {"adapt": "lora", "lora": {"rank": 4, "alpha": 6}},
    "llm": {"lora": {"rank": 2, "alpha": 8}},
}
SCALE = {"encoder": 6 / 4, "caption_decoder": 8 / 2}


def test_adapters_sit_on_the_named_layers(build: Build) -> None:
    names = [
        n for n, _ in build(LORA, shaken=False).named_parameters() if n.endswith("lora_A.default.weight")
    ]
    encoder = [f"encoder.vision.layers.{i}.attn.qkv" for i in range(4)]
    llm = [f"caption_decoder.llm.model.layers.{i}.self_attn.{p}_proj" for i in range(2) for p in "qkv"]
    assert {name.removesuffix(".lora_A.default.weight") for name in names} == {*encoder, *llm}


def test_the_base_is_bit_identical_after_a_step(build: Build, pair: Images) -> None:
    model = build(LORA).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=1e-2, weight_decay=0.05
    )
    out = model(*pair(), sentences=[["a road"], ["nothing"]], instructions=["What?", "Say it."])
    label = torch.randint(0, 3, (2, 32, 48))
    (caption_loss(out.caption_logits, out.caption_targets) + change_loss(out.change_logits, label)).backward()
    optimizer.step()
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    adapters = {name for name in before if "lora_" in name}
    assert adapters <= moved
    for base in ("encoder.vision.", "caption_decoder.llm."):
        assert {name for name in moved if name.startswith(base)} <= adapters


def test_merging_adds_scaled_ba_and_changes_no_prediction(build: Build, pair: Images) -> None:
    model = build(LORA)
    said = model.predict(*pair())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    merge_lora(model)
    after = model.state_dict()
    assert not [name for name in after if "lora_" in name or "base_layer" in name]
    for name in before:
        if name.endswith("lora_A.default.weight"):
            layer = name.removesuffix(".lora_A.default.weight")
            update = before[f"{layer}.lora_B.default.weight"] @ before[name]
            scaled = SCALE[name.split(".")[0]] * update
            assert_close(after[f"{layer}.weight"], before[f"{layer}.base_layer.weight"] + scaled)
    merged = model.predict(*pair())
    # float32 sums in another order, through all layers
    assert_close(merged.class_probabilities, said.class_probabilities, atol=1e-4, rtol=1e-3)
    assert_close(merged.change_probability, said.change_probability, atol=1e-4, rtol=1e-3)
    assert merged.sentences == said.sentences

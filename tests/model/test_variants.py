"""Every variant by preset and by field: it builds, runs, and its losses reach what they should."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from semantic_cc.config import preset_names
from semantic_cc.losses import caption_loss, change_loss, flag_loss
from semantic_cc.model.bcsf import BCSF
from semantic_cc.model.neck import BilinearAttention, CrossAttention
from semantic_cc.model.semantic_cc import SemanticCCModel

Build = Callable[..., SemanticCCModel]
Images = Callable[..., tuple[Tensor, Tensor]]

PRESETS = [name for name in preset_names() if name.startswith("table")]
FIELDS: dict[str, dict[str, Any]] = {
    "filters after window layers": {"encoder": {"bcsf_after": "window", "global_layers": [1, 3]}},
    "lora": {"encoder": {"adapt": "lora"}},
    "tensor": {"neck": {"similarity": "tensor", "directions": "cd_to_cc"}},
    "one way": {"neck": {"directions": "cd_to_cc"}},
    "greedy": {"decoding": "greedy"},
    "beam": {"decoding": "beam", "llm": {"beams": 3}},
    "beam, text for an end": {"decoding": "beam", "llm": {"template": "minigpt4"}},
    "details": {"change_decoder": {"detail": 8}},
    "no flag head": {"flag_head": False},
    "two classes": {"change_decoder": {"classes": 1}},
    "minigpt4": {"llm": {"template": "minigpt4"}},
}
VARIANTS = [pytest.param(f"tiny+{name}", {}, id=name) for name in PRESETS]
VARIANTS += [pytest.param("tiny", fields, id=name) for name, fields in FIELDS.items()]


def losses(model: SemanticCCModel, images: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    """The task losses of a small batch, by name."""
    out = model(*images, sentences=[["a road"], ["nothing"]], instructions=["What?", "Say what is new."])
    found = {"caption": caption_loss(out.caption_logits, out.caption_targets)}
    if out.flag_logits is not None:
        found["caption"] = found["caption"] + flag_loss(out.flag_logits, torch.tensor([1, 0]))
    if out.change_logits is not None:
        found["change"] = change_loss(out.change_logits, torch.randint(0, 3, (2, 32, 48)))
    return found


def reached(model: nn.Module, loss: Tensor) -> set[str]:
    model.zero_grad(set_to_none=True)
    loss.backward(retain_graph=True)
    return {name for name, parameter in model.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize(("preset", "fields"), VARIANTS)
def test_runs_and_learns(preset: str, fields: dict[str, Any], build: Build, pair: Images) -> None:
    model = build(fields, preset=preset)
    has_change = model.config.change_task
    found = losses(model, pair())
    assert set(found) == ({"change", "caption"} if has_change else {"caption"})
    assert all(torch.isfinite(loss) for loss in found.values())
    names = {task: reached(model, loss) for task, loss in found.items()}

    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    unread = set() if has_change else {name for name in trainable if name.startswith("encoder.vision.neck.")}
    assert set().union(*names.values()) == trainable - unread
    assert not [name for name in trainable if name.startswith("caption_decoder.llm.") and "lora_" not in name]
    for task in found if has_change else ():
        of_neck = {name.removeprefix("neck.") for name in names[task] if name.startswith("neck.")}
        assert of_neck == model.neck.reached_by(task)
    if has_change:
        assert not [name for name in names["change"] if name.startswith("caption_decoder.")]
        assert not [name for name in names["caption"] if name.startswith("change_decoder.")]
    if "bcsf" in preset:
        assert [name for name in names["caption"] if name.startswith("encoder.filters.")]

    said = model.predict(*pair())
    assert (said.class_probabilities is not None) == has_change
    assert all(isinstance(text, str) for text in said.sentence)


def test_what_the_rows_of_table_2_are(build: Build) -> None:
    rows = {name: build(preset=f"tiny+table2-{name}", shaken=False) for name in ("base", "bcsf", "enhancer")}
    assert not rows["base"].encoder.filters and rows["base"].neck is None
    assert rows["base"].change_decoder is None
    assert len(rows["bcsf"].encoder.filters) == 4
    assert rows["bcsf"].caption_decoder.enhancer.gates is None
    assert rows["enhancer"].caption_decoder.enhancer.gates is not None
    crossed = build(preset="tiny+table2-neck-cs", shaken=False).neck.units[0]
    assert isinstance(crossed.into_change, CrossAttention) and isinstance(
        crossed.into_caption, CrossAttention
    )
    full = build(preset="tiny+table2-neck-sm", shaken=False).neck.units[0]
    assert isinstance(full.into_change, BilinearAttention) and isinstance(
        full.into_caption, BilinearAttention
    )


@pytest.mark.parametrize(("after", "layers"), [("global", ["1", "3"]), ("window", ["0", "2"])])
def test_where_the_filters_sit(after: str, layers: list[str], build: Build) -> None:
    encoder = build({"encoder": {"bcsf_after": after, "global_layers": [1, 3]}}, shaken=False).encoder
    assert list(encoder.filters) == layers
    assert all(isinstance(part, BCSF) for part in encoder.filters.values())


def test_the_neck_has_its_units(build: Build) -> None:
    assert len(build({"neck": {"units": 3}}, shaken=False).neck.units) == 3


def test_the_seed_decides_the_start(build: Build) -> None:
    one, two = build(shaken=False).state_dict(), build(shaken=False).state_dict()
    assert all(torch.equal(one[key], two[key]) for key in one)

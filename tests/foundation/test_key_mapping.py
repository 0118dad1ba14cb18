"""The key tables against the full-size originals: every key of either side is loaded, or dropped with a reason."""

import dataclasses
from collections.abc import Callable

import foundations as files
import pytest
import torch

from semantic_cc.checkpoint.meta_model import outline
from semantic_cc.config import load_config
from semantic_cc.foundation import key_mapping
from semantic_cc.foundation.key_mapping import Dropped, KeyMapping
from semantic_cc.foundation.tensor_shapes import qformer_part, sam_vision, shapes_of, sizes_of

SAM = {
    "b": ({"width": 768, "depth": 12, "heads": 12}, [2, 5, 8, 11], 89.7),
    "l": ({"width": 1024, "depth": 24, "heads": 16}, [5, 11, 17, 23], 308.3),
    "h": ({"width": 1280, "depth": 32, "heads": 16}, [7, 15, 23, 31], 637.0),
}
"""ViT size -> our sizes, global layers, millions of parameters at 1024 px."""

LISTS: dict[str, tuple[KeyMapping, Callable[[], files.Shapes]]] = {
    **{
        f"sam {size}, Meta": (key_mapping.SAM_META, lambda size=size: files.full_meta_sam(size))
        for size in SAM
    },
    **{
        f"sam {size}, Hugging Face": (
            key_mapping.SAM_TRANSFORMERS,
            lambda sizes=sizes, layers=layers: files.full_hf_sam(**sizes, global_layers=layers),
        )
        for size, (sizes, layers, _) in SAM.items()
    },
    "blip2 with a T5, LAVIS": (key_mapping.BLIP2_LAVIS, lambda: files.full_lavis(first_stage=False)),
    "blip2's first stage, LAVIS": (key_mapping.BLIP2_LAVIS, lambda: files.full_lavis(first_stage=True)),
    "blip2 with an LLM, Hugging Face": (key_mapping.BLIP2_TRANSFORMERS, lambda: files.full_hf_blip2(False)),
    "blip2 for retrieval, Hugging Face": (key_mapping.BLIP2_TRANSFORMERS, lambda: files.full_hf_blip2(True)),
    "minigpt4": (key_mapping.MINIGPT4, files.full_minigpt4),
}
"""The originals: the table that reads them, and their keys with shapes."""

SELDOM = {
    "visual_encoder.*", "t5_model.*", "opt_model.*", "opt_proj.*",
}  # fmt: skip
"""Parts that LAVIS leaves out of its files while frozen, and BLIP-2's for OPT: named in blip2.py, blip2_opt.py."""


@pytest.mark.parametrize("name", LISTS)
def test_no_key_is_left_over(name: str) -> None:
    table, keys_of = LISTS[name]
    theirs = keys_of()
    assert key_mapping.mapping_of(theirs) is table
    tensors, dropped = {}, {}
    for key, shape in theirs.items():
        ours = table.ours(key)
        assert ours is not None, f"{key} is in no rule"
        if isinstance(ours, Dropped):
            dropped[key] = ours.why
        else:
            assert ours not in tensors and table.theirs(ours) == key
            tensors[ours] = torch.empty(shape, device="meta")
    assert all(dropped.values())
    assert {key: value.shape for key, value in tensors.items()} == shapes_of(table.part, tensors)


def test_no_rule_is_idle() -> None:
    used: dict[int, set[str]] = {}
    for table, keys_of in LISTS.values():
        fits = used.setdefault(id(table), set())
        for key in keys_of():
            rules = [pattern for pattern in table.keys if key_mapping._compiled(pattern).fullmatch(key)]
            assert len(rules) == 1, f"{key} is in {rules}"
            fits.update(rules)
        if table is key_mapping.BLIP2_LAVIS:
            fits |= SELDOM
    for table, _ in LISTS.values():
        assert set(table.keys) - used[id(table)] == set(), table.layout


@pytest.mark.parametrize("size", SAM)
def test_sizes_are_read_from_the_tensors(size: str) -> None:
    sizes, layers, millions = SAM[size]
    state = {
        key_mapping.SAM_META.ours(key): torch.empty(shape, device="meta")
        for key, shape in files.full_meta_sam(size).items()
        if key.startswith("image_encoder.")
    }
    expected = {
        **sizes,
        "window": 14,
        "global_layers": tuple(layers),
        "patch": 16,
        "hybrid": False,
        "image_size": 1024,
        "change_width": 256,
    }
    assert dataclasses.asdict(sizes_of("encoder", state)) == expected
    assert round(sum(value.numel() for value in state.values()) / 1e6, 1) == millions


def test_what_the_paper_freezes_is_what_the_originals_fill() -> None:
    """No tensor of the frozen parts is left at its random start."""
    config = load_config("paper").model
    model = outline(config)
    filled = {
        "encoder": set(sam_vision(config.encoder).state_dict()),
        "qformer": {key_mapping.BLIP2_LAVIS.ours(key) for key in files.full_lavis(first_stage=False)},
    }
    vision = {
        name.replace(".base_layer", "") for name in model.encoder.vision.state_dict() if "lora_" not in name
    }
    assert vision == filled["encoder"]
    decoder = model.caption_decoder
    part = qformer_part(decoder.queries, decoder.ln_vision, decoder.qformer)
    assert set(part.state_dict()) <= filled["qformer"]


def test_a_name_that_fits_nothing() -> None:
    assert key_mapping.mapping_of(["weight", "bias"]) is None
    assert key_mapping.SAM_META.ours("image_encoder.blocks.x.norm1.weight") is None
    assert key_mapping.SAM_META.theirs("no.such.key") == "no.such.key"
    assert key_mapping.SAM_META.theirs("layers.7.layer_norm2.bias") == "image_encoder.blocks.7.norm2.bias"

"""Files in every official layout, made by the reference implementations: read, they give the same outputs."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import foundations as files
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from transformers import Blip2ForConditionalGeneration

from semantic_cc.checkpoint.build import build_encoder, build_model
from semantic_cc.config import load_config
from semantic_cc.foundation import parts
from semantic_cc.foundation.parts import Part, find_part, read_part, write_part
from semantic_cc.model.encoder import BitemporalEncoder

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
"""SAM's pixel mean and deviation for values in 0..255."""


def converted(source: Path, tmp_path: Path) -> Part:
    """Read as the converter does, written, and read as training does."""
    out = tmp_path / "converted.safetensors"
    write_part(read_part(source, pickles=True), out)
    return read_part(out)


def encoder_of(part: Part, side: int, **options: Any) -> BitemporalEncoder:
    sizes = {**files.SAM_OURS, "image_size": 16 * side, **options}
    return build_encoder(load_config("tiny", {"model": {"encoder": sizes}}).model.encoder, part).eval()


def cubic(count: int, target: int) -> np.ndarray:
    """(target, count): Keys' cubic convolution with a = -0.75, pixel centres, borders repeated."""
    matrix = np.zeros((target, count))
    for row in range(target):
        place = (row + 0.5) * count / target - 0.5
        for tap in range(int(np.floor(place)) - 1, int(np.floor(place)) + 3):
            x = abs(place - tap)
            weight = (1.25 * x - 2.25) * x * x + 1 if x <= 1 else -0.75 * (((x - 5) * x + 8) * x - 4)
            matrix[row, min(max(tap, 0), count - 1)] += weight
    return matrix


def smaller(key: str, value: Tensor, side: int, is_global: bool) -> Tensor:
    """A position table of SAM for `side` tokens a side, resampled with numpy alone."""
    if "pos_embed" in key:
        matrix = cubic(value.shape[1], side)
        return torch.from_numpy(np.einsum("ij,ajkc,lk->ailc", matrix, value.numpy(), matrix)).float()
    if "rel_pos" in key and is_global:
        count, target = len(value), 2 * side - 1
        places = (np.arange(target) + 0.5) * count / target - 0.5
        columns = [np.interp(places, np.arange(count), column) for column in value.numpy().T]
        return torch.from_numpy(np.stack(columns, 1)).float()
    return value


def reference_sam(make: Callable[[int], nn.Module], side: int) -> nn.Module:
    """The reference at `side`, filled from the one at 8 with independently resampled tables."""
    large, small = make(8), make(side)
    state = {
        key: smaller(key, value, side, is_global=any(f".{i}." in key for i in (1, 3)))
        if "encoder" in key and "prompt" not in key
        else small.state_dict()[key]
        for key, value in large.state_dict().items()
    }
    small.load_state_dict(state)
    return small


def pixels_of(before: Tensor, after: Tensor) -> Tensor:
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    return (torch.cat([before, after]) * 255 - mean) / std


@pytest.mark.parametrize("side", [8, 4])
def test_sam_from_meta(side: int, tmp_path: Path) -> None:
    source = files.save_pickle(files.meta_sam().state_dict(), tmp_path / "sam_vit.pth")
    part = converted(source, tmp_path)
    assert (part.name, part.sizes.image_size) == ("encoder", 128)
    before, after = torch.rand(2, 1, 3, 16 * side, 16 * side)
    reference = reference_sam(files.meta_sam, side).image_encoder
    tokens: list[Tensor] = []
    reference.blocks[-1].register_forward_hook(lambda block, given, output: tokens.append(output))
    expected = reference(pixels_of(before, after))
    got = encoder_of(part, side)(before, after)
    assert_close(got.change, expected.permute(0, 2, 3, 1))
    assert_close(got.caption, tokens[0])  # (2b, h, w, c), before the neck


@pytest.mark.parametrize("layout", ["file", "shards", "pickle", "pickled shards"])
@pytest.mark.parametrize("side", [8, 4])
def test_sam_from_hugging_face(layout: str, side: int, tmp_path: Path) -> None:
    model = files.hf_sam()
    model.save_pretrained(tmp_path / "sam", max_shard_size="20KB" if layout == "shards" else "1GB")
    if "pickle" in layout:
        files.as_pickles(tmp_path / "sam", shards=3 if "shards" in layout else 1)
    part = converted(tmp_path / "sam", tmp_path)
    before, after = torch.rand(2, 1, 3, 16 * side, 16 * side)
    expected = reference_sam(files.hf_sam, side).vision_encoder(pixels_of(before, after)).last_hidden_state
    assert_close(encoder_of(part, side)(before, after).change, expected.permute(0, 2, 3, 1))


def test_one_model_has_one_digest_in_every_layout(tmp_path: Path) -> None:
    model = files.hf_sam()
    model.save_pretrained(tmp_path / "hub")
    bare = model.vision_encoder.state_dict()
    pickled = files.save_pickle(
        {f"vision_encoder.{key}": value for key, value in bare.items()}, tmp_path / "a.pth"
    )
    digests = {read_part(path, pickles=True).digest for path in (tmp_path / "hub", pickled)}
    assert digests == {converted(pickled, tmp_path).digest} and len(digests) == 1


def blip2_source(layout: str, folder: Path) -> tuple[nn.Module, Path]:
    model = files.hf_blip2(retrieval=layout == "retrieval")
    if layout == "lavis":
        return model, files.save_pickle({"model": files.lavis_of(model), "epoch": 1}, folder / "blip2.pth")
    model.save_pretrained(folder / "blip2", max_shard_size="30KB")
    return model, folder / "blip2"


@pytest.mark.parametrize("layout", ["lavis", "hugging face", "retrieval"])
def test_blip2(layout: str, build: Callable, tmp_path: Path) -> None:
    model, source = blip2_source(layout, tmp_path)
    part = converted(source, tmp_path)
    assert part.name == "qformer" and asdict(part.sizes) == {
        k: v for k, v in files.QFORMER_OURS.items() if k != "heads"
    }
    weights = {"weights": str(tmp_path / "converted.safetensors"), "frozen": True}
    decoder = build({"qformer": {**files.QFORMER_OURS, **weights}}, shaken=False).caption_decoder
    tokens = torch.randn(2, 3, 5, 24)
    seen = model.vision_model.post_layernorm(tokens).flatten(1, 2)
    assert_close(decoder.ln_vision(tokens).flatten(1, 2), seen)
    expected = model.qformer(
        query_embeds=model.query_tokens.expand(2, -1, -1), encoder_hidden_states=seen
    ).last_hidden_state
    assert_close(decoder.qformer(decoder.queries, seen), expected)


@pytest.mark.parametrize(
    ("enhancer", "blocks"),
    [
        ({}, (1, 1, 0)),
        ({"subtraction": False}, (1, 1)),
        ({"activation": False}, (0.5, 0.5, 0)),
        ({"position": "off"}, (0.5, 0.5)),
    ],
)
def test_minigpt4(
    enhancer: dict[str, Any], blocks: tuple[float, ...], build: Callable, tmp_path: Path
) -> None:
    """With its gates on, the enhancer of two equal dates gives MiniGPT-4's projection of them."""
    checkpoint = files.minigpt4()
    part = converted(files.save_pickle(checkpoint, tmp_path / "minigpt4.pth"), tmp_path)
    assert part.name == "enhancer"
    weights = {"weights": str(tmp_path / "converted.safetensors")}
    layer = build({"enhancer": {**enhancer, **weights}}, shaken=False).caption_decoder.enhancer
    projection = checkpoint["model"]["llama_proj.weight"]
    assert torch.equal(layer.project.weight, torch.cat([share * projection for share in blocks], dim=1))
    assert torch.equal(layer.project.bias, checkpoint["model"]["llama_proj.bias"])
    output = torch.randn(2, 3, 32)
    assert_close(layer(output, output), output @ projection.T + checkpoint["model"]["llama_proj.bias"])


def test_minigpt4_with_the_enhancer_before(build: Callable, tmp_path: Path) -> None:
    checkpoint = files.minigpt4()
    converted(files.save_pickle(checkpoint, tmp_path / "minigpt4.pth"), tmp_path)
    weights = {"weights": str(tmp_path / "converted.safetensors")}
    to_llm = build({"enhancer": {"position": "before", **weights}}, shaken=False).caption_decoder.to_llm
    assert torch.equal(to_llm.weight, checkpoint["model"]["llama_proj.weight"])
    assert torch.equal(to_llm.bias, checkpoint["model"]["llama_proj.bias"])


def test_a_name_is_found_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One converted file each, and the whole model starts from them under their short names."""
    monkeypatch.setenv("SEMANTIC_CC_CACHE", str(tmp_path / "cache"))
    files.hf_sam().save_pretrained(tmp_path / "sam")
    blip2, source = blip2_source("lavis", tmp_path)
    given = {"sam-vit-large": tmp_path / "sam", "blip2": source}
    given["minigpt4-7b"] = files.save_pickle(files.minigpt4(), tmp_path / "minigpt4.pth")
    for name, path in given.items():
        write_part(read_part(path, pickles=True), parts.cache_folder() / f"{name}.safetensors")
        assert find_part(name).parent == tmp_path / "cache"
    model = {
        "encoder": {**files.SAM_OURS, "image_size": 64, "adapt": "lora", "weights": "sam-vit-large"},
        "qformer": {**files.QFORMER_OURS, "frozen": True, "weights": "blip2"},
        "enhancer": {"weights": "minigpt4-7b"},
    }
    built = build_model(load_config("tiny", {"model": model}).model)
    assert set(built.foundation) == {"encoder", "qformer", "enhancer", "llm"}
    assert torch.equal(built.caption_decoder.queries, blip2.query_tokens)
    assert isinstance(blip2, Blip2ForConditionalGeneration)

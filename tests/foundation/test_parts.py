"""Parts: resampling, order of loading, and one clear line for each thing that can be wrong with a file."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import foundations as files
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.testing import assert_close

from semantic_cc.checkpoint.build import build_encoder
from semantic_cc.config import load_config
from semantic_cc.errors import CheckpointError, ConfigError, FoundationWeightsError, OutputError
from semantic_cc.foundation.parts import content_digest, facts_of, find_part, load_part, read_part, write_part
from semantic_cc.model.encoder import BitemporalEncoder, resample_positions

State = dict[str, Tensor]


def encoder_of(image_size: int = 64, weights: Path | None = None, **options: Any) -> BitemporalEncoder:
    sizes = {**files.SAM_OURS, "image_size": image_size, **options}
    config = load_config("tiny", {"model": {"encoder": sizes}}).model.encoder
    return build_encoder(config, weights and read_part(weights, "encoder"))


@pytest.fixture
def sam(tmp_path: Path) -> Path:
    """Hugging Face's SAM for 128 px, a folder."""
    files.hf_sam().save_pretrained(tmp_path / "sam")
    return tmp_path / "sam"


def test_sam_of_a_larger_size_is_resampled(sam: Path) -> None:
    """The same as transformers' own resampling of rel_pos while running."""
    source, target = encoder_of(128, sam), encoder_of(64, sam)
    assert_close(target.vision.pos_embed, resample_positions(source.vision.pos_embed, 4, 4))
    large, small = source.vision.layers[1].attn, target.vision.layers[1].attn
    assert (len(large.rel_pos_h), len(small.rel_pos_h)) == (15, 7)
    assert_close(small.get_rel_pos(4, 4, small.rel_pos_h), large.get_rel_pos(4, 4, large.rel_pos_h))
    before, after = torch.rand(2, 1, 3, 64, 64)
    assert_close(target(before, after).caption, source(before, after).caption)
    assert_close(target(before, after).change, source(before, after).change)


def test_sam_is_loaded_before_the_adapters(sam: Path) -> None:
    before, after = torch.rand(2, 1, 3, 64, 48)
    adapted = encoder_of(128, sam, adapt="lora").eval()
    assert_close(adapted(before, after).caption, encoder_of(128, sam)(before, after).caption)


def test_sam_of_another_width(sam: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"neck\.conv1\.weight is \(16, 32, 1, 1\), the model needs \(8, 32"
    ):
        encoder_of(128, sam, change_width=8)


def sources() -> dict[str, Callable[[Path], Path]]:
    """Each layout -> a function that writes it as one pickle."""
    return {
        "meta": lambda folder: files.save_pickle(files.meta_sam().state_dict(), folder / "meta.pth"),
        "sam": lambda folder: files.save_pickle(files.hf_sam().state_dict(), folder / "sam.bin"),
        "lavis": lambda folder: files.save_pickle(
            {"model": files.lavis_of(files.hf_blip2())}, folder / "l.pth"
        ),
        "blip2": lambda folder: files.save_pickle(files.hf_blip2().state_dict(), folder / "blip2.bin"),
        "minigpt4": lambda folder: files.save_pickle(files.minigpt4(), folder / "minigpt4.pth"),
    }


KEPT = {
    "meta": "image_encoder.blocks.2.mlp.lin1.weight",
    "sam": "vision_encoder.layers.1.mlp.lin2.weight",
    "lavis": "Qformer.bert.encoder.layer.2.crossattention.self.key.weight",
    "blip2": "qformer.encoder.layer.1.output_query.dense.weight",
    "minigpt4": "llama_proj.bias",
}
"""A key of each layout that is taken, and is not square."""


def swapped(value: Tensor) -> Tensor:
    return value.T.contiguous() if value.ndim == 2 else value[None]


SPOILS: dict[str, tuple[Callable[[State, str], object], str]] = {
    "missing": (lambda state, key: state.pop(key), "{key} is missing"),
    "unknown": (lambda state, key: state.update({f"{key}.more": state[key]}), "{key}.more is unknown"),
    "swapped": (lambda state, key: state.update({key: swapped(state[key])}), "{key} is ("),
    "no numbers": (
        lambda state, key: state[key].view(-1)[3:4].fill_(float("nan")),
        "{key} holds values that are",
    ),
    "infinite": (
        lambda state, key: state[key].view(-1)[3:4].fill_(float("inf")),
        "{key} holds values that are",
    ),
    "whole numbers": (
        lambda state, key: state.update({key: state[key].long()}),
        "{key} holds values that are",
    ),
    "no tensor": (lambda state, key: state.update({key: 3}), "{key} is not a tensor"),
}


@pytest.mark.parametrize("spoil", SPOILS)
@pytest.mark.parametrize("layout", KEPT)
def test_a_spoilt_key_is_named_as_the_file_names_it(layout: str, spoil: str, tmp_path: Path) -> None:
    path, key = sources()[layout](tmp_path), KEPT[layout]
    content = torch.load(path, weights_only=True)
    state = content.get("model", content)
    change, message = SPOILS[spoil]
    change(state, key)
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=re.escape(f"{path}: {message.format(key=key)}")) as caught:
        read_part(path, pickles=True)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "key", ["vision_encoder.neck.conv1.weight", "vision_encoder.layers.1.attn.rel_pos_h"]
)
def test_a_tensor_that_tells_sizes_is_missing(key: str, tmp_path: Path) -> None:
    path = sources()["sam"](tmp_path)
    state = torch.load(path, weights_only=True)
    del state[key]
    torch.save(state, path)
    with pytest.raises(CheckpointError, match=re.escape(f"{path}: {key} is missing")):
        read_part(path, pickles=True)


class Malice:
    """What a pickle can do while it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_pickle(zipped: bool, tmp_path: Path) -> None:
    path, mark = tmp_path / "sam.pth", tmp_path / "was here"
    content = {"image_encoder.pos_embed": Malice(mark)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        CheckpointError, match=r"sam\.pth is refused: its pickle asks for \w+\.mkdir"
    ) as caught:
        read_part(path, pickles=True)
    assert not mark.exists() and "\n" not in str(caught.value)


def test_pickles_are_for_the_converter(tmp_path: Path) -> None:
    path = sources()["minigpt4"](tmp_path)
    with pytest.raises(
        CheckpointError, match=r"is a pickle, which only the converter reads; run .* weights convert"
    ):
        read_part(path, "enhancer")


@pytest.mark.parametrize("name", ["sam.safetensors", "sam.pth"])
@pytest.mark.parametrize("keep", [0, 10, 2000])
def test_a_truncated_file(name: str, keep: int, tmp_path: Path) -> None:
    path = tmp_path / name
    state = files.hf_sam().vision_encoder.state_dict()
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=rf"cannot read .*{name}: .*truncated") as caught:
        read_part(path, pickles=True)
    assert "\n" not in str(caught.value)


def test_no_such_file_and_no_such_weights(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        read_part(tmp_path / "none.safetensors")
    save_file({"weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(
        CheckpointError, match=r"holds no weights of SAM, of BLIP-2's Q-Former, or of MiniGPT-4's"
    ):
        read_part(tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="holds no weights of the part qformer"):
        read_part(sources()["sam"](tmp_path), "qformer", pickles=True)
    with pytest.raises(CheckpointError, match=r"holds none of model\.safetensors"):
        read_part(tmp_path)
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match="does not hold named tensors"):
        read_part(tmp_path / "list.pth", pickles=True)


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """BLIP-2 in shards; the folder."""
    files.hf_blip2().save_pretrained(tmp_path / "blip2", max_shard_size="20KB")
    return tmp_path / "blip2"


def shard_of(folder: Path, key: str) -> Path:
    return folder / json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"][key]


def test_a_missing_shard(shards: Path) -> None:
    file = shard_of(shards, "query_tokens")
    file.unlink()
    with pytest.raises(
        CheckpointError, match=rf"{file.name}: no such file; every shard that the index names"
    ):
        read_part(shards)


def test_a_truncated_shard(shards: Path) -> None:
    file = shard_of(shards, "query_tokens")
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(CheckpointError, match=rf"cannot read .*{file.name}"):
        read_part(shards)


def test_a_shard_without_what_the_index_says(shards: Path) -> None:
    file = shard_of(shards, "query_tokens")
    state = load_file(file)
    del state["query_tokens"]
    save_file(state, file)
    with pytest.raises(
        CheckpointError, match=rf"{file.name}: lacks query_tokens, which the index lists in it"
    ):
        read_part(shards)


def test_shards_with_nothing_to_take_need_not_be_there(shards: Path) -> None:
    """So BLIP-2 can be fetched without its language model."""
    digest = read_part(shards).digest
    needed = {shard_of(shards, key) for key in ("query_tokens", "vision_model.post_layernorm.weight")}
    index = json.loads((shards / "model.safetensors.index.json").read_text())["weight_map"]
    needed |= {shards / file for key, file in index.items() if key.startswith("qformer.")}
    spare = {shards / file for file in index.values()} - needed
    assert spare
    for file in spare:
        file.unlink()
    assert read_part(shards).digest == digest


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"weight_map": 3}', '{"weight_map": {"a": "../up.safetensors"}}']
)
def test_a_broken_index(text: str, shards: Path) -> None:
    (shards / "model.safetensors.index.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"is not an index of shards|lies outside|holds no weights"):
        read_part(shards)


def test_changed_weights_are_noticed(sam: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    part = read_part(sam)
    write_part(part, out)
    facts = facts_of(out)
    assert facts["content"] == part.digest and facts["file"] == "sam" and len(facts["sha256"]) == 64
    state = load_file(out)
    state["pos_embed"][0, 0, 0, 0] += 1
    save_file(state, out, metadata={"format": "pt", **facts})
    with pytest.raises(CheckpointError, match=rf"but it was written with {part.digest}; convert it again"):
        read_part(out)


def test_the_digest_tells_names_shapes_and_values() -> None:
    state = {"a": torch.arange(4.0), "b": torch.zeros(2)}
    same = {"b": torch.zeros(2, dtype=torch.bfloat16), "a": torch.arange(4.0).half()}
    assert content_digest(state) == content_digest(same)
    others = [
        {"a": state["b"], "b": state["a"]},
        {**state, "a": state["a"].view(2, 2)},
        {**state, "b": torch.ones(2)},
    ]
    assert len({content_digest(other) for other in (state, *others)}) == 4


def test_weights_that_are_nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEMANTIC_CC_CACHE", str(tmp_path / "cache"))
    with pytest.raises(
        FoundationWeightsError, match=r"weights fetch blip2, or get blip2_pretrained_flant5xxl\.pth from"
    ):
        find_part("blip2")
    with pytest.raises(
        FoundationWeightsError, match=r"cache.*\): get pretrained_minigpt4_7b\.pth .* weights convert"
    ):
        find_part("minigpt4-7b")
    with pytest.raises(
        FoundationWeightsError, match=r"/gone/mine\.safetensors are neither a file nor in the cache as"
    ):
        find_part("/gone/mine.safetensors")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "mine.safetensors").write_bytes(b"")
    assert find_part("/gone/mine.safetensors") == tmp_path / "cache" / "mine.safetensors"


def test_a_place_that_cannot_be_written(sam: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match=r"file is not a directory"):
        write_part(read_part(sam), tmp_path / "file" / "out.safetensors")


def test_a_qformer_that_blip2_does_not_fit() -> None:
    qformer = {"weights": "blip2", "positions": True, "encoder_width": 32}
    with pytest.raises(ConfigError, match=r"qformer\.weights needs qformer\.positions false"):
        load_config("tiny", {"model": {"qformer": qformer}})


def test_loading_refuses_another_qformer(build: Callable, tmp_path: Path) -> None:
    part = read_part(sources()["lavis"](tmp_path), pickles=True)
    vision = encoder_of().vision
    with pytest.raises(CheckpointError, match=r"l\.pth: .* is missing \(and \d+ more\)"):
        load_part(vision, part)

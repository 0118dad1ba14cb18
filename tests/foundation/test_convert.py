"""Conversion into the cache, and its proof: digests, tensors, outputs beside the reference's."""

from collections.abc import Callable
from pathlib import Path

import foundations as files
import pytest
import torch
from safetensors.torch import load_file, save_file

from semantic_cc.config import LLMConfig
from semantic_cc.errors import CheckpointError, FoundationWeightsError, InputError
from semantic_cc.foundation import convert as module
from semantic_cc.foundation import llm, llm_files, reference_models
from semantic_cc.foundation import verify as verify_module
from semantic_cc.foundation.catalogue import FOUNDATIONS, Foundation
from semantic_cc.foundation.convert import convert
from semantic_cc.foundation.parts import facts_of
from semantic_cc.foundation.verify import verify

SOURCES: dict[str, Callable[[Path], Path]] = {
    "meta": lambda folder: files.save_pickle(files.meta_sam(4).state_dict(), folder / "meta.pth"),
    "sam": lambda folder: saved(files.hf_sam(4), folder / "sam"),
    "lavis": lambda folder: files.save_pickle(
        {"model": files.lavis_of(files.hf_blip2())}, folder / "lavis.pth"
    ),
    "blip2": lambda folder: saved(files.hf_blip2(), folder / "blip2"),
    "minigpt4": lambda folder: files.save_pickle(files.minigpt4(), folder / "minigpt4.pth"),
}
PARTS = {"meta": "encoder", "sam": "encoder", "lavis": "qformer", "blip2": "qformer", "minigpt4": "enhancer"}


def saved(model: torch.nn.Module, folder: Path) -> Path:
    model.save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("SEMANTIC_CC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("layout", SOURCES)
def test_converted_under_a_name_and_proved(layout: str, cache: Path, tmp_path: Path) -> None:
    source = SOURCES[layout](tmp_path)
    done = convert(str(source), name="mine")
    assert (done.part, done.value, done.path) == (PARTS[layout], "mine", cache / "mine.safetensors")
    assert done.loaded == len(load_file(done.path)) and not done.is_official
    assert [path.name for path in cache.iterdir()] == ["mine.safetensors"]
    lines = list(verify("mine", source))
    assert "as it was written" in lines[0] and "not a known official digest" in lines[1]
    assert "tensors are the same" in lines[2]
    compared = "outputs are not compared" if layout == "lavis" else "give the same output for a fixed input"
    assert compared in lines[3]
    assert list(verify(str(done.path))) == lines[:2]


def test_why_tensors_are_left_out(tmp_path: Path) -> None:
    done = convert(str(SOURCES["lavis"](tmp_path)), name="mine")
    assert sum(done.dropped.values()) == 3  # position_ids, and t5_proj's weight and bias
    assert any("another one takes its place" in why for why in done.dropped)


def test_a_known_size_has_a_known_name(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = Foundation("enhancer", None, "x", "y", sizes={"width": 32, "llm_width": 32})
    monkeypatch.setitem(FOUNDATIONS, "tiny", tiny)
    source = SOURCES["minigpt4"](tmp_path)
    done = convert(str(source))
    assert done.path == cache / "tiny.safetensors"
    monkeypatch.setitem(FOUNDATIONS, "tiny", Foundation("enhancer", None, "x", "y", (done.sha256,)))
    assert convert(str(source), name="tiny").is_official
    assert "the official file of tiny" in list(verify("tiny"))[1]


def test_an_unknown_size_needs_a_name_or_a_file(tmp_path: Path) -> None:
    source = SOURCES["sam"](tmp_path)
    with pytest.raises(InputError, match=r"not a model with a known name .*; give --name or --out"):
        convert(str(source))
    out = tmp_path / "out.safetensors"
    assert convert(str(source), out=out).value == str(out)
    with pytest.raises(InputError, match=r"must be a \.safetensors file"):
        convert(str(source), out=tmp_path / "out.pth")


def test_what_is_no_foundation(tmp_path: Path) -> None:
    files.save_pickle({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="holds no weights of SAM"):
        convert(str(tmp_path / "other.pth"))
    with pytest.raises(CheckpointError, match="no such file"):
        convert(str(tmp_path / "none.pth"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"empty: holds none of model\.safetensors"):
        convert(str(tmp_path / "empty"))


def test_another_original(tmp_path: Path) -> None:
    source = SOURCES["minigpt4"](tmp_path)
    convert(str(source), name="mine")
    other = files.minigpt4()
    other["model"]["llama_proj.bias"] += 1
    files.save_pickle(other, tmp_path / "other.pth")
    with pytest.raises(
        CheckpointError, match=r"other\.pth: has sha256 \w+, but .*mine\.safetensors comes from"
    ):
        list(verify("mine", tmp_path / "other.pth"))


def test_tensors_that_are_not_the_original_s(tmp_path: Path) -> None:
    """A file that claims the right source, and has other values."""
    source = SOURCES["minigpt4"](tmp_path)
    path = convert(str(source), name="mine").path
    state, facts = load_file(path), facts_of(path)
    state["llama_proj.bias"] += 1
    del facts["content"]
    save_file(state, path, metadata=facts)
    with pytest.raises(CheckpointError, match=r"its tensors are not those of"):
        list(verify("mine", source))


def test_another_output_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"different outputs for a fixed input: up to 0\.1 apart"):
        verify_module._same(torch.ones(3), torch.tensor([1, 1.1, 1]))


def test_without_segment_anything_outputs_are_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = SOURCES["meta"](tmp_path)
    convert(str(source), name="mine")
    monkeypatch.setattr(verify_module, "segment_anything", lambda: None)
    assert "outputs are not compared" in list(verify("mine", source))[3]
    monkeypatch.setattr(reference_models.importlib.util, "find_spec", lambda name: None)
    assert reference_models.segment_anything() is None


def llm_folder(folder: Path) -> Path:
    files.llama().save_pretrained(folder)
    llm.byte_tokenizer().save_pretrained(folder)
    return folder


@pytest.mark.parametrize("layout", ["safetensors", "pickle"])
def test_a_language_model(layout: str, cache: Path, tmp_path: Path) -> None:
    """Safetensors stay where they are, pickles become safetensors; both are found under the name."""
    source = llm_folder(tmp_path / "llm")
    if layout == "pickle":
        files.as_pickles(source, shards=2)
    done = convert(str(source), name="vicuna-7b")
    assert (done.part, done.value) == ("llm", "vicuna-7b")
    loaded = llm.load_llm(LLMConfig(name="vicuna-7b", dtype="float32"))
    assert loaded.digest == done.sha256
    for key, value in files.llama().state_dict().items():
        assert torch.equal(loaded.model.state_dict()[key], value)
    assert (cache / "vicuna-7b" / "model.safetensors").exists() == (layout == "pickle")
    lines = list(verify("vicuna-7b", source))
    assert "it is whole" in lines[1] and "the same output" in lines[2]
    file = (cache / "vicuna-7b" if layout == "pickle" else source) / "model.safetensors"
    state = load_file(file)
    state["lm_head.weight"][0, 0] += 1
    save_file(state, file, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="convert it again"):
        list(verify("vicuna-7b"))


def test_a_language_model_by_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = llm_folder(tmp_path / "hub")
    monkeypatch.setattr(module.llm_files, "from_hub", lambda hub, known: folder)
    assert convert("someone/llm", name="mine").path == folder
    assert llm_files.is_cached("mine") and llm_files.find("mine")[0] == folder
    with pytest.raises(InputError, match="a language model goes into the cache"):
        convert("someone/llm", out=tmp_path / "x.safetensors")


def test_verifying_what_is_not_there() -> None:
    with pytest.raises(FoundationWeightsError, match="not in the cache"):
        list(verify("sam-vit-large"))

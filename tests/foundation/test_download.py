"""Fetching, against a hub of our own: which files, which digest, and what is said where there is no hub."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import foundations as files
import huggingface_hub
import pytest

from semantic_cc.errors import CheckpointError, FoundationWeightsError, InputError
from semantic_cc.foundation.convert import convert
from semantic_cc.foundation.download import fetch, fetchable


class Hub:
    """A hub that serves one folder, and remembers what was asked of it."""

    def __init__(self, served: Path, cache: Path) -> None:
        self.served, self.cache = served, cache
        self.asked: list[str] = []
        self.wrong: set[str] = set()

    def model_info(self, hub: str, files_metadata: bool) -> SimpleNamespace:
        assert files_metadata
        return SimpleNamespace(
            sha="r1", siblings=[self._sibling(path) for path in sorted(self.served.iterdir())]
        )

    def _sibling(self, path: Path) -> SimpleNamespace:
        digest = "0" * 64 if path.name in self.wrong else hashlib.sha256(path.read_bytes()).hexdigest()
        large = path.suffix in (".safetensors", ".bin")
        return SimpleNamespace(rfilename=path.name, lfs=SimpleNamespace(sha256=digest) if large else None)

    def file(self, hub: str, name: str, revision: str) -> str:
        assert revision == "r1"
        return str(self.served / name)

    def snapshot(
        self,
        hub: str,
        revision: str | None = None,
        allow_patterns: list[str] | None = None,
        local_files_only: bool = False,
    ) -> str:
        assert local_files_only or revision == "r1"
        if not local_files_only:
            self.asked += allow_patterns or []
            self.cache.mkdir(exist_ok=True)
            for name in allow_patterns or []:
                shutil.copy(self.served / name, self.cache / name)
        elif not self.cache.exists():
            raise FileNotFoundError("not in the cache")
        return str(self.cache)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Path], Hub]:
    monkeypatch.setenv("SEMANTIC_CC_CACHE", str(tmp_path / "ours"))

    def serve(folder: Path) -> Hub:
        made = Hub(folder, tmp_path / "theirs")
        monkeypatch.setattr(huggingface_hub, "HfApi", lambda: made)
        monkeypatch.setattr(huggingface_hub, "hf_hub_download", made.file)
        monkeypatch.setattr(huggingface_hub, "snapshot_download", made.snapshot)
        return made

    return serve


def served_sam(folder: Path) -> Path:
    files.hf_sam(4).save_pretrained(folder)
    for name in ("README.md", "tf_model.h5", "preprocessor_config.json"):
        (folder / name).write_text("{}")
    (folder / "pytorch_model.bin").write_bytes(b"the same in a pickle")
    return folder


def test_sam_comes_as_safetensors_alone(hub: Callable[[Path], Hub], tmp_path: Path) -> None:
    made = hub(served_sam(tmp_path / "served"))
    done = convert(str(fetch("sam-vit-large")), "sam-vit-large")
    assert made.asked == ["config.json", "model.safetensors", "preprocessor_config.json"]
    assert done.path == tmp_path / "ours" / "sam-vit-large.safetensors" and done.part == "encoder"


def test_blip2_comes_without_its_language_model(hub: Callable[[Path], Hub], tmp_path: Path) -> None:
    model = files.hf_blip2()
    model.save_pretrained(tmp_path / "served", max_shard_size="10KB")
    made = hub(tmp_path / "served")
    done = convert(str(fetch("blip2")), "blip2")
    shards = {path.name for path in (tmp_path / "served").glob("*.safetensors")}
    assert shards - set(made.asked) and shards & set(made.asked)
    assert done.part == "qformer" and "model.safetensors.index.json" in made.asked


def test_a_language_model_in_pickles(hub: Callable[[Path], Hub], tmp_path: Path) -> None:
    from semantic_cc.foundation import llm

    files.llama().save_pretrained(tmp_path / "served")
    llm.byte_tokenizer().save_pretrained(tmp_path / "served")
    files.as_pickles(tmp_path / "served", shards=2)
    made = hub(tmp_path / "served")
    convert(str(fetch("vicuna")), "vicuna-7b")
    assert {"tokenizer.json", "pytorch_model.bin.index.json"} <= set(made.asked)
    assert (tmp_path / "ours" / "vicuna-7b" / "model.safetensors").is_file()


def test_another_digest_than_the_hub_announces(hub: Callable[[Path], Hub], tmp_path: Path) -> None:
    made = hub(served_sam(tmp_path / "served"))
    made.wrong.add("model.safetensors")
    with pytest.raises(
        CheckpointError, match=r"model\.safetensors: does not have the sha256 0{64} that the hub states"
    ):
        fetch("sam-vit-large")


def test_offline(hub: Callable[[Path], Hub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = hub(served_sam(tmp_path / "served"))
    with pytest.raises(FoundationWeightsError, match="not in the hub's cache on this machine"):
        fetch("sam-vit-large", offline=True)
    folder = fetch("sam-vit-large")
    made.asked.clear()
    assert fetch("sam-vit-large", offline=True) == folder and made.asked == []
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert fetch("sam-vit-large") == folder and made.asked == []


def test_no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    class Offline:
        def model_info(self, *_: Any, **__: Any) -> None:
            raise ConnectionError("no\nnetwork")

    monkeypatch.setattr(huggingface_hub, "HfApi", Offline)
    message = (
        r"facebook/sam-vit-large is not available from the hub \(ConnectionError\): get sam_vit_l_0b3195\.pth .*, "
        r"and run semantic-cc weights convert PATH --name sam-vit-large"
    )
    with pytest.raises(FoundationWeightsError, match=message) as caught:
        fetch("sam-vit-large")
    assert "\n" not in str(caught.value)


def test_names() -> None:
    assert fetchable("smollm2-135m")[0] == "smollm2-135m-instruct"
    assert fetchable("blip2")[1].hub == "Salesforce/blip2-flan-t5-xxl"
    for name in ("sam-vit", "minigpt4-7b", "gpt-9"):
        with pytest.raises(InputError, match=rf"no model '{name}' to fetch; choose one of: sam-vit-base, "):
            fetchable(name)

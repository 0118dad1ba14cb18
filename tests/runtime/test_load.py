"""Which runtime runs a model, and what happens when the fast one cannot."""

import errno
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engines import need_engine
from safetensors import safe_open

from semantic_cc import SemanticCC
from semantic_cc.checkpoint import serialization
from semantic_cc.errors import InputError, SemanticCCError
from semantic_cc.runtime import export, load
from semantic_cc.runtime.graph_cache import EMBEDDINGS, LANGUAGE, fill_once


@pytest.fixture
def auto(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests set the variable to torch; here auto chooses by itself."""
    monkeypatch.delenv("SEMANTIC_CC_RUNTIME")


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("SEMANTIC_CC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_auto_takes_the_fast_one_and_says_so(
    fast: SemanticCC, shaken_folder: Path, auto: None, in_cache: Path
) -> None:
    model = SemanticCC.from_pretrained(shaken_folder)
    assert model.runtime.name == "openvino"
    assert model.note.startswith("runtime: openvino 20") and model.note.endswith("on the CPU")
    assert model.model.caption_decoder is not None  # the torch model is there when asked for


def test_auto_without_the_engine(shaken_folder: Path, auto: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "is_installed", lambda: False)
    model = SemanticCC.from_pretrained(shaken_folder)
    assert model.runtime.name == "torch"
    assert "openvino is not installed; pip install 'semantic-cc[openvino]'" in model.note
    with pytest.raises(InputError, match="cannot run this: openvino is not installed"):
        SemanticCC.from_pretrained(shaken_folder, runtime="openvino")


@pytest.mark.parametrize("options", [{"merge": False}, {"llm_dtype": "float32"}])
def test_other_forms_of_the_model_run_in_torch(
    options: dict, shaken_folder: Path, auto: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "is_installed", lambda: True)
    assert SemanticCC.from_pretrained(shaken_folder, **options).runtime.name == "torch"
    with pytest.raises(InputError, match="loaded in another form"):
        SemanticCC.from_pretrained(shaken_folder, runtime="openvino", **options)


def test_an_unknown_runtime_is_refused(shaken_folder: Path) -> None:
    with pytest.raises(InputError, match="no runtime 'abacus'; choose from auto, torch, openvino"):
        SemanticCC.from_pretrained(shaken_folder, runtime="abacus")


def test_the_variable_says_what_auto_means(shaken_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMANTIC_CC_RUNTIME", "abacus")
    with pytest.raises(InputError, match="SEMANTIC_CC_RUNTIME"):
        SemanticCC.from_pretrained(shaken_folder)
    monkeypatch.setenv("SEMANTIC_CC_RUNTIME", "torch")
    assert SemanticCC.from_pretrained(shaken_folder).runtime.name == "torch"


def test_a_full_disk_leaves_nothing_and_torch_goes_on(
    shaken_folder: Path, auto: None, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_engine()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(export, "_write_embeddings", full)
    model = SemanticCC.from_pretrained(shaken_folder)
    assert model.runtime.name == "torch"
    assert "openvino failed:" in model.note and "No space left on device" in model.note
    assert [path for path in own_cache.rglob("*") if path.is_file()] == []
    with pytest.raises(SemanticCCError, match=r"openvino failed: .*No space left.*use --runtime torch"):
        SemanticCC.from_pretrained(shaken_folder, runtime="openvino")


def test_a_cache_that_cannot_be_written(
    shaken_folder: Path, auto: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_engine()
    (tmp_path / "file").touch()
    monkeypatch.setenv("SEMANTIC_CC_CACHE", str(tmp_path / "file" / "cache"))
    model = SemanticCC.from_pretrained(shaken_folder)
    assert model.runtime.name == "torch"
    assert "cannot write to" in model.note


def test_a_filled_cache_is_only_read(
    fast: SemanticCC, shaken_folder: Path, in_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("semantic_cc.runtime.graph_cache.locked", None)
    monkeypatch.setattr("semantic_cc.runtime.graph_cache.new_folder", None)
    assert SemanticCC.from_pretrained(shaken_folder, runtime="openvino").runtime.name == "openvino"


def test_what_a_killed_export_left_is_removed(tmp_path: Path) -> None:
    target = tmp_path / "small-0123"
    left = tmp_path / ".small-0123-killed"
    left.mkdir(parents=True)
    (left / LANGUAGE).write_bytes(b"half")
    fill_once(target, lambda work: (work / LANGUAGE).write_bytes(b"whole") and None)
    assert (target / LANGUAGE).read_bytes() == b"whole"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small-0123"]


def test_two_processes_export_once(shaken_folder: Path, own_cache: Path) -> None:
    need_engine()
    code = (
        "import sys; from semantic_cc import SemanticCC; "
        "m = SemanticCC.from_pretrained(sys.argv[1], runtime='openvino', progress=lambda *a: print(a[1])); "
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", code, shaken_folder], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [run.communicate(timeout=300)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert sorted(bool(text) for text in outputs) == [False, True]
    (folder,) = (own_cache / "runtime").iterdir()
    assert {EMBEDDINGS, LANGUAGE, "vision-64x64.blob"} <= {path.name for path in folder.iterdir()}


def test_a_filled_cache_needs_no_torch(fast: SemanticCC, shaken_folder: Path, in_cache: Path) -> None:
    code = (
        "import sys, numpy as np; from semantic_cc import SemanticCC; "
        "m = SemanticCC.from_pretrained(sys.argv[1], runtime='openvino'); "
        "m.describe(*(np.full((64, 64, 3), v, np.uint8) for v in (10, 200))); "
        "print([name for name in ('torch', 'transformers', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, shaken_folder], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_model_that_has_no_graphs(captions_only_folder: Path, auto: None, own_cache: Path) -> None:
    """A model without masks is exported too; a method without a language model is not."""
    need_engine()
    model = SemanticCC.from_pretrained(captions_only_folder)
    assert model.runtime.name == "openvino"
    image = np.zeros((64, 64, 3), np.uint8)
    assert model.describe(image, image).mask is None
    shutil.rmtree(own_cache)


def test_the_language_model_computes_in_float32_on_a_cpu(
    shaken_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its weights keep their values, and a saved model their type."""
    original = serialization.load_pretrained

    def in_bfloat16(*given: Any, **options: Any) -> Any:
        model, info = original(*given, **options)
        assert model.llm is not None
        model.llm.to(torch.bfloat16).config.dtype = torch.bfloat16
        return model, info

    monkeypatch.setattr(serialization, "load_pretrained", in_bfloat16)
    loaded = SemanticCC.from_pretrained(shaken_folder, runtime="torch", device="cpu")
    llm = loaded.model.llm
    assert llm is not None and llm.dtype == torch.float32
    assert all(torch.equal(value, value.bfloat16().float()) for value in llm.parameters())
    loaded.save_pretrained(tmp_path / "merged", merge=True)
    with safe_open(tmp_path / "merged" / "llm" / "model.safetensors", "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.bfloat16}  # noqa: SIM118
    assert llm.dtype == torch.float32

"""What the torch runtime does on a GPU, as far as a CPU can show it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from semantic_cc import SemanticCC
from semantic_cc.errors import InputError
from semantic_cc.model.semantic_cc import SemanticCCModel
from semantic_cc.runtime.torch_runtime import GPU_PLACES, TorchRuntime, check_compiled

Build = Callable[..., SemanticCCModel]
GREEDY = {"decoding": "greedy", "llm": {"dtype": "bfloat16"}}


def pairs() -> tuple[np.ndarray, np.ndarray]:
    before, after = np.random.default_rng(0).integers(0, 256, (2, 3, 64, 64, 3), np.uint8)
    return before, after


def test_bfloat16_changes_the_masks_by_rounding_only(build: Build) -> None:
    runtime = TorchRuntime(build(GREEDY), torch.device("cpu"))
    exact = runtime.predict(*pairs())
    runtime.autocast = True
    found = runtime.predict(*pairs())
    assert found.class_probabilities.dtype == np.float32 and len(found.sentence) == 3
    assert not np.array_equal(found.class_probabilities, exact.class_probabilities)
    difference = np.abs(found.class_probabilities - exact.class_probabilities)
    assert difference.mean() < 0.02  # random weights enlarge rounding
    np.testing.assert_array_equal(runtime.predict_class_probabilities(*pairs()), found.class_probabilities)


def test_channels_last_changes_no_mask(build: Build) -> None:
    model = build(GREEDY)
    exact = TorchRuntime(model, torch.device("cpu")).predict_class_probabilities(*pairs())
    on_gpu = TorchRuntime(model, torch.device("cuda"))  # only its name: nothing is moved
    kernels = [part.weight for part in model.modules() if isinstance(part, torch.nn.Conv2d)]
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)
    assert on_gpu.autocast and on_gpu.place_batch == GPU_PLACES
    found = TorchRuntime(model, torch.device("cpu")).predict_class_probabilities(*pairs())
    np.testing.assert_allclose(found, exact, atol=1e-5)


def test_a_float32_language_model_keeps_all_in_float32(build: Build) -> None:
    assert not TorchRuntime(build({"llm": {"dtype": "float32"}}), torch.device("cuda")).autocast


def test_pairs_of_an_archive_are_batched_on_a_gpu_only(build: Build) -> None:
    model = build(GREEDY)
    on_gpu = TorchRuntime(model, torch.device("cuda"))
    assert [on_gpu.pair_batch(*size) for size in ((64, 64), (32, 64), (128, 64), (512, 512), (9999, 64))] == [
        GPU_PLACES, GPU_PLACES, GPU_PLACES // 2, 1, 1,
    ]  # fmt: skip
    assert TorchRuntime(model, torch.device("cpu")).pair_batch(64, 64) == 1


def test_compiled_decoding_needs_a_gpu_and_greedy_search(
    build: Build, shaken_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("semantic_cc.checkpoint.serialization.load_pretrained", None)  # is not reached
    with pytest.raises(InputError, match="compiled decoding needs a GPU, and the model is on cpu"):
        SemanticCC.from_pretrained(shaken_folder, "cpu", compiled=True)
    with pytest.raises(InputError, match="needs greedy search"):
        check_compiled(build({"decoding": "beam"}).config, torch.device("cuda"))
    with pytest.raises(InputError, match="torch cannot compile for cuda on this machine"):
        check_compiled(build(GREEDY).config, torch.device("cuda"))  # there is none


def test_compiled_decoding_has_static_caches(build: Build) -> None:
    model = build(GREEDY)
    TorchRuntime(model, torch.device("cuda"), compiled=True)
    before, after = (torch.rand(3, 3, 64, 64) for _ in range(2))
    assert len(model.predict(before, after).sentence) == 3 and model.caption_decoder.static_caches is not None

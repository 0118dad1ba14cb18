"""OpenVINO's settings, and loading of compiled graphs."""

from __future__ import annotations

import functools
import importlib.util
import os
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from semantic_cc.errors import SemanticCCError, one_line

PACKAGES = ("openvino", "nncf")
"""What the extra `openvino` installs."""


def is_installed() -> bool:
    """Whether the engine and its weight compression are installed; imports neither."""
    return all(importlib.util.find_spec(name) is not None for name in PACKAGES)


def engine_name() -> str:
    """The engine's version."""
    return f"openvino {metadata.version('openvino')}"


@functools.cache
def _core() -> Any:
    import openvino as ov

    return ov.Core()


def processor() -> str:
    """The processor and what it can do: compiled graphs are for one kind."""
    core = _core()
    abilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return f"{core.get_property('CPU', 'FULL_DEVICE_NAME')} {' '.join(sorted(abilities))}"


def has_bfloat16() -> bool:
    """Whether the processor computes in bfloat16."""
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _settings() -> dict[str, str]:
    threads = os.environ.get("OMP_NUM_THREADS", "")
    limit = {"INFERENCE_NUM_THREADS": threads} if threads.isdigit() else {}
    return {"PERFORMANCE_HINT": "LATENCY", **limit}


def _language_settings() -> dict[str, str]:
    # activations are quantised in groups of 32 for the int8 products; the cache is rounded to float16
    return {
        **_settings(),
        "INFERENCE_PRECISION_HINT": "f32",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": "32",
        "KV_CACHE_PRECISION": "f16",
    }


def _vision_settings() -> dict[str, str]:
    return {**_settings(), "INFERENCE_PRECISION_HINT": "bf16" if has_bfloat16() else "f32"}


def compile_language(graph: Any) -> Any:
    """Compiles a graph of `export_language_model`."""
    return _core().compile_model(graph, "CPU", _language_settings())


def compile_vision(graph: Any) -> Any:
    """Compiles a graph of `export_vision_part`, in bfloat16 where the CPU computes in it."""
    return _core().compile_model(graph, "CPU", _vision_settings())


class LoadedGraph:
    """A compiled graph whose weights are mapped from its file, not read.

    Args:
        path: what `export_model` of a compiled graph gave.
        settings: of the engine.

    Raises:
        SemanticCCError: the file is damaged.
    """

    def __init__(self, path: Path, settings: dict[str, str]) -> None:
        import openvino as ov

        try:
            self._mapped = np.memmap(path, np.uint8, mode="c")  # the compiled graph does not keep it alive
            tensor = ov.Tensor(self._mapped, shared_memory=True)
            self._request = _core().import_model(tensor, "CPU", settings).create_infer_request()
        except (OSError, ValueError, RuntimeError) as error:
            raise SemanticCCError(
                f"{path} is damaged ({one_line(error)}); delete {path.parent}, it is made again"
            ) from error
        self.outputs = [name for port in self._request.model_outputs for name in port.get_names()]
        """Names of the outputs."""

    def run(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Computes the outputs; they are overwritten by the next run."""
        self._request.infer(inputs, share_inputs=True)
        return {name: self._request.get_tensor(name).data for name in self.outputs}

    def reset(self) -> None:
        """Empties the state."""
        self._request.reset_state()


def load_language(path: Path) -> LoadedGraph:
    """Loads a compiled language model."""
    return LoadedGraph(path, _language_settings())


def load_vision(path: Path) -> LoadedGraph:
    """Loads a compiled vision part."""
    return LoadedGraph(path, _vision_settings())

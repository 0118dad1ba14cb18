"""OpenVINO's settings, and loading of compiled graphs."""

from __future__ import annotations

import functools
import importlib.util
import mmap
import os
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from semantic_cc.errors import SemanticCCError, one_line


def is_installed() -> bool:
    """Whether the engine is installed; does not import it."""
    return importlib.util.find_spec("openvino") is not None


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
    """For graphs in float32: bfloat16 is only where a graph has it, see `export_language_model`.

    Activations rounded to bfloat16 or int8 everywhere are faster, and change masks and sentences
    (docs/performance.md).
    """
    threads = os.environ.get("OMP_NUM_THREADS", "")
    limit = {"INFERENCE_NUM_THREADS": threads} if threads.isdigit() else {}
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
        "KV_CACHE_PRECISION": "f16",
        **limit,
    }


def compile_graph(graph: Any) -> Any:
    """Compiles a graph of `export_language_model` or `export_vision_part`."""
    return _core().compile_model(graph, "CPU", _settings())


class LoadedGraph:
    """A compiled graph whose weights are mapped from its file, not read.

    The first run packs them into memory of the engine's own. Then the pages of the file are released, so that the
    weights are not held twice; the few that are read again are mapped again.

    Args:
        path: what `export_model` of a compiled graph gave.

    Raises:
        SemanticCCError: the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        import openvino as ov

        try:
            self._mapped = np.memmap(path, np.uint8, mode="c")  # the compiled graph does not keep it alive
            tensor = ov.Tensor(self._mapped, shared_memory=True)
            self._request = _core().import_model(tensor, "CPU", _settings()).create_infer_request()
        except (OSError, ValueError, RuntimeError) as error:
            raise SemanticCCError(
                f"{path} is damaged ({one_line(error)}); delete {path.parent}, and it is made again"
            ) from error
        self.outputs = [name for port in self._request.model_outputs for name in port.get_names()]
        """Names of the outputs."""
        self._has_run = False

    def run(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Computes the outputs; they are overwritten by the next run."""
        self._request.infer(inputs, share_inputs=True)
        if not self._has_run:
            self._has_run = True
            self._release_file()
        return {name: self._request.get_tensor(name).data for name in self.outputs}

    def reset(self) -> None:
        """Empties the state."""
        self._request.reset_state()

    def _release_file(self) -> None:
        if hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
            self._mapped._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]

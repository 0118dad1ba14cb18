"""Chooses a runtime for a model, and loads it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from semantic_cc.checkpoint.model_info import ModelInfo, check_foundations, find_model, read_info
from semantic_cc.compute_device import find_device, has_gpu
from semantic_cc.errors import InputError, SemanticCCError, one_line
from semantic_cc.foundation.llm_files import llm_digest
from semantic_cc.progress import Advance
from semantic_cc.runtime.engine import engine_name, is_installed, processor
from semantic_cc.runtime.graph_cache import fill_once, graph_folder
from semantic_cc.runtime.interface import RUNTIMES, Runtime, RuntimeName

if TYPE_CHECKING:
    from semantic_cc.checkpoint.device_map import DeviceMap
    from semantic_cc.foundation.llm import LLMType
    from semantic_cc.model.base import ChangeModel

EXTRA = "pip install 'semantic-cc[openvino]'"


VARIABLE = "SEMANTIC_CC_RUNTIME"
"""Environment variable with the runtime that auto means."""


@dataclass(frozen=True)
class LoadOptions:
    """How a model is loaded; the attributes are those of `SemanticCC.from_pretrained`."""

    merge: bool = True
    allow_foundation_mismatch: bool = False
    llm_dtype: LLMType | None = None
    llm_device_map: DeviceMap | None = None
    compiled: bool = False


@dataclass(frozen=True)
class LoadedModel:
    """A model that is ready to run.

    Attributes:
        runtime: runs it.
        info: the checkpoint.
        load_model: loads its torch model; of the torch runtime, returns the one that runs.
        note: which runtime auto chose, and why, in one line; empty where the runtime was named.
    """

    runtime: Runtime
    info: ModelInfo
    load_model: Callable[[], ChangeModel]
    note: str


def load_runtime(
    name: str | Path,
    device: str | None = None,
    runtime: RuntimeName = "auto",
    options: LoadOptions | None = None,
    progress: Advance | None = None,
) -> LoadedModel:
    """Loads a model.

    Args:
        name: a packaged model's name, a folder, or a Hub id.
        device: as in `SemanticCC.from_pretrained`.
        runtime: which runtime; auto = the one of `VARIABLE`, else openvino if it can run the model here, else torch.
        options: how the model is loaded.
        progress: called with (step, done, of all) while graphs are exported.

    Raises:
        InputError: there is no such runtime or device, or openvino was asked for and cannot run the model.
        CheckpointError, FoundationWeightsError: as `load_pretrained`.
        SemanticCCError: openvino was asked for and failed.
    """
    if runtime == "auto":
        runtime = _named(os.environ.get(VARIABLE) or "auto", f" (${VARIABLE})")
    runtime = _named(runtime)
    options = options or LoadOptions()
    if device is not None and device != "cpu":
        find_device(device)  # before the slow part
    if runtime == "torch":
        return _with_torch(name, device, options)
    folder = find_model(name)
    info, merged = read_info(folder)
    reason = _not_for_openvino(info, device, options)
    if reason is None:
        try:
            loaded = _with_openvino(folder, info, merged, options, progress)
            return replace(loaded, note=loaded.note if runtime == "auto" else "")
        except _EngineError as error:
            if runtime == "openvino":
                raise SemanticCCError(f"the runtime openvino failed: {error}; use --runtime torch") from error
            return _with_torch(name, device, options, f"openvino failed: {error}")
    if runtime == "openvino":
        raise InputError(f"the runtime openvino cannot run this: {reason}; use --runtime torch")
    return _with_torch(name, device, options, reason)


def _named(name: str, where: str = "") -> RuntimeName:
    for known in RUNTIMES:
        if name == known:
            return known
    raise InputError(f"no runtime {name!r}{where}; choose from {', '.join(RUNTIMES)}")


class _EngineError(Exception):
    """The engine cannot run the model; the message says why."""


def _not_for_openvino(info: ModelInfo, device: str | None, options: LoadOptions) -> str | None:
    """Why the torch runtime must run the model; None = openvino can."""
    config = info.config
    if options.compiled:
        return "compiled decoding is torch's"
    if device not in (None, "cpu") or (device is None and has_gpu()):
        return "the model runs on a GPU"
    if not options.merge or options.llm_dtype is not None or options.llm_device_map is not None:
        return "the adapters or the language model are loaded in another form"
    if config.method != "semantic-cc":
        return f"the method {config.method} has no graphs"
    if set(info.foundation) - {"llm"}:
        return "it reads foundation weights besides the language model"
    return None if is_installed() else f"openvino is not installed; {EXTRA}"


def _with_torch(name: str | Path, device: str | None, options: LoadOptions, reason: str = "") -> LoadedModel:
    from semantic_cc.checkpoint.serialization import load_pretrained
    from semantic_cc.runtime.torch_runtime import TorchRuntime, check_compiled

    chosen = find_device(device)
    if options.compiled:  # before the slow part
        check_compiled(read_info(find_model(name))[0].config, chosen)
    model, info = load_pretrained(
        name,
        merge=options.merge,
        allow_foundation_mismatch=options.allow_foundation_mismatch,
        llm_dtype=options.llm_dtype,
    )
    if options.llm_device_map is None:
        model.to(chosen)
        if chosen.type == "cpu" and options.llm_dtype is None and model.llm is not None:
            model.llm.float()  # the same weights; rounding to bfloat16 between layers decides 1 of 10 sentences
    else:
        from semantic_cc.checkpoint.device_map import spread_llm

        spread_llm(model, chosen, options.llm_device_map)
    note = f"runtime: torch on {chosen} ({reason})" if reason else ""
    return LoadedModel(TorchRuntime(model, chosen, options.compiled), info, lambda: model, note)


def _with_openvino(
    folder: Path, info: ModelInfo, merged: bool, options: LoadOptions, progress: Advance | None
) -> LoadedModel:
    llm = "" if merged else llm_digest(info.config.llm)
    if not merged:
        info = check_foundations(info, {"llm": llm}, folder, allow_mismatch=options.allow_foundation_mismatch)

    def load_model() -> ChangeModel:
        from semantic_cc.checkpoint.serialization import load_pretrained

        return load_pretrained(folder, allow_foundation_mismatch=options.allow_foundation_mismatch)[0]

    def export(work: Path) -> None:
        from semantic_cc.runtime.export import export_model

        export_model(load_model(), work, progress)

    from semantic_cc.runtime.openvino_runtime import OpenVinoRuntime

    engine = engine_name()
    try:
        graphs = graph_folder(info, llm, f"{engine} {processor()}")
        fill_once(graphs, export)
        runtime = OpenVinoRuntime(graphs, info.config, load_model)
    except Exception as error:  # whatever the engine raises: the torch runtime can take over
        if isinstance(error, SemanticCCError) and not isinstance(error, OSError):
            raise
        raise _EngineError(one_line(error)) from error
    return LoadedModel(runtime, info, load_model, f"runtime: {engine} on the CPU")

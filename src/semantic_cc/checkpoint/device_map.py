"""Distributes a language model that is too large for one device over several GPUs, the CPU and the disk."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch

from semantic_cc.errors import InputError
from semantic_cc.model.base import ChangeModel

DeviceMap = Literal["auto"] | Mapping[str, Any]
"""Module of the LLM -> device (0, "cpu", "disk", ...), in accelerate's form; auto = by available memory."""


def spread_llm(model: ChangeModel, device: torch.device, device_map: DeviceMap) -> None:
    """Moves the LLM's layers to the devices of `device_map` and the rest to `device`. For inference only.

    Args:
        model: with merged adapters; changed in place.
        device: of encoder, neck and decoders.
        device_map: of the LLM. Layers on "disk" are stored in a temporary folder until the process ends.

    Raises:
        InputError: the map names an unknown module or device, the adapters are not merged, or there is no LLM.
    """
    from accelerate import dispatch_model, infer_auto_device_map

    decoder, llm = model.caption_decoder, model.llm
    if llm is None:
        raise InputError(
            f"the method {model.config.method} has no language model to spread over devices; leave llm_device_map out"
        )
    if any("lora_" in name for name, _ in llm.named_parameters()):
        raise InputError(
            "a language model can be spread over devices only with its adapters merged; leave llm_dtype out"
        )
    del decoder.llm
    model.to(device)
    decoder.llm = llm
    try:
        chosen: Mapping[str, Any] = (
            infer_auto_device_map(llm, no_split_module_classes=llm._no_split_modules)
            if isinstance(device_map, str)
            else device_map
        )
        dispatch_model(llm, dict(chosen), offload_dir=_offload_folder(chosen))
    except (ValueError, RuntimeError, KeyError, AssertionError) as error:  # torch asserts CUDA support
        raise InputError(
            f"llm_device_map does not fit the model: {' '.join(str(error).split())[:200]}"
        ) from error


_folders: list[tempfile.TemporaryDirectory[str]] = []  # deleted at exit


def _offload_folder(device_map: Mapping[str, Any]) -> Path | None:
    if "disk" not in device_map.values():
        return None
    _folders.append(tempfile.TemporaryDirectory(prefix="semantic-cc-"))
    return Path(_folders[-1].name)

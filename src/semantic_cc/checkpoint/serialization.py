"""Checkpoints in the Hugging Face layout: config.json, model.safetensors, README.md (the model card).

A checkpoint contains only the weights trained here. config.json names the foundation weights and their accepted
digests. A merged checkpoint contains all weights; its folder llm is the language model, in the same layout.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from semantic_cc.checkpoint.build import build_model, merge_lora, unfilled
from semantic_cc.checkpoint.config_file import CheckpointConfig, FoundationRecord
from semantic_cc.checkpoint.migrate import migrate_tensors
from semantic_cc.checkpoint.model_card import model_card
from semantic_cc.checkpoint.model_info import LLM, ModelInfo, check_foundations, find_model, read_info
from semantic_cc.checkpoint.stored_parameters import (
    FROZEN,
    as_stored,
    foundation_parts,
    is_adapted,
    own_parameter,
    without_weights,
)
from semantic_cc.errors import CheckpointError, InputError, OutputError
from semantic_cc.foundation.catalogue import official
from semantic_cc.foundation.llm import LLMType, load_llm
from semantic_cc.model.base import ChangeModel


def save_pretrained(
    model: ChangeModel,
    folder: str | Path,
    *,
    name: str,
    training: Mapping[str, object] | None = None,
    dtype: torch.dtype = torch.float32,
    merge: bool = False,
) -> Path:
    """Writes a checkpoint; the folder is created or replaced atomically.

    Args:
        model: with its adapters, not merged.
        folder: the checkpoint's folder; a model in it is replaced.
        name: the model's name.
        training: facts of the training, plain JSON values for config.json and the model card.
        dtype: type of the stored weights.
        merge: merge the adapters into the foundation weights and store all weights. `model` is merged in place if it
            is not merged yet. The language model keeps its type.

    Raises:
        OutputError: the folder cannot be written, or contains files that are not a model's.
        InputError: `merge` with a quantised language model.
        ValueError: the adapters are already merged and `merge` is off, so they would be lost.
    """
    folder = Path(folder)
    foreign = _foreign(folder)
    if foreign:
        raise OutputError(
            f"cannot write the model to {folder}: it would replace {foreign}; name a new folder"
        )
    if merge:
        merge_lora(model)
        if any("lora_" in key for key in model.state_dict()):
            raise InputError(
                "adapters cannot be merged into int8 or int4 weights; load the model without llm_dtype"
            )
    config = as_stored(model.config)
    belongs = _not_llm if merge else own_parameter(config)
    tensors = {
        key: value.detach().to("cpu", dtype).contiguous()
        for key, value in model.state_dict().items()
        if belongs(key)
    }
    if not merge and is_adapted(config) and not any("lora_" in key for key in tensors):
        raise ValueError("the adapters are merged into the base weights; save the model before merging")
    content = CheckpointConfig(
        name,
        merge,
        without_weights(config) if merge else config,
        {
            part: FoundationRecord(weights, tuple(official(model.foundation[part])))
            for part, weights in foundation_parts(config).items()
        },
        training or {},
    )
    parameters = sum(value.numel() for value in tensors.values())
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    except OSError as error:
        raise OutputError(
            f"cannot write the model to {folder}: {error.strerror}; choose another folder"
        ) from error
    try:
        save_file(tensors, work / "model.safetensors", metadata={"format": "pt"})
        if merge and model.llm is not None:
            parameters += model.llm.num_parameters()
            _save_llm(model.llm, work / LLM)
            model.caption_decoder.prompter.tokenizer.save_pretrained(work / LLM)
        for path in work.rglob("*.safetensors"):
            path.chmod(0o644)  # safetensors creates files that only the owner can read
        (work / "config.json").write_text(content.to_json())
        (work / "README.md").write_text(model_card(content, parameters))
        work.chmod(0o755)
        _replace(folder, work)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"cannot write the model to {folder}: {error}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def _replace(folder: Path, work: Path) -> None:
    """Moves `work` to `folder`, then deletes the old `folder`."""
    if not folder.exists():
        work.rename(folder)
        return
    aside = work.with_name(f"{work.name}-replaced")
    folder.rename(aside)
    try:
        work.rename(folder)
    except OSError:
        aside.rename(folder)
        raise
    shutil.rmtree(aside)


def _save_llm(llm: PreTrainedModel, folder: Path) -> None:
    """Writes a language model in the type that it was loaded in; on a CPU it may compute in float32."""
    computes, stored = llm.dtype, llm.config.dtype
    if stored is None or stored == computes:
        llm.save_pretrained(folder)
        return
    llm.to(stored).save_pretrained(folder)
    llm.to(computes)
    llm.config.dtype = stored


def _not_llm(name: str) -> bool:
    return not name.startswith(FROZEN["llm"])


def _foreign(folder: Path) -> Path | None:
    """A path in `folder` that is not a file of a model; None if there is none."""
    if not folder.is_dir():
        return folder if folder.exists() else None
    ours = ("config.json", "model.safetensors", "README.md", LLM)
    return next((path for path in sorted(folder.iterdir()) if path.name not in ours), None)


def load_pretrained(
    name: str | Path,
    *,
    merge: bool = True,
    allow_foundation_mismatch: bool = False,
    llm_dtype: LLMType | None = None,
) -> tuple[ChangeModel, ModelInfo]:
    """Loads a packaged model by name, a checkpoint folder, or a model of the Hugging Face Hub; in eval mode.

    Args:
        name: small, a folder that `save_pretrained` wrote, or a Hub id such as someone/model.
        merge: merge the adapters into their base layers, for faster inference.
        allow_foundation_mismatch: accept other foundation weights, with a note.
        llm_dtype: type of the language model's weights; None = its own. int8 and int4 save memory; their adapters
            are not merged.

    Raises:
        CheckpointError: the model is missing, corrupt or does not match its configuration, or the foundation weights
            are not accepted ones.
        FoundationWeightsError: foundation weights are not found.
    """
    folder = find_model(name)
    info, merged = read_info(folder)
    config = info.config
    try:
        tensors = migrate_tensors(load_file(folder / "model.safetensors"))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{folder}/model.safetensors is missing or corrupt: {error}; copy the model again"
        ) from error
    # the merged model's folder has the kept layers only
    stored = replace(config.llm, name=str(folder / LLM), layers=()) if merged else config.llm
    llm = load_llm(stored, llm_dtype) if config.has_llm else None
    with unfilled():
        model = build_model(config, llm=llm, adapters=not merged)
    if not merged:
        info = check_foundations(info, model.foundation, folder, allow_mismatch=allow_foundation_mismatch)
    _load(model, tensors, folder, _not_llm if merged else own_parameter(config))
    if merge and not merged:
        merge_lora(model)
    return model.eval(), info


def _load(
    model: ChangeModel, tensors: dict[str, torch.Tensor], folder: Path, own: Callable[[str], bool]
) -> None:
    state = model.state_dict()
    wanted = {key for key in state if own(key)}
    problems = [f"{key} is missing" for key in sorted(wanted - set(tensors))]
    problems += [f"{key} is unknown" for key in sorted(set(tensors) - wanted)]
    problems += [
        f"{key} is {tuple(tensors[key].shape)}, the model needs {tuple(state[key].shape)}"
        for key in sorted(wanted & set(tensors))
        if tensors[key].shape != state[key].shape
    ]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise CheckpointError(
            f"{folder} does not fit its configuration: {problems[0]}{more}; copy the model again"
        )
    model.load_state_dict(tensors, strict=False)

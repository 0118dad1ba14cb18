"""Checkpoints in the Hugging Face layout: config.json, model.safetensors, README.md (the model card).

They hold only what we trained; the configuration names the foundation weights with accepted digests. A merged
one holds everything: the folder llm is its language model, in the same layout.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from semantic_cc.checkpoint.build import build_model, merge_lora, unfilled
from semantic_cc.checkpoint.hub import download_model, is_hub_id
from semantic_cc.checkpoint.migrate import FORMAT, migrate_config, migrate_tensors
from semantic_cc.checkpoint.model_card import model_card
from semantic_cc.checkpoint.stored_parameters import (
    FROZEN,
    as_stored,
    foundation_parts,
    is_adapted,
    own_parameter,
    without_weights,
)
from semantic_cc.config import ModelConfig, parse, to_dict
from semantic_cc.errors import CheckpointError, ConfigError, InputError, OutputError
from semantic_cc.foundation import digest_of, load_llm
from semantic_cc.foundation.catalogue import official
from semantic_cc.foundation.llm import LLMType
from semantic_cc.model.base import ChangeModel

LLM = "llm"
"""Folder of a merged model's language model."""


@dataclass(frozen=True)
class ModelInfo:
    """What a checkpoint says of itself.

    Attributes:
        name: its name, for example small.
        digest: sha256 of model.safetensors; of a merged model, of that and its language model's files.
        config: sizes.
        foundation: the foundation weights it was trained against.
        training: how it was trained.
        notes: what was migrated, and foundation weights that are not the accepted ones, for people.
    """

    name: str
    digest: str
    config: ModelConfig
    foundation: dict[str, Any]
    training: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def save_pretrained(
    model: ChangeModel,
    folder: str | Path,
    *,
    name: str,
    training: dict[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
    merge: bool = False,
) -> Path:
    """Writes the checkpoint; the folder appears, or changes, whole or not at all.

    Args:
        model: with its adapters, not merged.
        folder: where to.
        name: the model's name.
        training: facts of the training run, for config.json and the model card.
        dtype: type of the stored weights.
        merge: write everything, the adapters merged into the base weights, foundation weights included. `model`
            may be merged already; else it is now. The language model keeps its own type.

    Raises:
        OutputError: the place cannot be written, or holds something else than a model.
        InputError: `merge`, and the language model is quantised.
        ValueError: the adapters were merged, and without `merge` they would be lost.
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
    content = {
        "format": FORMAT,
        "name": name,
        "merged": merge,
        "model": to_dict(without_weights(config) if merge else config),
        "foundation": {
            part: {"name": named, "accepted_digests": list(official(model.foundation[part]))}
            for part, named in foundation_parts(config).items()
        },
        "training": training or {},
    }
    parameters = sum(value.numel() for value in tensors.values())
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    except OSError as error:
        raise OutputError(f"cannot write the model to {folder}: {error.strerror}") from error
    try:
        save_file(tensors, work / "model.safetensors", metadata={"format": "pt"})
        if merge and model.llm is not None:
            parameters += model.llm.num_parameters()
            model.llm.save_pretrained(work / LLM)
            model.caption_decoder.prompter.tokenizer.save_pretrained(work / LLM)
        for path in work.rglob("*.safetensors"):
            path.chmod(0o644)  # safetensors makes private files
        (work / "config.json").write_text(json.dumps(content, indent=2) + "\n")
        (work / "README.md").write_text(model_card(content, parameters))
        work.chmod(0o755)
        _replace(folder, work)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"cannot write the model to {folder}: {error}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def _replace(folder: Path, work: Path) -> None:
    """Puts `work` in the place of `folder`, which is deleted only when the new one stands there."""
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


def _not_llm(name: str) -> bool:
    return not name.startswith(FROZEN["llm"])


def _foreign(folder: Path) -> Path | None:
    """Something at `folder` that is not of our making, None where there is nothing of the kind."""
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
    """A shipped model by name, one in a folder, or one on the hub; in eval mode.

    Args:
        name: small, a folder that `save_pretrained` wrote, or a hub id such as someone/model.
        merge: fold the adapters into their base layers, for faster inference; a merged model is so already.
        allow_foundation_mismatch: go on with other foundation weights than the accepted, with a note.
        llm_dtype: type of the language model's weights, instead of its own: less memory with int8 or int4, whose
            adapters stay apart.

    Raises:
        CheckpointError: missing, corrupt, of another shape, or foundation weights that are not the accepted.
        FoundationWeightsError: foundation weights are nowhere to be found.
    """
    folder = _folder(name)
    content = _read_config(folder)
    try:
        migrated = migrate_config(content)
        content, notes = migrated.content, migrated.notes
        merged = content["merged"]
        config = parse(ModelConfig, content["model"])
        info = ModelInfo(
            name=content["name"],
            digest=digest_of([folder / "model.safetensors", *_llm_files(folder, merged)]),
            config=config,
            foundation=content["foundation"],
            training=content.get("training", {}),
            notes=notes,
        )
        accepted = {part: list(entry["accepted_digests"]) for part, entry in info.foundation.items()}
        if config.has_llm and "llm" not in accepted:
            raise KeyError("llm")
        tensors = migrate_tensors(load_file(folder / "model.safetensors"))
    except ConfigError as error:
        raise CheckpointError(f"{folder}/config.json is not a Semantic-CC configuration: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{folder}/config.json is not a Semantic-CC configuration: {error} is missing or wrong"
        ) from error
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{folder}/model.safetensors is missing or corrupt: {error}") from error
    stored = replace(config.llm, name=str(folder / LLM)) if merged else config.llm
    llm = load_llm(stored, llm_dtype) if config.has_llm else None
    with unfilled():
        model = build_model(config, llm=llm, adapters=not merged)
    if not merged:
        strange = _strange_foundations(model, info, accepted)
        if strange and not allow_foundation_mismatch:
            raise CheckpointError(f"{folder} {strange[0]}; --allow-foundation-mismatch goes on all the same")
        info = replace(info, notes=(*notes, *(f"{info.name} {text}" for text in strange)))
    _load(model, tensors, folder, _not_llm if merged else own_parameter(config))
    if merge and not merged:
        merge_lora(model)
    return model.eval(), info


def _strange_foundations(model: ChangeModel, info: ModelInfo, accepted: dict[str, list[str]]) -> list[str]:
    return [
        f"was trained on a {info.foundation[part]['name']} with sha256 {' or '.join(digests)}, "
        f"here is {model.foundation.get(part)}"
        for part, digests in accepted.items()
        if digests and model.foundation.get(part) not in digests
    ]


def _llm_files(folder: Path, merged: bool) -> list[Path]:
    return sorted((folder / LLM).glob("*.safetensors")) if merged else []


def _folder(name: str | Path) -> Path:
    given = Path(name)
    if given.is_dir():
        return given
    shipped = Path(str(resources.files("semantic_cc") / "pretrained"))
    if given.name == str(name) and (shipped / given.name).is_dir():
        return shipped / given.name
    names = sorted(p.name for p in shipped.iterdir() if p.is_dir()) if shipped.is_dir() else []
    if is_hub_id(str(name)):
        return download_model(str(name))
    raise CheckpointError(
        f"no model {str(name)!r}: give a model folder, a hub id, or one of the shipped names ({', '.join(names)})"
    )


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise CheckpointError(f"{folder} is not a model folder: config.json: {error.strerror}") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("format"), int):
        raise CheckpointError(f"{path} is not a Semantic-CC configuration")
    if not 1 <= content["format"] <= FORMAT:
        raise CheckpointError(
            f"{path} is of format {content['format']}, this version reads formats 1 to {FORMAT}; update semantic-cc"
        )
    return content


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
        raise CheckpointError(f"{folder} does not fit its configuration: {problems[0]}{more}")
    model.load_state_dict(tensors, strict=False)

"""Checkpoints in the Hugging Face layout: config.json, model.safetensors, README.md (the model card).

They hold only what we trained; the configuration names the foundation weights with accepted digests.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from semantic_cc.config import ModelConfig, parse, to_dict
from semantic_cc.errors import CheckpointError, ConfigError, OutputError
from semantic_cc.model.build import build_model, merge_lora
from semantic_cc.model.semantic_cc import SemanticCCModel
from semantic_cc.model.weights import FOUNDATIONS, digest_of, load_llm

FORMAT = 1
"""Version of config.json."""


@dataclass(frozen=True)
class ModelInfo:
    """What a checkpoint says of itself.

    Attributes:
        name: its name, for example small.
        digest: sha256 of model.safetensors.
        config: sizes.
        foundation: the foundation weights it was trained against.
        training: how it was trained.
    """

    name: str
    digest: str
    config: ModelConfig
    foundation: dict[str, Any]
    training: dict[str, Any] = field(default_factory=dict)


def own_parameter(config: ModelConfig) -> Callable[[str], bool]:
    """Whether a tensor of that name belongs in the checkpoint: all but what foundation weights give."""

    def own(name: str) -> bool:
        if "lora_" in name:
            return True
        if name.startswith("caption_decoder.llm."):
            return False
        given_sam = config.encoder.weights is not None and config.encoder.adapt == "lora"
        return not (name.startswith("encoder.vision.") and given_sam)

    return own


def save_pretrained(
    model: SemanticCCModel,
    folder: str | Path,
    *,
    name: str,
    training: dict[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
) -> Path:
    """Writes the checkpoint; the folder appears, or changes, whole or not at all.

    Args:
        model: with its adapters, not merged.
        folder: where to.
        name: the model's name.
        training: facts of the training run, for config.json and the model card.
        dtype: type of the stored weights.

    Raises:
        OutputError: the place cannot be written, or holds something else than a model.
        ValueError: the adapters were merged: they would be lost.
    """
    folder = Path(folder)
    foreign = _foreign(folder)
    if foreign:
        raise OutputError(
            f"cannot write the model to {folder}: it would replace {foreign}; name a new folder"
        )
    own = own_parameter(model.config)
    tensors = {
        key: value.detach().to("cpu", dtype).contiguous()
        for key, value in model.state_dict().items()
        if own(key)
    }
    if not any("lora_" in key for key in tensors):
        raise ValueError("the adapters are merged into the base weights; save the model before merging")
    llm = model.config.llm.name
    known = FOUNDATIONS.get(llm)
    config = to_dict(model.config)
    if model.config.encoder.adapt == "full":
        config["encoder"]["weights"] = None  # only a start: all of the encoder is in the checkpoint
    content = {
        "format": FORMAT,
        "name": name,
        "model": config,
        "foundation": {"llm": {"name": llm, "accepted_digests": list(known.digests) if known else []}},
        "training": training or {},
    }
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    except OSError as error:
        raise OutputError(f"cannot write the model to {folder}: {error.strerror}") from error
    try:
        save_file(tensors, work / "model.safetensors", metadata={"format": "pt"})
        (work / "model.safetensors").chmod(0o644)  # safetensors makes a private file
        (work / "config.json").write_text(json.dumps(content, indent=2) + "\n")
        (work / "README.md").write_text(_model_card(content, sum(t.numel() for t in tensors.values())))
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


def _foreign(folder: Path) -> Path | None:
    """Something at `folder` that is not of our making, None where there is nothing of the kind."""
    if not folder.is_dir():
        return folder if folder.exists() else None
    ours = ("config.json", "model.safetensors", "README.md")
    return next((path for path in sorted(folder.iterdir()) if path.name not in ours), None)


def load_pretrained(name: str | Path, *, merge: bool = True) -> tuple[SemanticCCModel, ModelInfo]:
    """A shipped model by name, or one in a folder; in eval mode.

    Args:
        name: small, or a folder that `save_pretrained` wrote.
        merge: fold the adapters into their base layers, for faster inference.

    Raises:
        CheckpointError: missing, corrupt, of another shape, or foundation weights that are not the accepted.
    """
    folder = _folder(name)
    content = _read_config(folder)
    try:
        config = parse(ModelConfig, content["model"])
        info = ModelInfo(
            name=content["name"],
            digest=digest_of([folder / "model.safetensors"]),
            config=config,
            foundation=content["foundation"],
            training=content.get("training", {}),
        )
        accepted = info.foundation["llm"]["accepted_digests"]
        tensors = load_file(folder / "model.safetensors")
    except ConfigError as error:
        raise CheckpointError(f"{folder}/config.json is not a Semantic-CC configuration: {error}") from error
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"{folder}/config.json is not a Semantic-CC configuration: {error} is missing or wrong"
        ) from error
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{folder}/model.safetensors is missing or corrupt: {error}") from error
    llm = load_llm(config.llm)
    if accepted and llm.digest not in accepted:
        raise CheckpointError(
            f"{folder} was trained on a {config.llm.name} with sha256 {accepted}, here is {llm.digest}"
        )
    model = build_model(config, llm=llm)
    _load(model, tensors, folder)
    if merge:
        merge_lora(model)
    return model.eval(), info


def _folder(name: str | Path) -> Path:
    given = Path(name)
    if given.is_dir():
        return given
    shipped = Path(str(resources.files("semantic_cc") / "weights"))
    if given.name == str(name) and (shipped / given.name).is_dir():
        return shipped / given.name
    names = sorted(p.name for p in shipped.iterdir() if p.is_dir()) if shipped.is_dir() else []
    raise CheckpointError(
        f"no model {str(name)!r}: give a model folder or one of the shipped names ({', '.join(names)})"
    )


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise CheckpointError(f"{folder} is not a model folder: config.json: {error.strerror}") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a Semantic-CC configuration of format {FORMAT}")
    return content


def _load(model: SemanticCCModel, tensors: dict[str, torch.Tensor], folder: Path) -> None:
    own = own_parameter(model.config)
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


def _model_card(content: dict[str, Any], parameters: int) -> str:
    training = content["training"]
    facts = "\n".join(f"- {key}: {value}" for key, value in training.items()) or "- not recorded"
    return f"""---
license: apache-2.0
tags: [remote-sensing, change-captioning, change-detection]
---
# Semantic-CC {content["name"]}

Two images of one place in; a sentence that says what changed and a mask of where out.
{parameters:,} weights of its own; the language model is {content["foundation"]["llm"]["name"]}, not included.

## Training

{facts}

## Use

```python
from semantic_cc import SemanticCC

print(SemanticCC.from_pretrained("{content["name"]}").describe("before.png", "after.png").sentence)
```
"""

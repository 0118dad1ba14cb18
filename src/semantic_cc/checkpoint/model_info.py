"""Finds a checkpoint and reads all but its tensors. Importing this module does not load torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path

from semantic_cc.checkpoint.config_file import FoundationRecord, read_config
from semantic_cc.checkpoint.hub import download_model, is_hub_id
from semantic_cc.config import ModelConfig
from semantic_cc.errors import CheckpointError
from semantic_cc.files import digest_of

LLM = "llm"
"""Folder of a merged model's language model."""


@dataclass(frozen=True)
class ModelInfo:
    """The description of a loaded checkpoint.

    Attributes:
        name: its name, for example small.
        digest: sha256 of model.safetensors; for a merged model, of that and its language model's files.
        config: sizes.
        foundation: part (encoder, qformer, llm) -> the foundation weights of the training.
        training: facts of the training, plain JSON values.
        notes: lines for users: migration steps, and foundation weights other than the accepted ones.
    """

    name: str
    digest: str
    config: ModelConfig
    foundation: Mapping[str, FoundationRecord]
    training: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def find_model(name: str | Path) -> Path:
    """The folder of a checkpoint: `name` itself, a packaged model by name, or a download from the Hub.

    Raises:
        CheckpointError: there is no such model.
    """
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


def read_info(folder: Path) -> tuple[ModelInfo, bool]:
    """The description of a checkpoint, and whether it contains all weights.

    Raises:
        CheckpointError: config.json or model.safetensors is missing or invalid.
    """
    content = read_config(folder)
    llm = sorted((folder / LLM).glob("*.safetensors")) if content.merged else []
    try:
        digest = digest_of([folder / "model.safetensors", *llm])
    except OSError as error:
        raise CheckpointError(
            f"{folder}/model.safetensors is missing or corrupt: {error}; copy the model again"
        ) from error
    info = ModelInfo(content.name, digest, content.model, content.foundation, content.training, content.notes)
    return info, content.merged


def check_foundations(
    info: ModelInfo, found: Mapping[str, str], folder: Path, *, allow_mismatch: bool
) -> ModelInfo:
    """Compares foundation weights with the accepted ones.

    Args:
        info: of the checkpoint.
        found: part -> digest of the weights that are here.
        folder: the checkpoint, for messages.
        allow_mismatch: whether to accept others, with a note.

    Returns:
        `info`, with a note for each part that has other weights.

    Raises:
        CheckpointError: a part has other weights, and `allow_mismatch` is off.
    """
    other = [
        f"was trained on a {record.name} with sha256 {' or '.join(record.accepted_digests)}, "
        f"here is {found.get(part)}"
        for part, record in info.foundation.items()
        if record.accepted_digests and found.get(part) not in record.accepted_digests
    ]
    if other and not allow_mismatch:
        raise CheckpointError(f"{folder} {other[0]}; --allow-foundation-mismatch loads it anyway")
    return replace(info, notes=(*info.notes, *(f"{info.name} {text}" for text in other)))

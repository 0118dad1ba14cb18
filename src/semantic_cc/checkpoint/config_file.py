"""A checkpoint's config.json as typed values: reading, migration, writing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from semantic_cc.checkpoint.migrate import FORMAT, migrate_config
from semantic_cc.config import ModelConfig, parse, to_dict
from semantic_cc.errors import CheckpointError, ConfigError


@dataclass(frozen=True)
class FoundationRecord:
    """Foundation weights that a checkpoint was trained with.

    Attributes:
        name: their name, for example sam-vit-large.
        accepted_digests: sha256 digests of the files that give these weights; empty = not recorded.
    """

    name: str
    accepted_digests: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckpointConfig:
    """The content of config.json.

    Attributes:
        name: the model's name, for example small.
        merged: whether the checkpoint contains all weights, with the adapters merged into the foundation weights.
        model: sizes.
        foundation: part (encoder, qformer, llm) -> the required foundation weights.
        training: facts of the training, plain JSON values.
        notes: one line for each migration step that users should know of.
    """

    name: str
    merged: bool
    model: ModelConfig
    foundation: Mapping[str, FoundationRecord]
    training: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The text of config.json, in the current format."""
        content = {
            "format": FORMAT,
            "name": self.name,
            "merged": self.merged,
            "model": to_dict(self.model),
            "foundation": {
                part: {"name": record.name, "accepted_digests": list(record.accepted_digests)}
                for part, record in self.foundation.items()
            },
            "training": dict(self.training),
        }
        return json.dumps(content, indent=2) + "\n"


def read_config(folder: Path) -> CheckpointConfig:
    """Reads the config.json of a checkpoint of any format from 1 to `FORMAT`.

    Raises:
        CheckpointError: the file is missing, invalid, or of a later format.
    """
    path = folder / "config.json"
    content = _read_json(path)
    try:
        migrated = migrate_config(content)
        content = migrated.content
        name, merged = content["name"], content["merged"]
        model = parse(ModelConfig, content["model"])
        foundation = {
            part: FoundationRecord(entry["name"], tuple(entry["accepted_digests"]))
            for part, entry in content["foundation"].items()
        }
        if model.has_llm and "llm" not in foundation:
            raise KeyError("llm")
        training = content.get("training", {})
        return CheckpointConfig(name, merged, model, foundation, training, migrated.notes)
    except ConfigError as error:
        raise CheckpointError(f"{path} is not a Semantic-CC configuration: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path} is not a Semantic-CC configuration: {error} is missing or wrong"
        ) from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise CheckpointError(
            f"{path.parent} is not a model folder: config.json: {error.strerror}; check the path"
        ) from error
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}; copy the model again") from error
    if not isinstance(content, dict) or not isinstance(content.get("format"), int):
        raise CheckpointError(f"{path} is not a Semantic-CC configuration; give another model folder")
    if not 1 <= content["format"] <= FORMAT:
        raise CheckpointError(
            f"{path} has format {content['format']}, but this version reads formats 1 to {FORMAT}; update semantic-cc"
        )
    return content

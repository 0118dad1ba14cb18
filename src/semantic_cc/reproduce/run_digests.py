"""What a number depends on, in digests: the data, the configuration, the code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import semantic_cc
from semantic_cc.config import Config, PhaseConfig, to_dict
from semantic_cc.data.open_dataset import index
from semantic_cc.errors import DataError
from semantic_cc.files import write_files
from semantic_cc.foundation import digest_of
from semantic_cc.training.state import leaves, may_differ

SHORT = 16
"""Hex digits of a digest that names a folder."""
_STARTS = (
    "model.encoder.weights",
    "model.qformer.weights",
    "model.enhancer.weights",
    "model.llm.name",
    "train.init",
)
"""Fields that may name a file or folder."""


def data_digest(data: Sequence[str], splits: Sequence[str], memory: Path) -> str:
    """sha256 over names, sentences, flags and the bytes of all images and masks of some splits.

    Where the datasets lie does not count.

    Args:
        data: datasets.
        splits: those that count.
        memory: a JSON file that remembers the digest of unchanged files, by their sizes and times.

    Raises:
        DataError: no dataset, or a file of it cannot be read.
        OutputError: `memory` cannot be written.
    """
    items = [(split, item) for root in data for split in splits for item in index(Path(root), split)]
    files = dict.fromkeys(path for _, item in items for path in (item.before, item.after, item.label) if path)
    try:
        stats = [(path, (stat := Path(path).stat()).st_size, stat.st_mtime_ns) for path in files]
        told = [(split, astuple(replace(item, before="", after="", label=None))) for split, item in items]
        stamp = _sha([told, stats])
        known: dict[str, str] = json.loads(memory.read_text()) if memory.exists() else {}
        if stamp not in known:
            contents = {path: digest_of([Path(path)]) for path in files}
            pictures = [
                [contents.get(path or "") for path in (item.before, item.after, item.label)]
                for _, item in items
            ]
            known[stamp] = _sha([told, pictures])
            write_files(memory.parent, {memory.name: json.dumps(known, indent=1).encode()})
    except OSError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{error.filename}: {error.strerror}; the dataset must be whole and readable"
        ) from error
    return known[stamp]


def run_digest(config: Config, data: str, **more: Any) -> str:
    """Names a run by all that its numbers depend on.

    What is at its default does not count, so that a field that a later version adds leaves finished runs valid; nor do
    hardware, folders and how often something is saved or shown. Files of weights count by their content.

    Args:
        config: the run.
        data: digest of its data.
        more: what else it depends on.
    """
    default, fields = dict(leaves(to_dict(Config()))), {}
    for name in config.phases:
        default |= {f"phases.{name}.{key}": value for key, value in leaves(to_dict(PhaseConfig()))}
    for name, value in leaves(to_dict(config)):
        if value == default.get(name) or name == "preset" or may_differ(name):
            continue
        fields[name] = _content(value) if name in _STARTS and value else value
    return _sha([fields, data, semantic_cc.__version__, more])[:SHORT]


def code_digest() -> str:
    """sha256 over every Python file of the package: whether two numbers come from the same code, to the letter."""
    package = Path(semantic_cc.__file__).parent
    return digest_of(sorted(package.rglob("*.py")))[:SHORT]


def scores_digest(data: str, **more: Any) -> str:
    """Names an evaluation of a run by what it was scored on, and how."""
    return _sha([data, semantic_cc.__version__, more])[:SHORT]


def _content(value: str) -> str:
    """The digest of the files that `value` names; itself where it names none."""
    path = Path(value)
    files = sorted(path.rglob("*.safetensors")) if path.is_dir() else [path] if path.is_file() else []
    return digest_of(files) if files else value


def _sha(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

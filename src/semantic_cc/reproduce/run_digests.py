"""Digests of everything that a score depends on: the data, the configuration, the code."""

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
from semantic_cc.files import digest_of, write_files
from semantic_cc.training.state import leaves, may_differ

SHORT = 16
"""Hex digits of a digest in folder names."""
_STARTS = (
    "model.encoder.weights",
    "model.qformer.weights",
    "model.enhancer.weights",
    "model.llm.name",
    "train.init",
)
"""Fields that may name a file or folder."""


def data_digest(data: Sequence[str], splits: Sequence[str], memory: Path) -> str:
    """sha256 over the names, sentences, flags and the bytes of all images and masks of the given splits.

    It does not depend on the location of the datasets.

    Args:
        data: datasets.
        splits: the splits to include.
        memory: a JSON file that caches the digests of unchanged files, by size and modification time.

    Raises:
        DataError: a dataset or one of its files cannot be read.
        OutputError: `memory` cannot be written.
    """
    items = [(split, item) for root in data for split in splits for item in index(Path(root), split)]
    files = dict.fromkeys(path for _, item in items for path in (item.before, item.after, item.label) if path)
    try:
        stats = [(path, (stat := Path(path).stat()).st_size, stat.st_mtime_ns) for path in files]
        entries = [(split, astuple(replace(item, before="", after="", label=None))) for split, item in items]
        stamp = _sha([entries, stats])
        known: dict[str, str] = json.loads(memory.read_text()) if memory.exists() else {}
        if stamp not in known:
            contents = {path: digest_of([Path(path)]) for path in files}
            pictures = [
                [contents.get(path or "") for path in (item.before, item.after, item.label)]
                for _, item in items
            ]
            known[stamp] = _sha([entries, pictures])
            write_files(memory.parent, {memory.name: json.dumps(known, indent=1).encode()})
    except OSError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{error.filename}: {error.strerror}; the dataset must be whole and readable"
        ) from error
    return known[stamp]


def run_digest(config: Config, data: str, **more: Any) -> str:
    """The digest of everything that the numbers of a run depend on.

    Defaults are left out, so that a field added by a later version leaves finished runs valid. Hardware, folders, and
    the frequency of saving and logging are left out too. Weight files are included by content.

    Args:
        config: the run.
        data: digest of its data.
        more: other values that the run depends on.
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
    """sha256 over all Python files of the package; equal digests mean identical code."""
    package = Path(semantic_cc.__file__).parent
    return digest_of(sorted(package.rglob("*.py")))[:SHORT]


def scores_digest(data: str, **more: Any) -> str:
    """The digest that names an evaluation of a run: data, version and options."""
    return _sha([data, semantic_cc.__version__, more])[:SHORT]


def _content(value: str) -> str:
    """The digest of the files that `value` names; `value` itself if it names none."""
    path = Path(value)
    files = sorted(path.rglob("*.safetensors")) if path.is_dir() else [path] if path.is_file() else []
    return digest_of(files) if files else value


def _sha(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

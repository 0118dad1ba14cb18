"""Where exported graphs lie: one folder in the cache for each model, engine version and machine.

A folder appears complete or not at all. Processes that need the same one wait for the first, which makes it.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from semantic_cc.checkpoint.model_info import ModelInfo
from semantic_cc.config import to_dict
from semantic_cc.files import check_folder, locked, new_folder
from semantic_cc.foundation.catalogue import cache_folder

FORMAT = 6
"""Version of what an export writes; raised whenever an export gives other graphs or files."""

LANGUAGE, EMBEDDINGS, TOKENIZER, TOKENS = "language.blob", "embeddings.npy", "tokenizer.json", "tokens.json"
"""The language model, its embedding table, its tokenizer, and the tokenizer's special tokens."""
SCORED_TOKENS = "scored_tokens.npy"
"""Ids of the tokens that the language model scores: those of the vocabulary."""


def vision_name(size: tuple[int, int]) -> str:
    """The file of the vision part for images of H x W pixels."""
    return f"vision-{size[0]}x{size[1]}.blob"


def graph_folder(info: ModelInfo, llm_digest: str, engine: str) -> Path:
    """The folder of a model's graphs.

    Args:
        info: the checkpoint.
        llm_digest: of its language model.
        engine: version of the engine and name of the processor.
    """
    content = json.dumps([FORMAT, engine, info.digest, llm_digest, to_dict(info.config)], sort_keys=True)
    key = hashlib.sha256(content.encode()).hexdigest()[:16]
    name = re.sub(r"[^\w.-]+", "-", info.name)
    return cache_folder() / "runtime" / f"{name}-{key}"


def fill_once(folder: Path, export: Callable[[Path], None]) -> None:
    """Calls `export` with an empty folder that becomes `folder`, unless `folder` exists.

    Raises:
        OutputError: the cache cannot be written.
    """
    if folder.is_dir():
        return
    check_folder(folder)
    with locked(folder.with_name(f".{folder.name}.lock")):
        if folder.is_dir():
            return
        for left in folder.parent.glob(f".{folder.name}-*"):  # of exports that were killed
            shutil.rmtree(left, ignore_errors=True)
        with new_folder(folder) as work:
            export(work)

"""The folder of a pair: what says that it is finished, and what may be taken away from it."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from semantic_cc.batch.manifest import Entry
from semantic_cc.scene.vector_export import LAYER

PAIRS = "pairs"
"""Folder of the pairs' own folders."""

RECORD = "pair.json"
"""Written last: a pair is finished where it is there and names the same job."""

SCAN = ".scan"
"""What `map_changes` needs to go on, in the folder of a pair."""

CHANGES = f"{LAYER}.parquet"
"""The polygons of a pair, which every pair with a mask has."""


def folder_of(out: Path, entry: Entry) -> Path:
    """Where a pair's results lie in the batch's folder."""
    return out / PAIRS / entry.folder


def lock_of(folder: Path) -> Path:
    """The lock beside the folder of a pair: who holds it works on the pair."""
    return folder.with_name(f".{folder.name}.lock")


def read_record(folder: Path) -> dict[str, Any] | None:
    """What the folder of a pair says of its results; None where they are not finished."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def clear(folder: Path) -> None:
    """Takes away what an unfinished or outdated run left, but for a scan that can go on."""
    if not folder.is_dir():
        return
    (folder / RECORD).unlink(missing_ok=True)  # first, so that the rest never looks finished
    for path in folder.iterdir():
        if path.name == SCAN:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def is_finished(folder: Path, job: dict[str, Any]) -> bool:
    """Whether a pair's folder holds what `job` leads to, with all its files."""
    record = read_record(folder)
    if record is None or record.get("job") != digest_of(job):
        return False
    return all((folder / name).is_file() for name in record["files"])


def digest_of(job: dict[str, Any]) -> str:
    """What a record keeps of a job: all that a pair's results depend on, in plain JSON values."""
    return hashlib.sha256(json.dumps(job, sort_keys=True).encode()).hexdigest()

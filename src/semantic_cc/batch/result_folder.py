"""The folder of a pair: the record that says that it is finished, and what may be removed from it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from semantic_cc.batch.manifest import ManifestEntry
from semantic_cc.scene.export_formats import LAYER
from semantic_cc.scene.scan_state import SCAN
from semantic_cc.types import Json, to_json_value

PAIRS = "pairs"
"""Folder of the pairs' own folders."""

RECORD = "pair.json"
"""Written last: a pair is finished if it exists and names the same job."""

CHANGES = f"{LAYER}.parquet"
"""The polygons of a pair, which every pair with a mask has."""


@dataclass(frozen=True)
class PairRecord:
    """The result of one pair, as in `RECORD` and in the table of the batch.

    Attributes:
        id: of the pair in the manifest.
        job: `digest_of` what the result depends on.
        kind: "scene", or "plain" for a pair of plain images.
        sentence: of the scene or pair.
        changed_share: changed share of the pixels that both images show, in [0, 1]; None without a mask.
        buildings, roads: connected changed areas; None for a class that the model does not know.
        building_m2, road_m2: their square metres; None where that is not known.
        crs: of the scene's grid; None without one.
        notes: warnings and conversions.
        files: names in the pair's folder, without `RECORD`.
    """

    id: str
    job: str
    kind: str
    sentence: str
    changed_share: float | None
    buildings: int | None
    building_m2: float | None
    roads: int | None
    road_m2: float | None
    crs: str | None
    notes: tuple[str, ...]
    files: tuple[str, ...]

    def to_json(self) -> dict[str, Json]:
        """The record in plain JSON values."""
        return {part.name: to_json_value(getattr(self, part.name)) for part in fields(self)}


def folder_of(out: Path, entry: ManifestEntry) -> Path:
    """Where a pair's results lie in the batch's folder."""
    return out / PAIRS / entry.folder


def lock_of(folder: Path) -> Path:
    """The lock beside the folder of a pair: who holds it works on the pair."""
    return folder.with_name(f".{folder.name}.lock")


def read_record(folder: Path) -> PairRecord | None:
    """The record in a pair's folder; None where there is none, or one of another version."""
    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return PairRecord(**{**found, "notes": tuple(found["notes"]), "files": tuple(found["files"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def clear(folder: Path) -> None:
    """Removes what an unfinished or outdated run left, except for a scan that can continue."""
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


def is_finished(folder: Path, job: Mapping[str, Json]) -> bool:
    """Whether a pair's folder holds the results of `job`, with all files."""
    record = read_record(folder)
    if record is None or record.job != digest_of(job):
        return False
    return all((folder / name).is_file() for name in record.files)


def digest_of(job: Mapping[str, Json]) -> str:
    """The digest of all that a pair's results depend on, in plain JSON values."""
    return hashlib.sha256(json.dumps(job, sort_keys=True).encode()).hexdigest()

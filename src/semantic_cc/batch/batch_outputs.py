"""The files of a batch beside the pairs' folders: a table of the pairs, and one dataset of all changes."""

from __future__ import annotations

import csv
import hashlib
import itertools
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import geopandas
import pandas

from semantic_cc.batch.manifest import ManifestEntry
from semantic_cc.batch.result_folder import CHANGES, PAIRS, folder_of, read_record
from semantic_cc.files import new_file
from semantic_cc.scene.geodesy import WGS84, cut_at_antimeridian

TABLE = "pairs.csv"
DATASET = "changes"
"""Folder of the dataset; in it part=pXX/changes.parquet, XX from the digest of a pair's id."""

COLUMNS = (
    "id", "status", "reason", "folder", "kind", "sentence", "changed_share", "buildings", "building_m2", "roads",
    "road_m2", "crs", "notes", "before", "after",
)  # fmt: skip
"""Of the table."""


def write_table(out: Path, entries: Sequence[ManifestEntry], reasons: Mapping[str, str]) -> None:
    """Writes `TABLE`, a row for each pair in the order of the manifest.

    Args:
        out: the batch's folder.
        entries: all pairs.
        reasons: id -> why the pair failed; all others are finished.

    Raises:
        OutputError: it cannot be written.
    """
    with new_file(out / TABLE) as work, work.open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        rows.writeheader()
        for entry in entries:
            given = {"id": entry.id, "before": entry.before, "after": entry.after}
            if entry.id in reasons:
                rows.writerow({**given, "status": "failed", "reason": reasons[entry.id]})
                continue
            record = read_record(folder_of(out, entry))
            assert record is not None  # it is finished
            values = record.to_json() | {"notes": " | ".join(record.notes)}
            rows.writerow({**values, **given, "status": "done", "folder": f"{PAIRS}/{entry.folder}"})


def write_changes(out: Path, entries: Sequence[ManifestEntry]) -> None:
    """Writes `DATASET`, the changes of all `entries`, in place of an earlier one.

    The columns are those of a pair's own `CHANGES`, behind ``pair`` (its id) and before ``crs`` (its own system). The
    geometry is in longitude and latitude; it is missing where a pair does not lie on Earth.

    Raises:
        OutputError: it cannot be written.
    """
    written = set()
    for part, group in itertools.groupby(sorted(entries, key=_place), key=lambda entry: _place(entry)[0]):
        folders = {entry.id: folder_of(out, entry) for entry in group}
        frames = [
            _frame(folder / CHANGES, name) for name, folder in folders.items() if (folder / CHANGES).exists()
        ]
        if frames:
            path = out / DATASET / f"part={part}" / CHANGES
            with new_file(path) as work:
                pandas.concat(frames, ignore_index=True).to_parquet(
                    work, index=False, write_covering_bbox=True
                )
            written.add(path.parent)
    for folder in (out / DATASET).glob("part=*"):
        if folder not in written:
            shutil.rmtree(folder)


def _place(entry: ManifestEntry) -> tuple[str, str]:
    """The part that a pair's changes are in, and its place there; the same in any manifest."""
    return f"p{hashlib.sha256(entry.id.encode()).hexdigest()[:2]}", entry.id


def _frame(path: Path, name: str) -> geopandas.GeoDataFrame:
    frame = geopandas.read_parquet(path)
    crs = frame.crs
    if crs is None or crs.geodetic_crs is None:
        geometry = geopandas.GeoSeries([None] * len(frame), crs=WGS84)
    else:
        geometry = frame.geometry.to_crs(WGS84)
        geometry = geopandas.GeoSeries([cut_at_antimeridian(shape) for shape in geometry], crs=WGS84)
    frame = frame.drop(columns="geometry")
    frame.insert(0, "pair", pandas.Series([name] * len(frame), dtype="string"))
    frame["crs"] = pandas.Series([None if crs is None else crs.to_string()] * len(frame), dtype="string")
    return geopandas.GeoDataFrame(frame, geometry=geometry)

"""Reads the manifest of a batch: CSV, Parquet, GeoParquet, or a STAC item collection."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from semantic_cc.errors import DataError, InputError
from semantic_cc.scene.gdal_files import read_crs
from semantic_cc.scene.image_sources import is_remote, parse_bands_of_both
from semantic_cc.scene.stac_item import read_time

REQUIRED = ("id", "before", "after")
COLUMNS = (*REQUIRED, "bands", "crs", "date_before", "date_after")
"""The columns that are read."""

LONGEST_NAME = 200
"""Maximum length of a pair's folder name, in bytes."""

_PROPERTIES = {
    "bands": "semantic_cc:bands", "crs": "semantic_cc:crs",
    "date_before": "start_datetime", "date_after": "end_datetime",
}  # fmt: skip
"""Column -> property of a STAC item."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class ManifestEntry:
    """One pair of a manifest.

    Attributes:
        id: id of the pair, unique in the manifest.
        before, after: absolute paths or URLs of the images.
        bands: for each image, the numbers (from 1) of red, green and blue; None = those of the batch.
        crs: coordinate reference system of images without one; None = that of the batch.
        dates: when the images were taken, in ISO 8601.
    """

    id: str
    before: str
    after: str
    bands: tuple[tuple[int, int, int], tuple[int, int, int]] | None = None
    crs: str | None = None
    dates: tuple[str, str] | None = None

    @property
    def folder(self) -> str:
        """Name of the pair's folder: the id, with % and two hex digits for characters that file systems reject."""
        name = quote(self.id, safe=" ")
        return f"%2E{name[1:]}" if name.startswith(".") else name


@dataclass(frozen=True)
class Manifest:
    """The pairs of a manifest.

    Attributes:
        entries: the pairs, in the order of the file.
        unread: names of the columns that are not read.
    """

    entries: tuple[ManifestEntry, ...]
    unread: tuple[str, ...] = ()


def read_manifest(path: str | Path) -> Manifest:
    """Reads a manifest without opening the images.

    Tables have the columns `COLUMNS`; those of `REQUIRED` need a value in every row. Items of a STAC collection have
    the assets ``before`` and ``after``, and the properties listed in docs/batch.md. Paths are relative to the manifest.

    Raises:
        DataError: the manifest is missing, of another kind, corrupt or empty; a column or value is missing or invalid;
            or two pairs have the same id.
    """
    path = Path(path)
    readers = {
        ".csv": _read_csv, ".parquet": _read_parquet, ".geoparquet": _read_parquet,
        ".json": _read_stac, ".geojson": _read_stac,
    }  # fmt: skip
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: is not a manifest; give a file that ends in {', '.join(readers)}")
    if not os.path.isfile(path):
        raise DataError(f"{path}: no such file; check the path")
    columns, rows = reader(path)
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise DataError(f"{path}: has no column {missing[0]!r}; the columns {', '.join(REQUIRED)} are needed")
    base = os.path.dirname(os.path.abspath(path))
    entries: dict[str, ManifestEntry] = {}
    for where, row in rows:
        try:
            entry = _entry(row, base)
        except InputError as error:
            raise DataError(f"{path}, {where}: {error}") from error
        if entry.id in entries:
            raise DataError(f"{path}, {where}: the id {entry.id!r} is used twice; give each pair its own")
        entries[entry.id] = entry
    if not entries:
        raise DataError(f"{path}: lists no pair; add at least one")
    return Manifest(tuple(entries.values()), tuple(name for name in columns if name not in COLUMNS))


def _entry(row: Row, base: str) -> ManifestEntry:
    given = {name: text for name in COLUMNS if (text := _text(row.get(name)))}
    for name, text in given.items():
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise DataError(
                f"{name!r} holds half a surrogate pair, which no file can be named after; correct it"
            )
    for name in REQUIRED:
        if name not in given:
            raise DataError(f"has no {name!r}; fill it in")
    dates = [given[name] for name in COLUMNS[-2:] if name in given]
    if len(dates) == 1:
        raise DataError("has one date; give 'date_before' and 'date_after', or neither")
    for text in dates:
        read_time(text)
    if "crs" in given:
        read_crs(given["crs"])
    entry = ManifestEntry(
        given["id"],
        _source(given["before"], base),
        _source(given["after"], base),
        parse_bands_of_both(given["bands"]) if "bands" in given else None,
        given.get("crs"),
        (dates[0], dates[1]) if dates else None,
    )
    if len(entry.folder) > LONGEST_NAME:
        raise DataError(f"the id {entry.id[:20]!r}... is too long for a folder; shorten it")
    return entry


def _source(text: str, base: str) -> str:
    """A path or URL as the manifest has it -> an absolute path, or the URL."""
    if text.startswith("file://"):
        text = unquote(urlsplit(text).path)
    return text if is_remote(text) else os.path.join(base, text)


def _text(value: Any) -> str:
    """A cell of any type as text; empty where nothing is in it."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return value.isoformat() if isinstance(value, date) else str(value).strip()


def _read_csv(path: Path) -> tuple[list[str], list[tuple[str, Row]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.DictReader(file, strict=True)
            columns = list(lines.fieldnames or ())
            rows: list[tuple[str, Row]] = [(f"line {lines.line_num}", row) for row in lines]
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path}: cannot be read ({error}); save it as CSV in UTF-8") from error
    for where, row in rows:
        if None in row:
            raise DataError(f"{path}, {where}: has more cells than the first line names; quote commas")
    return columns, rows


def _read_parquet(path: Path) -> tuple[list[str], list[tuple[str, Row]]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        columns = list(file.schema_arrow.names)
        table = file.read([name for name in columns if name in COLUMNS])
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: cannot be read ({_line(error)}); write it again") from error
    return columns, [(f"row {number}", row) for number, row in enumerate(table.to_pylist(), 1)]


def _read_stac(path: Path) -> tuple[list[str], list[tuple[str, Row]]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read ({_line(error)}); write it again") from error
    if not (isinstance(found, dict) and isinstance(found.get("features"), list)):
        raise DataError(f"{path}: is not a STAC item collection; give one with a list of 'features'")
    return list(COLUMNS), list(_items(found["features"]))


def _items(features: list[Any]) -> Iterator[tuple[str, Row]]:
    for number, item in enumerate(features, 1):
        item = item if isinstance(item, dict) else {}
        assets, properties = (_dict(item.get(key)) for key in ("assets", "properties"))
        row = {column: properties.get(name) for column, name in _PROPERTIES.items()}
        row |= {key: _dict(assets.get(key)).get("href") for key in ("before", "after")}
        yield f"item {number}", {"id": item.get("id"), **row}


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _line(error: Exception) -> str:
    return " ".join(str(error).split())

"""The vector formats that changed areas are written in: the one list of them, without the libraries that write."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from semantic_cc.errors import InputError

LAYER = "changes"
"""Name of the files, without suffix, and of their layer."""


@dataclass(frozen=True)
class ExportFormat:
    """A vector format.

    Attributes:
        driver: GDAL's name of it.
        media_type: for the STAC item.
        lonlat_only: it holds longitude and latitude only, so a scene that does not lie on Earth has no such file.
    """

    driver: str
    media_type: str
    lonlat_only: bool = False


FORMATS = {
    "geojson": ExportFormat("GeoJSON", "application/geo+json", lonlat_only=True),
    "gpkg": ExportFormat("GPKG", "application/geopackage+sqlite3"),
    "fgb": ExportFormat("FlatGeobuf", "application/vnd.flatgeobuf"),
    "parquet": ExportFormat("GeoParquet", "application/vnd.apache.parquet"),
}
"""File suffix, which `--formats` takes -> the format."""


def check_formats(suffixes: Collection[str]) -> None:
    """Checks that all suffixes are in `FORMATS`.

    Raises:
        InputError: one is not.
    """
    unknown = [name for name in suffixes if name not in FORMATS]
    if unknown:
        raise InputError(f"unknown format {unknown[0]!r}; choose from {', '.join(FORMATS)}")

"""The vector formats for change polygons; importing this list does not load the libraries that write them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from semantic_cc.errors import InputError

LAYER = "changes"
"""Name of the files without suffix, and of their layer."""


@dataclass(frozen=True)
class ExportFormat:
    """A vector format.

    Attributes:
        driver: GDAL's name of the format.
        media_type: media type in the STAC item.
        lonlat_only: whether it supports only longitude and latitude; if so, it is not written for a scene without a
            location on Earth.
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
"""File suffix, as in `--formats` -> format."""


def check_formats(suffixes: Collection[str]) -> None:
    """Checks that all suffixes are in `FORMATS`.

    Raises:
        InputError: a suffix is not.
    """
    unknown = [name for name in suffixes if name not in FORMATS]
    if unknown:
        raise InputError(f"unknown format {unknown[0]!r}; choose from {', '.join(FORMATS)}")

"""The result of a scene as a STAC item, so that catalogues find it."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pystac
import shapely

from semantic_cc.errors import InputError
from semantic_cc.scene.export_formats import FORMATS, LAYER
from semantic_cc.scene.geodesy import crs_of, footprint, on_earth, whole_of
from semantic_cc.scene.grid import Grid
from semantic_cc.scene.polygons import Polygons
from semantic_cc.scene.scene_report import SceneReport

_ASSETS = {
    "mask.tif": (
        "mask",
        "Change mask: 0 no change, 128 road, 255 building, 1 unknown",
        pystac.MediaType.COG,
        "data",
    ),
    "probability.tif": ("probability", "Change probability", pystac.MediaType.COG, "data"),
    **{
        f"{LAYER}.{suffix}": (suffix, "Change polygons", kind.media_type, "data")
        for suffix, kind in FORMATS.items()
    },
    "report.json": ("report", "Report as JSON", pystac.MediaType.JSON, "metadata"),
    "report.html": ("page", "Report as a web page", pystac.MediaType.HTML, "overview"),
}
"""File -> key, title, media type and role of its asset."""


def write_item(path: Path, report: SceneReport, polygons: Polygons, grid: Grid) -> None:
    """Writes the STAC item of a scene, with the files beside it as assets.

    Its time runs from the earlier date to the later, also where the before image is the later one, because catalogues
    refuse an item that ends before it starts; without dates it is the time when the report was made. Its id is a digest
    of grid and polygons, so the same result has the same id. Its figures are the report's.
    """
    shape, bounds = footprint(whole_of(grid), grid) if on_earth(grid) else (None, None)
    start, end = sorted(map(read_time, report.dates)) if report.dates else (None, None)
    item = pystac.Item(
        id=f"changes-{_digest(polygons, grid)}",
        geometry=None if shape is None else shapely.geometry.mapping(shape),
        bbox=bounds,
        datetime=None if report.dates else read_time(report.created),
        start_datetime=start,
        end_datetime=end,
        properties={
            "title": "Changes between two images",
            "description": report.sentence,
            "created": report.created,
            "semantic_cc:version": report.version,
            "semantic_cc:figures": report.to_json()["figures"],
        },
    )
    if grid.crs is not None:
        _add_projection(item, grid)
    for name in report.files:
        if name in _ASSETS:
            key, title, media, role = _ASSETS[name]
            item.add_asset(key, pystac.Asset(f"./{name}", title=title, media_type=media, roles=[role]))
    text = json.dumps(item.to_dict(include_self_link=False), indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def _add_projection(item: pystac.Item, grid: Grid) -> None:
    """Size, transform and CRS by STAC's projection extension; a CRS without a code by its WKT."""
    crs = crs_of(grid)
    assert crs is not None  # the caller asked
    authority = crs.to_authority()
    item.ext.add("proj")
    item.ext.proj.apply(
        code=None if authority is None else ":".join(authority),
        wkt2=crs.to_wkt() if authority is None else None,
        shape=[grid.height, grid.width],
        transform=list(grid.transform)[:6],
    )


def read_time(text: str) -> datetime:
    """ISO 8601 -> UTC; a time without zone is UTC.

    Raises:
        InputError: it is not in ISO 8601, or not within the years 1 to 9999 of UTC.
    """
    try:
        time = datetime.fromisoformat(text)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{text!r} is not a date in ISO 8601; give, for example, 2024-05-31") from error


def _digest(polygons: Polygons, grid: Grid) -> str:
    digest = hashlib.sha256(repr((grid.width, grid.height, tuple(grid.transform), grid.crs)).encode())
    for shape, value in zip(shapely.to_wkb(polygons.shapes), polygons.classes, strict=True):
        digest.update(bytes([value]) + shape)
    return digest.hexdigest()[:16]

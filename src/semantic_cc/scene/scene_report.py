"""The report of a scene: everything that is made of mask.tif and probability.tif, written together or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from semantic_cc import __version__
from semantic_cc.files import new_files
from semantic_cc.scene.geodesy import crs_of, footprint, measure, on_earth, outline_of, whole_of
from semantic_cc.scene.grid import Grid, ScenePair
from semantic_cc.scene.html_report import write_page
from semantic_cc.scene.places import (
    CLASS_NAMES,
    Describe,
    Place,
    Tally,
    describe_places,
    find_regions,
    scene_tallies,
)
from semantic_cc.scene.polygons import Polygons, find_polygons, regular_outlines
from semantic_cc.scene.report_images import make_overview
from semantic_cc.scene.report_text import scene_sentence, where_text
from semantic_cc.scene.stac_item import write_item
from semantic_cc.scene.vector_export import FORMATS, LAYER, can_hold, check_formats, make_frame, write_frame

SCHEMA_VERSION = 1
"""Of report.json; docs/report.schema.json says what is in it."""

MASK, PROBABILITY = "mask.tif", "probability.tif"
"""What must be in the folder."""

REPORT, PAGE, ITEM = "report.json", "report.html", "item.json"


def write_report(
    folder: str | Path,
    grid: Grid,
    pair: ScenePair,
    describe: Describe,
    warnings: Sequence[Mapping[str, Any]],
    provenance: Mapping[str, Any],
    formats: Collection[str] = tuple(FORMATS),
    regularise: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Makes polygons, sentences and reports of a scene whose mask and probability are in `folder`.

    Written are changes.* in the formats asked for, report.json, report.html and the STAC item item.json; files of
    these names from an earlier run are replaced or go.

    Args:
        folder: holds mask.tif and probability.tif, as `find_polygons` takes them.
        grid: of both.
        pair: the images, on that grid.
        describe: before and after of a place, (h, w, 3) uint8 -> what the model says.
        warnings: what is to be known of the input, each with ``kind``, ``text`` and ``number`` (or None).
        provenance: plain JSON values, shown as they are. Two keys are read: ``dates``, when the images were taken,
            [before, after] in ISO 8601; ``created``, when the run began, the STAC item's date where there are no dates.
        formats: some of `FORMATS`.
        regularise: draw buildings with `regular_outlines`; counts and areas stay those of the mask.
        progress: called with (done, of all) after each place.

    Returns:
        What report.json holds.

    Raises:
        InputError: an unknown format, or a date that is none.
        DataError: a raster in `folder` is missing or broken, or has another size.
        OutputError: the folder cannot be written; nothing of this is left in it.
    """
    folder = Path(folder)
    check_formats(formats)
    written = [suffix for suffix in FORMATS if suffix in formats and can_hold(suffix, grid)]
    mask = folder / MASK
    polygons = find_polygons(mask, folder / PROBABILITY, grid)
    regions, home = find_regions(polygons, grid)
    places = describe_places(regions, pair, describe, progress)
    overview = make_overview(pair, mask)
    outlines = regular_outlines(polygons, grid) if regularise else polygons.shapes
    frame = make_frame(polygons, outlines, home, places, grid)
    report = _report(polygons, places, grid, overview.known) | {
        "regularised": regularise,
        "warnings": [
            *map(dict, warnings),
            *_own_warnings(places, "geojson" in formats and not on_earth(grid)),
        ],
        "provenance": dict(provenance),
        "files": [MASK, PROBABILITY, *(f"{LAYER}.{suffix}" for suffix in written), REPORT, PAGE, ITEM],
    }
    with new_files(folder) as work:
        for suffix in written:
            write_frame(frame, work, suffix)
        (work / REPORT).write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        write_page(work / PAGE, report, places, overview, pair, mask)
        write_item(work / ITEM, report, polygons, grid)
    for suffix in set(FORMATS) - set(written):
        (folder / f"{LAYER}.{suffix}").unlink(missing_ok=True)
    return report


def _report(polygons: Polygons, places: Sequence[Place], grid: Grid, known: int) -> dict[str, Any]:
    """What report.json says of the scene itself, in plain JSON values: NaN becomes None."""
    tallies = scene_tallies(polygons, grid)
    whole, _ = measure(np.array([outline_of(whole_of(grid))]), grid)
    area = float(whole[0]) * known / (grid.width * grid.height)
    changed = int(polygons.pixels.sum())
    crs, there = crs_of(grid), on_earth(grid)
    return {
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        "sentence": scene_sentence(tallies, places, grid, area, known),
        "grid": {
            "width": grid.width,
            "height": grid.height,
            "transform": list(grid.transform)[:6],
            "crs": None if crs is None else crs.to_string(),
            "bounds_wgs84": footprint(whole_of(grid), grid)[1] if there else None,
        },
        "figures": {
            "known_pixels": known,
            "known_area_m2": _number(area, 3),
            "changed_pixels": changed,
            "changed_share": changed / known if known else 0.0,
            "places": len(places),
            "classes": {name: _class_figures(tally, name, polygons) for name, tally in tallies.items()},
        },
        "places": [
            {
                "number": place.number,
                "sentence": place.sentence,
                "changed": place.changed,
                "change_probability": place.change_probability,
                "where": where_text(place.extent, grid),
                "window": asdict(place.window),
                "extent": asdict(place.extent),
                "bounds_wgs84": footprint(place.extent, grid)[1] if there else None,
                "classes": {name: _tally(tally) for name, tally in place.tallies.items()},
            }
            for place in places
        ],
    }


def _class_figures(tally: Tally, name: str, polygons: Polygons) -> dict[str, Any]:
    """A tally with the mean probability of its pixels, None where nothing changed."""
    chosen = np.array([CLASS_NAMES[value] == name for value in polygons.classes], bool)
    weights = polygons.pixels[chosen]
    mean = float(polygons.probability[chosen] @ weights / weights.sum()) if chosen.any() else math.nan
    return {**_tally(tally), "probability": _number(mean, 4)}


def _tally(tally: Tally) -> dict[str, Any]:
    return {"objects": tally.objects, "pixels": tally.pixels, "area_m2": _number(tally.area_m2, 3)}


def _number(value: float, digits: int) -> float | None:
    return round(value, digits) if math.isfinite(value) else None


def _own_warnings(places: Sequence[Place], no_geojson: bool) -> list[dict[str, Any]]:
    """What the report itself has to say."""
    found = []
    silent = sum(not place.changed for place in places)
    if silent:
        text = f"at {silent} of {len(places)} places the mask shows a change that the model denies"
        found.append({"kind": "disagreement", "text": text, "number": silent})
    if no_geojson:
        text = (
            f"{LAYER}.geojson was left out: its coordinates are WGS 84, and the images do not say where on Earth "
            "they lie"
        )
        found.append({"kind": "geojson", "text": text, "number": None})
    return found

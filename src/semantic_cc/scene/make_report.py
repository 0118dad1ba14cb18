"""The report of a scene, from what was measured and found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from semantic_cc import __version__
from semantic_cc.scene.change_map import MASK, PROBABILITY
from semantic_cc.scene.common_grid import AlignedPair
from semantic_cc.scene.export_formats import FORMATS, LAYER
from semantic_cc.scene.geodesy import (
    crs_of,
    footprint,
    ground_sampling,
    measure,
    on_earth,
    outline_of,
    whole_of,
)
from semantic_cc.scene.grid import Grid
from semantic_cc.scene.image_sources import identity_of
from semantic_cc.scene.input_checks import Inspection
from semantic_cc.scene.places import CLASS_NAMES, class_figures
from semantic_cc.scene.polygons import Polygons
from semantic_cc.scene.raster import Raster
from semantic_cc.scene.report_text import scene_sentence
from semantic_cc.scene.scene_model import SceneModel
from semantic_cc.scene.scene_report import (
    Place,
    ReportGrid,
    SceneFigures,
    SceneInput,
    SceneReport,
    SceneSettings,
    SceneWarning,
)
from semantic_cc.scene.vector_export import can_hold
from semantic_cc.types import ModelIdentity

REPORT, PAGE, ITEM = "report.json", "report.html", "scene.json"


def make_report(
    model: SceneModel,
    pair: AlignedPair,
    inspection: Inspection,
    settings: SceneSettings,
    figures: SceneFigures,
    places: tuple[Place, ...],
    formats: Sequence[str],
    dates: tuple[str, str] | None,
    timings: Mapping[str, float],
) -> SceneReport:
    """The report without its files."""
    return SceneReport(
        sentence=scene_sentence(figures.classes, places, figures.known_area_m2, figures.known_pixels),
        figures=figures,
        places=places,
        grid=_grid(pair.grid),
        inputs=(_input(pair.rasters[0]), _input(pair.rasters[1])),
        dates=dates,
        model=ModelIdentity(model.info.name, model.info.digest),
        settings=settings,
        measured=inspection.measured,
        warnings=(*_input_warnings(inspection), *_own_warnings(places, formats, pair.grid)),
        notes=(*pair.notes, *model.info.notes),
        created=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        timings=timings,
        files=(),
        version=__version__,
    )


def make_figures(polygons: Polygons, grid: Grid, known: int, places: int, num_classes: int) -> SceneFigures:
    """All figures of a scene; areas on the ellipsoid, that of the known pixels in proportion to the grid's."""
    names = ["building"] if num_classes == 2 else list(CLASS_NAMES.values())
    classes = class_figures(polygons, grid, names)
    area = changed_area = None
    if on_earth(grid):
        whole, _ = measure(np.array([outline_of(whole_of(grid))]), grid)
        area = round(float(whole[0]) * known / (grid.width * grid.height), 3)
        changed_area = round(sum(stats.area_m2 or 0 for stats in classes.values()), 3)
    changed = int(polygons.pixels.sum())
    return SceneFigures(
        known_pixels=known,
        unknown_pixels=grid.width * grid.height - known,
        known_area_m2=area,
        changed_pixels=changed,
        changed_area_m2=changed_area,
        changed_share=changed / known if known else 0.0,
        places=places,
        classes=classes,
    )


def file_names(formats: Sequence[str], grid: Grid) -> tuple[str, ...]:
    """The files of a scene, those of the formats that can hold it among them."""
    written = [f"{LAYER}.{suffix}" for suffix in FORMATS if suffix in formats and can_hold(suffix, grid)]
    return (MASK, PROBABILITY, *written, REPORT, PAGE, ITEM)


def _grid(grid: Grid) -> ReportGrid:
    a, b, c, d, e, f = tuple(grid.transform)[:6]
    crs, bounds = crs_of(grid), footprint(whole_of(grid), grid)[1] if on_earth(grid) else None
    sides = ground_sampling(grid)
    return ReportGrid(
        width=grid.width,
        height=grid.height,
        transform=(a, b, c, d, e, f),
        crs=None if crs is None else crs.to_string(),
        pixel_size_m=None if sides is None else (round(sides[0], 4), round(sides[1], 4)),
        bounds_wgs84=None if bounds is None else (bounds[0], bounds[1], bounds[2], bounds[3]),
    )


def _input(raster: Raster) -> SceneInput:
    identity = identity_of(raster.name)
    return SceneInput(
        name=raster.name,
        bytes=identity.get("bytes"),
        changed_ns=identity.get("changed_ns"),
        bands=tuple(raster.bands),
        width=raster.grid.width,
        height=raster.grid.height,
        crs=None if raster.grid.crs is None else raster.grid.crs.to_string(),
    )


def _input_warnings(inspection: Inspection) -> tuple[SceneWarning, ...]:
    return tuple(SceneWarning(found.check, found.message, found.value) for found in inspection.findings)


def _own_warnings(places: Sequence[Place], formats: Sequence[str], grid: Grid) -> Iterator[SceneWarning]:
    """What the result itself gives reason to doubt."""
    silent = sum(not place.changed for place in places)
    if silent:
        text = (
            f"at {silent} of {len(places)} places the mask shows a change that the model's change flag denies"
        )
        yield SceneWarning("disagreement", text, silent)
    for suffix in (name for name in formats if not can_hold(name, grid)):
        text = (
            f"{LAYER}.{suffix} was left out: its coordinates are longitude and latitude, and the images do not say "
            "where on Earth they lie"
        )
        yield SceneWarning(suffix, text)

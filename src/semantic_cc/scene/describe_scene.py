"""The description of a scene, from two images to the report and its files."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from semantic_cc import __version__
from semantic_cc.errors import OutputError, SemanticCCError
from semantic_cc.files import check_outputs
from semantic_cc.progress import Advance
from semantic_cc.scene.change_map import (
    MASK,
    PROBABILITY,
    device_batch,
    map_changes,
    open_images,
    open_scene,
)
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
from semantic_cc.scene.html_report import write_page
from semantic_cc.scene.image_sources import identity_of, is_remote
from semantic_cc.scene.input_checks import Inspection
from semantic_cc.scene.places import CLASS_NAMES, class_figures, describe_places, find_regions
from semantic_cc.scene.polygons import Polygons, find_polygons, regular_outlines
from semantic_cc.scene.raster import Raster
from semantic_cc.scene.report_images import make_overview
from semantic_cc.scene.report_text import scene_sentence
from semantic_cc.scene.scan_state import SCAN, ScanState
from semantic_cc.scene.scene_model import SceneModel
from semantic_cc.scene.scene_options import SceneOptions
from semantic_cc.scene.scene_plan import ScenePlan, plan_scene
from semantic_cc.scene.scene_report import (
    Place,
    ReportGrid,
    SceneFigures,
    SceneInput,
    SceneReport,
    SceneSettings,
    SceneWarning,
)
from semantic_cc.scene.stac_item import read_time, write_item
from semantic_cc.scene.tiling import scene_tiling
from semantic_cc.scene.vector_export import can_hold, make_frame, write_frame
from semantic_cc.types import ModelIdentity

REPORT, PAGE, ITEM = "report.json", "report.html", "scene.json"

OUTPUTS = (MASK, PROBABILITY, *(f"{LAYER}.{suffix}" for suffix in FORMATS), REPORT, PAGE, ITEM)
"""Every name that a scene's file may have in the output folder."""


def describe_scene(
    model: SceneModel,
    before: str | Path,
    after: str | Path,
    *,
    out: str | Path | None = None,
    options: SceneOptions | None = None,
    instruction: str | None = None,
    dates: tuple[str, str] | None = None,
    progress: Advance | None = None,
) -> SceneReport:
    """Describes a scene with any `SceneModel`; arguments, result and errors as `SemanticCC.describe_scene`."""
    options = options or SceneOptions()
    start = time.perf_counter()
    for text in dates or ():
        read_time(text)
    _check_files(before, after, out)
    with contextlib.ExitStack() as held:
        pair, inspection = held.enter_context(open_scene(before, after, options))
        if out is None:
            folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="semantic-cc-")))
        else:
            folder = check_outputs(out, OUTPUTS, _files_of(pair))
        tiling = scene_tiling(pair.grid, options.tile, options.overlap)
        plan_scene(pair, tiling).check_disk(folder)
        settings = SceneSettings(
            tile=options.tile,
            overlap=tiling.overlap,
            batch=options.batch or device_batch(model, options.tile),
            place_batch=options.place_batch or model.place_batch,
            instruction=instruction,
            regularise=options.regularise,
        )
        state = map_changes(
            pair, inspection, model, folder,
            tiling=tiling, batch=settings.batch, progress=_step(progress, "windows"),
        )  # fmt: skip
        mapped = time.perf_counter()
        polygons = find_polygons(state.drafts / MASK, state.drafts / PROBABILITY, pair.grid)
        regions, home = find_regions(polygons, pair.grid)
        places = describe_places(
            regions, pair, lambda one, two: model.describe_batch(one, two, instruction),
            settings.place_batch, _step(progress, "places"),
        )  # fmt: skip
        ended = time.perf_counter()
        timings = {"windows": mapped - start, "places": ended - mapped, "total": ended - start}
        figures = _figures(polygons, pair.grid, state.known_pixels, len(places), model.num_classes)
        formats = () if out is None else options.formats
        report = _report(model, pair, inspection, settings, figures, places, formats, dates, timings)
        if out is not None:
            report = dataclasses.replace(report, files=_names(formats, pair.grid), folder=folder)
            _write_files(report, state, pair, polygons, home)
            state.publish(stale=OUTPUTS)
    return report


def check_scene(
    before: str | Path, after: str | Path, out: str | Path | None, options: SceneOptions
) -> ScenePlan:
    """Finds most of what can be wrong with the input in seconds, before a model is loaded; reads no whole image.

    Returns:
        What the work takes.

    Raises:
        ImageError, InputError, OutputError: as `SemanticCC.describe_scene`.
    """
    _check_files(before, after, out)
    with open_images(before, after, options) as pair:
        plan = plan_scene(pair, scene_tiling(pair.grid, options.tile, options.overlap))
        if out is not None:
            plan.check_disk(check_outputs(out, OUTPUTS, _files_of(pair)))
        return plan


def _check_files(before: str | Path, after: str | Path, out: str | Path | None) -> None:
    """Checks the output folder against both images, before anything is opened.

    Raises:
        OutputError: the folder cannot be written, or an output would replace an image.
    """
    if out is None:
        return
    check_outputs(out, OUTPUTS, [image for image in (before, after) if not is_remote(image)])
    scan = Path(out).resolve() / SCAN
    for image in (before, after):
        if not is_remote(image) and scan in Path(image).resolve().parents:
            raise OutputError(
                f"{image}: lies in {scan}, which the scan replaces; move it or choose another --out"
            )


def _files_of(pair: AlignedPair) -> list[str]:
    """All files that the two images consist of, those that a VRT names among them."""
    return [name for raster in pair.rasters for name in raster.dataset.files]


def _step(progress: Advance | None, name: str) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, total: progress(name, done, total)


def _names(formats: Sequence[str], grid: Grid) -> tuple[str, ...]:
    """The files of a scene, those of the formats that can hold it among them."""
    written = [f"{LAYER}.{suffix}" for suffix in FORMATS if suffix in formats and can_hold(suffix, grid)]
    return (MASK, PROBABILITY, *written, REPORT, PAGE, ITEM)


def _report(
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
        timings={step: round(seconds, 3) for step, seconds in timings.items()},
        files=(),
        version=__version__,
    )


def _write_files(
    report: SceneReport, state: ScanState, pair: AlignedPair, polygons: Polygons, home: np.ndarray
) -> None:
    """Writes all files of the report except the two rasters as drafts.

    Raises:
        OutputError: one cannot be written.
    """
    drafts, mask, grid = state.drafts, state.drafts / MASK, pair.grid
    outlines = regular_outlines(polygons, grid) if report.settings.regularise else polygons.shapes
    frame = make_frame(polygons, outlines, home, [place.sentence for place in report.places], grid)
    try:
        for suffix in FORMATS:
            if f"{LAYER}.{suffix}" in report.files:
                write_frame(frame, drafts, suffix)
        write_page(drafts / PAGE, report, make_overview(pair, mask), pair, mask)
        write_item(drafts / ITEM, report, polygons, grid)
        text = json.dumps(report.to_json(), indent=2, ensure_ascii=False)
        (drafts / REPORT).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        if isinstance(error, SemanticCCError):
            raise
        raise OutputError(
            f"cannot write to {report.folder}: {error.strerror or error}; free space and start again"
        ) from error


def _figures(polygons: Polygons, grid: Grid, known: int, places: int, num_classes: int) -> SceneFigures:
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

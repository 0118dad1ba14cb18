"""Describes a scene: from two images to the report and its files."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from semantic_cc.errors import OutputError, SemanticCCError
from semantic_cc.files import check_outputs
from semantic_cc.progress import Advance
from semantic_cc.scene.change_map import (
    MASK,
    PROBABILITY,
    device_batch,
    inspect_scene,
    map_changes,
    open_images,
)
from semantic_cc.scene.common_grid import AlignedPair
from semantic_cc.scene.export_formats import FORMATS, LAYER
from semantic_cc.scene.html_report import write_page
from semantic_cc.scene.image_sources import is_remote
from semantic_cc.scene.make_report import ITEM, PAGE, REPORT, file_names, make_figures, make_report
from semantic_cc.scene.places import describe_places, find_regions
from semantic_cc.scene.polygons import Polygons, find_polygons, regular_outlines
from semantic_cc.scene.report_images import make_overview
from semantic_cc.scene.scan_state import SCAN, ScanState
from semantic_cc.scene.scene_model import SceneModel
from semantic_cc.scene.scene_options import SceneOptions
from semantic_cc.scene.scene_plan import ScenePlan, plan_scene
from semantic_cc.scene.scene_report import SceneReport, SceneSettings
from semantic_cc.scene.stac_item import read_time, write_item
from semantic_cc.scene.step_clock import StepClock, TimedPair
from semantic_cc.scene.tiling import Tiling, scene_tiling
from semantic_cc.scene.vector_export import make_frame, write_frame
from semantic_cc.sentences import check_instruction

OUTPUTS = (MASK, PROBABILITY, *(f"{LAYER}.{suffix}" for suffix in FORMATS), REPORT, PAGE, ITEM)
"""All names that the files of a scene can have in the output folder."""


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
    """Describes a scene with any `SceneModel`; arguments, result and errors as in `SemanticCC.describe_scene`."""
    with prepare_scene(
        before, after, out=out, options=options, instruction=instruction, dates=dates
    ) as scene:
        return scene.describe(model, progress)


@dataclass(frozen=True)
class PreparedScene:
    """A scene that is open and checked but not yet described; made by `prepare_scene`.

    Attributes:
        plan: number of windows, and the disk space and memory that the description needs.
        pair: the two images on one grid.
        tiling: the windows.
        folder: output folder; a temporary folder if nothing is to be written.
        is_written: whether the files are to be written.
        options, instruction, dates: as in `SemanticCC.describe_scene`.
        seconds: time that opening the images took.
    """

    plan: ScenePlan
    pair: AlignedPair
    tiling: Tiling
    folder: Path
    is_written: bool
    options: SceneOptions
    instruction: str | None
    dates: tuple[str, str] | None
    seconds: float

    def describe(self, model: SceneModel, progress: Advance | None = None) -> SceneReport:
        """Describes the scene.

        Args:
            model: the model.
            progress: called with ("windows" or "places", done, total).

        Raises:
            ImageError, InputError, OutputError, DeviceMemoryError: as in `SemanticCC.describe_scene`.
        """
        clock = StepClock(self.seconds)
        pair, options = self.pair, self.options
        self.plan.check_disk(self.folder)
        with clock.step("read"):
            inspection = inspect_scene(pair, options)
        settings = SceneSettings(
            tile=options.tile,
            overlap=self.tiling.overlap,
            batch=options.batch or device_batch(model, options.tile),
            place_batch=options.place_batch or model.place_batch,
            instruction=self.instruction,
            regularise=options.regularise,
        )
        with clock.step("rasters"):
            state = map_changes(
                pair, inspection, model, self.folder,
                tiling=self.tiling, batch=settings.batch, clock=clock, progress=_step(progress, "windows"),
            )  # fmt: skip
        with clock.step("polygons"):
            polygons = find_polygons(state.drafts / MASK, state.drafts / PROBABILITY, pair.grid)
            regions, home = find_regions(polygons, pair.grid)
        with clock.step("sentences"):
            places = describe_places(
                regions, TimedPair(pair, clock), partial(model.describe_batch, instruction=self.instruction),
                settings.place_batch, _step(progress, "places"),
            )  # fmt: skip
        figures = make_figures(polygons, pair.grid, state.known_pixels, len(places), model.num_classes)
        formats = options.formats if self.is_written else ()
        report = make_report(
            model, pair, inspection, settings, figures, places, formats, self.dates, clock.timings()
        )
        if self.is_written:
            report = dataclasses.replace(report, files=file_names(formats, pair.grid), folder=self.folder)
            report = _write_files(report, state, pair, polygons, home, clock)
            state.publish(stale=OUTPUTS)
        return report


@contextlib.contextmanager
def prepare_scene(
    before: str | Path,
    after: str | Path,
    *,
    out: str | Path | None = None,
    options: SceneOptions | None = None,
    instruction: str | None = None,
    dates: tuple[str, str] | None = None,
) -> Iterator[PreparedScene]:
    """Opens a scene and checks its input, as far as possible without a model.

    Args and Raises:
        As in `SemanticCC.describe_scene`.

    Example:
        with prepare_scene("before.tif", "after.tif", out="changes") as scene:
            print(scene.plan.windows)
            report = scene.describe(SemanticCC.from_pretrained("small"))
    """
    start = time.perf_counter()
    options = options or SceneOptions()
    check_instruction(instruction)
    for text in dates or ():
        read_time(text)
    _check_files(before, after, out)
    with contextlib.ExitStack() as held:
        pair = held.enter_context(open_images(before, after, options))
        if out is None:
            folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="semantic-cc-")))
        else:
            folder = check_outputs(out, OUTPUTS, _files_of(pair))
        tiling = scene_tiling(pair.grid, options.tile, options.overlap)
        plan = plan_scene(pair, tiling)
        plan.check_disk(folder)
        yield PreparedScene(
            plan=plan,
            pair=pair,
            tiling=tiling,
            folder=folder,
            is_written=out is not None,
            options=options,
            instruction=instruction,
            dates=dates,
            seconds=time.perf_counter() - start,
        )


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
                f"{image}: is in {scan}, which this run replaces; move it or choose another --out"
            )


def _files_of(pair: AlignedPair) -> list[str]:
    """All files that the two images consist of, including those that a VRT names."""
    return [name for raster in pair.rasters for name in raster.dataset.files]


def _step(progress: Advance | None, name: str) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, total: progress(name, done, total)


def _write_files(
    report: SceneReport,
    state: ScanState,
    pair: AlignedPair,
    polygons: Polygons,
    home: np.ndarray,
    clock: StepClock,
) -> SceneReport:
    """Writes all files of the report except the two rasters as drafts; returns it with the seconds of this step too.

    Raises:
        OutputError: one cannot be written.
    """
    drafts, mask, grid = state.drafts, state.drafts / MASK, pair.grid
    try:
        with clock.step("files"):
            outlines = regular_outlines(polygons, grid) if report.settings.regularise else polygons.shapes
            frame = make_frame(polygons, outlines, home, [place.sentence for place in report.places], grid)
            for suffix in FORMATS:
                if f"{LAYER}.{suffix}" in report.files:
                    write_frame(frame, drafts, suffix)
            write_page(drafts / PAGE, report, make_overview(pair, mask), pair, mask)
            write_item(drafts / ITEM, report, polygons, grid)
        report = dataclasses.replace(report, timings=clock.timings())
        text = json.dumps(report.to_json(), indent=2, ensure_ascii=False)
        (drafts / REPORT).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        if isinstance(error, SemanticCCError):
            raise
        raise OutputError(
            f"cannot write to {report.folder}: {error.strerror or error}; free space and start again"
        ) from error
    return report

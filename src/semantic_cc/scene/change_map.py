"""The mask of a scene: two images in, mask.tif and probability.tif out; the language model does not run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from semantic_cc import __version__
from semantic_cc.errors import DeviceMemoryError
from semantic_cc.scene.cog_writer import write_mask, write_probability
from semantic_cc.scene.common_grid import AlignedPair, open_pair
from semantic_cc.scene.gdal_files import read_crs
from semantic_cc.scene.geodesy import ground_sampling
from semantic_cc.scene.grid import Grid
from semantic_cc.scene.image_sources import identity_of
from semantic_cc.scene.input_checks import Inspection, inspect_pair, refuse_findings
from semantic_cc.scene.overviews import BLOCK
from semantic_cc.scene.raster import Raster
from semantic_cc.scene.scan_state import ScanState
from semantic_cc.scene.scene_model import SceneModel
from semantic_cc.scene.scene_options import SceneOptions
from semantic_cc.scene.sliding_window import scan
from semantic_cc.scene.step_clock import StepClock, TimedPair
from semantic_cc.scene.tiling import Tiling
from semantic_cc.types import Json

MASK, PROBABILITY = "mask.tif", "probability.tif"

CPU_BATCH, MOST_BATCH = 4, 64
"""Windows that the model gets at once on the CPU; the most that are tried elsewhere."""


@contextlib.contextmanager
def open_scene(
    before: str | Path, after: str | Path, options: SceneOptions
) -> Iterator[tuple[AlignedPair, Inspection]]:
    """Opens two images as one scene and measures whether they can be compared.

    Raises:
        ImageError, InputError: as `open_pair`; with `strict`, there are findings.
    """
    with open_images(before, after, options) as pair:
        yield pair, inspect_scene(pair, options)


def inspect_scene(pair: AlignedPair, options: SceneOptions) -> Inspection:
    """Measures whether two images can be compared.

    Raises:
        ImageError, InputError: as `inspect_pair`; with `strict`, there are findings.
    """
    inspection = inspect_pair(pair, coregister=options.coregister)
    if options.strict:
        refuse_findings(inspection.findings)
    return inspection


def open_images(
    before: str | Path, after: str | Path, options: SceneOptions
) -> contextlib.AbstractContextManager[AlignedPair]:
    """`open_pair` with the options of a scene; measures nothing."""
    return open_pair(
        before,
        after,
        bands=options.bands,
        crs=None if options.crs is None else read_crs(options.crs),
        resolution=options.resolution,
        match_radiometry=options.match_radiometry,
    )


def map_changes(
    pair: AlignedPair,
    inspection: Inspection,
    model: SceneModel,
    folder: Path,
    *,
    tiling: Tiling,
    batch: int,
    clock: StepClock,
    progress: Callable[[int, int], None] | None = None,
) -> ScanState:
    """Predicts the mask of a scene and writes `MASK` and `PROBABILITY` as drafts of the returned state.

    A run that was killed continues where it was when it is started again with the same inputs and settings, and ends
    with the same bytes. (Another batch continues too; the last digits of probabilities may depend on it.)

    - ``mask.tif``: COG of `LABEL_VALUES`, nodata `MASK_UNKNOWN`.
    - ``probability.tif``: COG of the change probability, 0..254 for 0..1, nodata 255.

    Args:
        pair, inspection: of `open_scene`.
        model: gives masks.
        folder: the output folder, made if need be.
        tiling: the windows.
        batch: windows at once.
        clock: counts the steps "read" and "masks".
        progress: called with the windows done and all windows.

    Raises:
        ImageError: a part of an image cannot be read.
        InputError: the model gives no masks.
        OutputError: something cannot be written.
        SemanticCCError: the memory does not suffice for the batch.
    """
    num_classes = model.num_classes
    job: dict[str, Json] = {
        "version": __version__,
        "model": [model.info.name, model.info.digest],
        "inputs": [_input(raster) for raster in pair.rasters],
        "grid": _grid(pair.grid),
        "tiling": dict(asdict(tiling)),
        "measured": dict(inspection.measured),
    }
    state = ScanState(folder, pair.grid, tiling, job)
    scan(
        TimedPair(pair, clock),
        clock.timed("masks", model.predict_masks),
        state,
        num_classes=num_classes,
        tiling=tiling,
        batch=batch,
        progress=progress,
    )
    before, after = (raster.name for raster in pair.rasters)
    tags = {
        "TIFFTAG_SOFTWARE": f"semantic-cc {__version__}",
        "SEMANTIC_CC_MODEL": model.info.name,
        "SEMANTIC_CC_MODEL_DIGEST": str(model.info.digest),
        "SEMANTIC_CC_BEFORE": before,
        "SEMANTIC_CC_AFTER": after,
    }
    write_mask(state.drafts / MASK, pair.grid, state.blocks("mask", BLOCK), tags)
    write_probability(state.drafts / PROBABILITY, pair.grid, state.blocks("probability", BLOCK), tags)
    return state


def device_batch(model: SceneModel, tile: int) -> int:
    """The most windows, by halves from `MOST_BATCH`, for which a GPU's memory suffices; `CPU_BATCH` on the CPU."""
    if model.device == "cpu":
        return CPU_BATCH
    batch = MOST_BATCH
    while batch > 1:
        blank = np.zeros((batch, tile, tile, 3), np.uint8)
        try:
            model.predict_masks(blank, blank)
            break
        except DeviceMemoryError:
            batch //= 2
    return batch


def _grid(grid: Grid) -> dict[str, Json]:
    return {
        "width": grid.width,
        "height": grid.height,
        "transform": list(grid.transform)[:6],
        "crs": None if grid.crs is None else grid.crs.to_string(),
        "pixel_size_m": list(ground_sampling(grid) or ()),
    }


def _input(raster: Raster) -> dict[str, Any]:
    """The identity of an input, and how it is read."""
    return {
        **identity_of(raster.name),
        "bands": list(raster.bands),
        "stretch": repr(raster.stretch),
        "grid": _grid(raster.grid),
    }

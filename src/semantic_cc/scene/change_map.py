"""The map of a scene's changes: two images in, mask, probability and the facts of each window out."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.crs import CRS

from semantic_cc import __version__
from semantic_cc.errors import OutputError, SemanticCCError
from semantic_cc.predictor import SemanticCC
from semantic_cc.scene.cog_writer import write_mask, write_probability
from semantic_cc.scene.common_grid import AlignedPair, open_pair
from semantic_cc.scene.geodesy import ground_sampling
from semantic_cc.scene.grid import Grid
from semantic_cc.scene.image_sources import identity_of
from semantic_cc.scene.input_checks import Inspection, inspect_pair, refuse_findings
from semantic_cc.scene.scan_state import MASK_UNKNOWN, ScanState
from semantic_cc.scene.sliding_window import FACTS, asks_for_words, scan
from semantic_cc.scene.tiling import Tiling
from semantic_cc.types import BUILDING, NONE, ROAD

FILES = ("mask.tif", "probability.tif", "scene.json")
"""What a scan leaves in its folder."""

CPU_BATCH, MOST_BATCH = 4, 64
"""Windows that the model gets at once on the CPU; the most that are tried elsewhere."""

_NAMES = {NONE: "none", ROAD: "road", BUILDING: "building", MASK_UNKNOWN: "unknown"}


@dataclass(frozen=True)
class SceneOptions:
    """How two images become one scene.

    Attributes:
        bands: of each image, red, green and blue; None = as the file says.
        crs: coordinate reference system of images that name none.
        resolution: metres of a pixel; None = the finer image's.
        coregister: take back a shift of the later image of more than a pixel.
        strict: findings of the inspection are errors.
    """

    bands: tuple[tuple[int, int, int] | None, tuple[int, int, int] | None] = (None, None)
    crs: CRS | None = None
    resolution: float | None = None
    coregister: bool = False
    strict: bool = False


@contextlib.contextmanager
def open_scene(
    before: str | Path, after: str | Path, options: SceneOptions
) -> Iterator[tuple[AlignedPair, Inspection]]:
    """Opens two images as one scene and looks at whether they can be compared.

    Raises:
        ImageError, InputError: as `open_pair`; with `strict`, there are findings.
    """
    with open_pair(
        before, after, bands=options.bands, crs=options.crs, resolution=options.resolution
    ) as pair:
        inspection = inspect_pair(pair, coregister=options.coregister)
        if options.strict:
            refuse_findings(inspection.findings)
        yield pair, inspection


def map_changes(
    pair: AlignedPair,
    inspection: Inspection,
    model: SemanticCC,
    folder: Path,
    *,
    tiling: Tiling,
    batch: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Writes `FILES` to a folder; the language model does not run.

    A run that is killed is taken up where it was when it is started again with the same inputs and settings, and
    ends with the same bytes but for ``timings``. (Another batch goes on too; a model's last digits may depend on it.)

    - ``mask.tif``: COG of `LABEL_VALUES`, nodata `MASK_UNKNOWN`.
    - ``probability.tif``: COG of the probability of change, 0..254 for 0..1, nodata 255.
    - ``scene.json``: what is returned.

    Args:
        pair, inspection: of `open_scene`.
        model: gives masks.
        folder: made if need be.
        tiling: the windows.
        batch: windows at once; None = `device_batch`.
        progress: called with the windows done and all windows.

    Raises:
        ImageError: a part of an image cannot be read.
        InputError: the model gives no masks.
        OutputError: something cannot be written.
        SemanticCCError: the memory does not suffice for the batch.
    """
    start = time.perf_counter()
    planes = model.planes
    batch = batch or device_batch(model, tiling.tile)
    job = {
        "version": __version__,
        "model": {"name": model.info.name, "digest": model.info.digest},
        "inputs": [_input(raster) for raster in pair.rasters],
        "grid": grid_as_json(pair.grid),
        "tiling": asdict(tiling),
        **inspection.as_json(),
    }
    state = ScanState(folder, pair.grid, tiling, job)
    scan(pair, model.predict_masks, state, planes=planes, tiling=tiling, batch=batch, progress=progress)
    scanned = time.perf_counter()
    tags = _tags(job)
    write_mask(state.draft("mask.tif"), pair.grid, state.plane("mask"), tags)
    write_probability(state.draft("probability.tif"), pair.grid, state.plane("probability"), tags)
    report = {
        **job,
        "batch": batch,
        "classes": {
            str(value): _NAMES[value] for value in ((BUILDING,) if planes == 2 else (ROAD, BUILDING))
        },
        "notes": [*pair.notes, *model.info.notes],
        "shared": round(pair.shared, 6),
        "area_m2": _area(pair),
        "pixels": _count(state.plane("mask")),
        "windows": _windows(state.facts(), pair.grid, tiling),
        "files": list(FILES),
        "timings": {"scan": round(scanned - start, 3), "write": round(time.perf_counter() - scanned, 3)},
    }
    try:
        state.draft("scene.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise OutputError(
            f"cannot write to {folder}: {error.strerror}; free space and start again"
        ) from error
    state.publish(*FILES)
    return report


def device_batch(model: SemanticCC, tile: int) -> int:
    """The most windows, by halves from `MOST_BATCH`, for which a GPU's memory suffices; `CPU_BATCH` on the CPU."""
    if model.device.type == "cpu":
        return CPU_BATCH
    batch = MOST_BATCH
    while batch > 1:
        blank = np.zeros((batch, tile, tile, 3), np.uint8)
        try:
            model.predict_masks(blank, blank)
            break
        except SemanticCCError:  # the memory does not suffice
            batch //= 2
    return batch


def grid_as_json(grid: Grid) -> dict[str, Any]:
    """A grid in plain values: ``transform`` is (a, b, c, d, e, f) of x = a column + b row + c, y = d column + ..."""
    return {
        "width": grid.width,
        "height": grid.height,
        "transform": list(grid.transform)[:6],
        "crs": None if grid.crs is None else grid.crs.to_string(),
        "metres_a_pixel": ground_sampling(grid),
    }


def _input(raster: Any) -> dict[str, Any]:
    stretch = raster.stretch
    return {
        **identity_of(raster.name),
        "bands": list(raster.bands),
        "stretch": None if stretch is None else [stretch.low.tolist(), stretch.high.tolist()],
        "grid": grid_as_json(raster.grid),
    }


def _tags(job: dict[str, Any]) -> dict[str, str]:
    """What a raster says of its making."""
    return {
        "TIFFTAG_SOFTWARE": f"semantic-cc {job['version']}",
        "SEMANTIC_CC_MODEL": job["model"]["name"],
        "SEMANTIC_CC_MODEL_DIGEST": str(job["model"]["digest"]),
        "SEMANTIC_CC_BEFORE": job["inputs"][0]["name"],
        "SEMANTIC_CC_AFTER": job["inputs"][1]["name"],
    }


def _area(pair: AlignedPair) -> float | None:
    """Square metres on the ground that both images' outlines cover; None without a place on the map."""
    sides = ground_sampling(pair.grid)
    if sides is None:
        return None
    return round(sides[0] * sides[1] * pair.grid.width * pair.grid.height * pair.shared, 1)


def _count(mask: np.ndarray) -> dict[str, int]:
    """Pixels of each class."""
    counts = np.zeros(256, np.int64)
    for top in range(0, len(mask), 512):
        counts += np.bincount(mask[top : top + 512].ravel(), minlength=256)
    return {name: int(counts[value]) for value, name in _NAMES.items()}


def _windows(facts: np.ndarray, grid: Grid, tiling: Tiling) -> list[dict[str, Any]]:
    """Place and facts of each window; `None` for what was not measured."""
    height, width = min(tiling.tile, grid.height), min(tiling.tile, grid.width)
    asks = asks_for_words(facts)
    return [
        {
            "top": top, "left": left, "height": height, "width": width,
            **{
                name: None if np.isnan(value) else round(float(value), 4)
                for name, value in zip(FACTS, facts[row, column], strict=True)
            },
            "asks_for_words": bool(asks[row, column]),
        }
        for row, top in enumerate(tiling.starts(grid.height))
        for column, left in enumerate(tiling.starts(grid.width))
    ]  # fmt: skip

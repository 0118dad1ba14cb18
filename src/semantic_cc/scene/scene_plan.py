"""What the work on a scene takes, estimated before it starts: windows, time, disk and memory."""

from __future__ import annotations

import resource
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np

from semantic_cc.errors import OutputError
from semantic_cc.scene.blend import SEGMENT
from semantic_cc.scene.grid import Grid, ScenePair
from semantic_cc.scene.overviews import BLOCK
from semantic_cc.scene.scan_state import SCAN
from semantic_cc.scene.scene_model import SceneModel
from semantic_cc.scene.sparse_blocks import runs
from semantic_cc.scene.tiling import Tiling

LONG = 500
"""Windows from which on the plan is printed: some minutes on a CPU."""

PLANES, PAGE = 2, 4096
"""Planes of a byte a pixel that a `ScanState` keeps; bytes in which the file system gives it disk."""

RASTER_BYTES = 1.5
"""Bytes on disk of a pixel in both compressed rasters, as plain TIFF and as COG, at most about."""

BLOCK_BYTES, BLOCK_SECONDS = 64, 2e-4
"""Of every block of both rasters, empty or not: bytes of its place in the files, seconds of GDAL's look at it."""

ROW_CLASSES = 3
"""Class probabilities of a pixel for which memory is estimated."""


@dataclass(frozen=True)
class ScenePlan:
    """What the work on a scene takes.

    Attributes:
        windows: that the model gets at most.
        empty_windows: of which the files hold nothing; they cost nothing.
        tile: side of a window in pixels.
        disk_bytes: in the output folder, while the work runs, at most about; without polygons and page.
        write_seconds: that the rasters take whatever they hold.
        work_bytes: of memory for the rows under work, beside model and images.
    """

    windows: int
    empty_windows: int
    tile: int
    disk_bytes: int
    write_seconds: float
    work_bytes: int

    @property
    def is_long(self) -> bool:
        """Whether it is worth a line."""
        return self.windows + self.empty_windows >= LONG

    def check_disk(self, folder: Path) -> int:
        """Bytes that are free for the work in `folder`, those of an interrupted run's state among them.

        Raises:
            OutputError: they do not suffice.
        """
        free = _free_bytes(folder)
        if free < self.disk_bytes:
            raise OutputError(
                f"{folder}: the scene takes up to {_gb(self.disk_bytes)} on disk while it is worked on, and "
                f"{_gb(free)} are free; free space or choose another --out"
            )
        return free

    def line(self, seconds: float, free: int | None = None) -> str:
        """For people.

        Args:
            seconds: of a window, as `measure_window` gives them; its batch is in memory's peak by then.
            free: bytes on the disk, None where nothing is written.
        """
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + self.work_bytes
        empty = f" ({self.empty_windows:,} more are empty and cost nothing)" if self.empty_windows else ""
        disk = "" if free is None else f"up to {_gb(self.disk_bytes)} on disk ({_gb(free)} are free), "
        total = timedelta(seconds=round(self.windows * seconds + self.write_seconds))
        return (
            f"plan: {self.windows:,} windows of {self.tile} pixels{empty}, about {total} at {seconds:.2g} s each, "
            f"then the sentence of each place; {disk}about {_gb(memory)} of memory; a run that is interrupted "
            "continues when it is started again"
        )


def plan_scene(pair: ScenePair, tiling: Tiling) -> ScenePlan:
    """The plan of a pair's scene; reads no pixel."""
    grid = pair.grid
    tops, lefts = tiling.starts(grid.height, 0), tiling.starts(grid.width, 1)
    size = min(tiling.tile, grid.height), min(tiling.tile, grid.width)
    shown = pair.may_show(tops, lefts, *size)
    windows = int(shown.sum())
    pixels = min(grid.width * grid.height, windows * (tiling.tile - tiling.overlap) ** 2 + tiling.tile**2)
    blocks = (-(-grid.height // BLOCK)) * (-(-grid.width // BLOCK)) * 4 / 3  # with the overviews
    return ScenePlan(
        windows=windows,
        empty_windows=len(tops) * len(lefts) - windows,
        tile=tiling.tile,
        disk_bytes=round(
            PLANES * _plane_bytes(shown, tops, lefts, grid, size[1])
            + RASTER_BYTES * pixels
            + BLOCK_BYTES * blocks
        ),
        write_seconds=BLOCK_SECONDS * blocks,
        work_bytes=max(
            _blended_columns(shown, lefts, grid.width, size[1]) * size[0] * (8 * ROW_CLASSES + 1),
            grid.width * 2 * BLOCK,
        ),
    )


def _plane_bytes(shown: np.ndarray, tops: Sequence[int], lefts: Sequence[int], grid: Grid, tile: int) -> int:
    """Bytes on disk of a plane: what neighbouring windows cover in each of its rows, in whole pages.

    Args:
        shown: (rows, columns) bool, the windows.
        tops, lefts: first row and column of each.
        grid: the scene's.
        tile: width of a window.
    """
    ends = [max(top, 0) for top in tops[1:]] + [grid.height]
    size = 0
    for row, (top, end) in enumerate(zip(tops, ends, strict=True)):
        covered = 0
        for first, last in runs(shown[row]):
            covered += min(lefts[last - 1] + tile, grid.width) - max(lefts[first], 0) + PAGE
        size += min(covered, grid.width) * (end - max(top, 0))
    return size


def _blended_columns(shown: np.ndarray, lefts: Sequence[int], width: int, tile: int) -> int:
    """Most columns that a `RowBlender` holds at once: those of the segments that two rows of windows touch.

    Args:
        shown: (rows, columns) bool, the windows.
        lefts: first column of each column of windows.
        width: of the scene.
        tile: width of a window.
    """
    held = np.zeros((len(shown), -(-width // SEGMENT)), bool)
    for column, left in enumerate(lefts):
        last = min(left + tile, width) - 1
        held[:, max(left, 0) // SEGMENT : last // SEGMENT + 1] |= shown[:, column, None]
    held[1:] |= held[:-1].copy()
    widths = np.full(held.shape[1], SEGMENT)
    widths[-1] = width - (len(widths) - 1) * SEGMENT
    return int((held @ widths).max())


def measure_window(model: SceneModel, tile: int, batch: int) -> float:
    """Seconds that a window takes, in the second of two batches of noise."""
    noise = np.random.default_rng(0).integers(0, 256, (batch, tile, tile, 3), dtype=np.uint8)
    model.predict_masks(noise, noise)  # the first call also sets up what later ones use
    start = time.perf_counter()
    model.predict_masks(noise, noise)
    return (time.perf_counter() - start) / batch


def _free_bytes(folder: Path) -> int:
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    scan = folder / SCAN
    held = (
        sum(path.stat().st_blocks * 512 for path in scan.iterdir() if path.is_file()) if scan.is_dir() else 0
    )
    return shutil.disk_usage(place).free + held


def _gb(size: float) -> str:
    return f"{size / 1e9:.2g} GB" if size < 1e11 else f"{size / 1e9:,.0f} GB"

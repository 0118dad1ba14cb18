"""One pass over a scene: windows in, blended rows of class probabilities out."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import Protocol

import numpy as np

from semantic_cc.read_ahead import read_ahead
from semantic_cc.scene.blend import BlendedPart, RowBlender
from semantic_cc.scene.grid import Grid, ScenePair, Window
from semantic_cc.scene.tiling import Tiling
from semantic_cc.types import ChangeMaps

PredictMasks = Callable[[np.ndarray, np.ndarray], ChangeMaps]
"""Before and after, (n, h, w, 3) uint8 RGB -> the masks of each."""


class Sink(Protocol):
    """Where a scan's results go."""

    rows: int
    """Rows of windows that are in already."""

    def put(self, top: int, count: int, parts: Iterable[BlendedPart]) -> None:
        """Takes one more row of windows, whole or not at all.

        Args:
            top: first of the scene's finished rows.
            count: their number, n.
            parts: their pixels; what lies in no part is unknown.
        """
        ...


def scan(
    pair: ScenePair,
    predict_masks: PredictMasks,
    sink: Sink,
    *,
    num_classes: int,
    tiling: Tiling,
    batch: int,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Predicts the mask of every window of a scene once.

    The next batch is read while the model works. Memory is bounded by one row of windows. Windows without a known pixel
    are not predicted, and those of which the files hold nothing are not even read. Where a window reaches beyond the
    scene, and where either date is unknown, it shows what lies beside mirrored. Where the sink holds rows of windows
    already, those of them that reach into unfinished rows are predicted again, in the same batches; the others are not.

    Args:
        pair: the scene.
        predict_masks: the model; a batch holds windows of one row.
        sink: takes the results, from the top down.
        num_classes: K, probabilities of a pixel, the class "none" first.
        tiling: the windows.
        batch: most windows that `predict_masks` gets at once.
        progress: called with the windows done and all windows of which the files hold something.

    Raises:
        ImageError: a part of an image cannot be read.
    """
    grid = pair.grid
    tops, lefts = tiling.starts(grid.height, 0), tiling.starts(grid.width, 1)
    size = min(tiling.tile, grid.height), min(tiling.tile, grid.width)
    blender = RowBlender(grid.height, grid.width, tiling, num_classes)
    done = sink.rows
    if done == len(tops):
        return
    blender.skip_to(done)
    # A row's windows end where the first unfinished row begins, or reach into it.
    again = [row for row in range(done) if tops[row] + size[0] > tops[done]]
    shown = [np.flatnonzero(row).tolist() for row in pair.may_show(tops, lefts, *size)]
    ends, total = list(accumulate(map(len, shown))), sum(map(len, shown))
    for row in [*again, *range(done, len(tops))]:
        windows = [(column, Window(tops[row], lefts[column], *size)) for column in shown[row]]
        for columns, before, after, known in read_ahead(_batches(pair, windows, batch)):
            maps = predict_masks(before, after)
            for n, column in enumerate(columns):
                blender.add(row, column, maps.class_probabilities[n], known[n])
            if progress and row >= done:
                progress(ends[row] - len(windows) + bisect_left(shown[row], columns[-1]), total)
        if row >= done:
            sink.put(*blender.finish(row))
            if progress:
                progress(ends[row], total)


def _batches(
    pair: ScenePair, windows: list[tuple[int, Window]], batch: int
) -> Iterator[tuple[list[int], np.ndarray, np.ndarray, np.ndarray]]:
    """Columns, before, after and known of the windows where anything is known, `batch` at a time."""
    held: list[tuple[int, np.ndarray, np.ndarray, np.ndarray]] = []
    for place, (column, window) in enumerate(windows, 1):
        before, after, known = pair.read(window)
        if known.any():
            held.append((column, *_shown(before, after, known, window, pair.grid), known))
        if held and (len(held) == batch or place == len(windows)):
            columns, befores, afters, knowns = zip(*held, strict=True)
            yield list(columns), np.stack(befores), np.stack(afters), np.stack(knowns)
            held = []


def _shown(
    before: np.ndarray, after: np.ndarray, known: np.ndarray, window: Window, grid: Grid
) -> tuple[np.ndarray, np.ndarray]:
    """Both dates of a window, (h, w, 3), as the model sees them.

    Pixels that only one date shows would look like a change, and a model takes black for the end of what stands there.
    So what either date does not know is mirrored from what both know, and so is the scene at its edges.
    """
    rows = max(0, -window.top), max(0, window.top + window.height - grid.height)
    columns = max(0, -window.left), max(0, window.left + window.width - grid.width)
    inside = np.s_[rows[0] : window.height - rows[1], columns[0] : window.width - columns[1]]
    sources = None if known[inside].all() else _mirror_sources(known[inside])
    first, second = (
        image[inside] if sources is None else image[inside][sources] for image in (before, after)
    )
    if any((*rows, *columns)):
        first, second = (
            np.pad(image, (rows, columns, (0, 0)), mode="symmetric") for image in (first, second)
        )
    return first, second


def _mirror_sources(known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row and column, both (h, w), of the known pixel to show in each pixel of `known`, (h, w) bool.

    A known pixel shows itself. An unknown one is reflected at the known pixel nearest to it, and shows that one where
    the reflection is not known either.
    """
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    reflected = 2 * nearest - np.indices(known.shape)
    size = np.reshape(known.shape, (2, 1, 1))
    is_inside = ((reflected >= 0) & (reflected < size)).all(axis=0)
    rows, columns = np.where(is_inside, reflected, nearest)
    rows, columns = np.where(known[rows, columns], (rows, columns), nearest)
    return rows, columns

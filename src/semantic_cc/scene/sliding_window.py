"""One pass over a scene: windows in, blended rows of class probabilities and facts of each window out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from semantic_cc.decisions import class_mask, is_changed
from semantic_cc.scene.blend import RowBlender
from semantic_cc.scene.grid import ScenePair, Window
from semantic_cc.scene.tiling import Tiling
from semantic_cc.types import NONE, ChangeMaps

PredictMasks = Callable[[np.ndarray, np.ndarray], ChangeMaps]
"""Before and after, (n, h, w, 3) uint8 RGB -> what a model locates in each."""

FACTS = ("flag", "heat", "changed", "known")
"""What is kept of a window: flag probability (NaN without a flag head), mean heat, and the shares of its pixels that
its own mask calls changed and that are known. All NaN but `known` = 0 where nothing is known and no model looked."""


class Sink(Protocol):
    """Where a scan's results go."""

    rows: int
    """Rows of windows that are in already."""

    def put(self, top: int, probabilities: np.ndarray, known: np.ndarray, facts: np.ndarray) -> None:
        """Takes one more row of windows, whole or not at all.

        Args:
            top: first of the scene's finished rows.
            probabilities: (K, n, W) float32 of the finished rows.
            known: (n, W) bool.
            facts: (windows in a row, len(FACTS)) float32.
        """
        ...


def scan(
    pair: ScenePair,
    predict_masks: PredictMasks,
    sink: Sink,
    *,
    planes: int,
    tiling: Tiling,
    batch: int,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Looks at every window of a scene once.

    Memory is bounded by one row of windows. Where the sink holds rows of windows already, those of them that reach
    into unfinished rows are looked at again, in the same batches, and the rest is not.

    Args:
        pair: the scene.
        predict_masks: the model; windows of one row alone share a batch.
        sink: takes the results, from the top down.
        planes: probabilities of a pixel, the class "none" first.
        tiling: the windows.
        batch: most windows that `predict_masks` gets at once.
        progress: called with the windows done and all windows.

    Raises:
        ImageError: a part of an image cannot be read.
    """
    grid = pair.grid
    tops, lefts = tiling.starts(grid.height), tiling.starts(grid.width)
    size = min(tiling.tile, grid.height), min(tiling.tile, grid.width)
    blender = RowBlender(grid.height, grid.width, tiling, planes)
    done = sink.rows
    if done == len(tops):
        return
    blender.skip_to(done)
    # A row's windows end where the first unfinished row begins, or reach into it.
    again = [row for row in range(done) if tops[row] + size[0] > tops[done]]
    for row in [*again, *range(done, len(tops))]:
        facts = np.full((len(lefts), len(FACTS)), np.nan, np.float32)
        windows = [Window(tops[row], left, *size) for left in lefts]
        for places, before, after, known in _batches(pair, windows, batch):
            maps = predict_masks(before, after)
            for n, column in enumerate(places):
                blender.add(row, column, maps.class_probabilities[n], known[n])
                facts[column] = _facts(maps, n, known[n])
            if progress and row >= done:
                progress(row * len(lefts) + places[-1], len(tops) * len(lefts))
        facts[np.isnan(facts[:, -1]), -1] = 0
        if row >= done:
            sink.put(*blender.finish(row), facts)
            if progress:
                progress((row + 1) * len(lefts), len(tops) * len(lefts))


def asks_for_words(facts: np.ndarray) -> np.ndarray:
    """Which windows the language model should see: those that flag or mask call changed.

    Args:
        facts: (..., len(FACTS)).

    Returns:
        (...) bool.
    """
    flag, changed = facts[..., FACTS.index("flag")], facts[..., FACTS.index("changed")]
    with np.errstate(invalid="ignore"):
        return is_changed(flag) | (changed > 0)


def _batches(
    pair: ScenePair, windows: list[Window], batch: int
) -> Iterator[tuple[list[int], np.ndarray, np.ndarray, np.ndarray]]:
    """Places in the row, before, after and known of the windows where anything is known, `batch` at a time."""
    held: list[tuple[int, np.ndarray, np.ndarray, np.ndarray]] = []
    for place, window in enumerate(windows):
        before, after, known = pair.read(window)
        if known.any():
            # What one date alone shows would look like a change: there both are black.
            hidden = ~known[..., None]
            held.append((place, np.where(hidden, 0, before), np.where(hidden, 0, after), known))
        if held and (len(held) == batch or place == len(windows) - 1):
            places, befores, afters, knowns = zip(*held, strict=True)
            yield list(places), np.stack(befores), np.stack(afters), np.stack(knowns)
            held = []


def _facts(maps: ChangeMaps, n: int, known: np.ndarray) -> tuple[float, float, float, float]:
    flag = float("nan") if maps.change_probability is None else float(maps.change_probability[n])
    changed = class_mask(maps.class_probabilities[n]) != NONE
    return flag, float(maps.heatmap[n][known].mean()), float((changed & known).mean()), float(known.mean())

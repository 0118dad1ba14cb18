"""Places: clusters of changes, each in a window that the model describes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from semantic_cc.images import MIN_SIDE
from semantic_cc.scene.geodesy import footprint, measure, on_earth
from semantic_cc.scene.grid import Grid, ScenePair, Window
from semantic_cc.scene.polygons import Polygons
from semantic_cc.scene.report_text import where_text
from semantic_cc.scene.scene_report import ClassFigures, ClassStats, Place
from semantic_cc.types import BUILDING, ROAD, ChangeDescription

SIDE = 256
"""Pixels of a place's window, the size the models are trained at."""

CONTEXT = 32
"""Pixels around the changes that a window shows at least, except at the scene's edge."""

REACH = 32
"""Largest gap, in pixels, between changes of one cluster."""

CLASS_NAMES = {BUILDING: "building", ROAD: "road"}
"""Label value -> name, in the order of sentences and tables."""

DescribeWindows = Callable[[np.ndarray, np.ndarray], Sequence[ChangeDescription]]
"""Before and after, both (n, h, w, 3) uint8 RGB -> n descriptions."""


@dataclass(frozen=True)
class Region:
    """A cluster of changes before the model sees it.

    Attributes:
        window: what the model is to see.
        extent: the smallest window that holds the changes.
        classes: class name -> its changes here; only classes with a change.
    """

    window: Window
    extent: Window
    classes: dict[str, ClassStats]

    @property
    def pixels(self) -> int:
        """Changed pixels."""
        return sum(stats.pixels for stats in self.classes.values())


def find_regions(polygons: Polygons, grid: Grid) -> tuple[list[Region], np.ndarray]:
    """Groups the polygons of a scene into regions that fit into the model's window.

    Changes within `REACH` of each other are one cluster. A cluster too large for a window is halved along its longer
    side until all parts fit, larger polygons cut; then parts that fit into one window together are joined.

    Args:
        polygons: all changes.
        grid: where they lie.

    Returns:
        The regions, the one with the most changed pixels first, and for each polygon the index of the region that
        has the largest part of it, (n,) int64.
    """
    groups = _merge([part for cluster in _clusters(polygons.shapes) for part in _split(cluster)])
    owners = [np.array([owner for owner, _ in group], np.int64) for group in groups]
    shapes = [np.array([shape for _, shape in group], object) for group in groups]
    areas = [shapely.area(part) for part in shapes]
    order = sorted(range(len(groups)), key=lambda index: (-areas[index].sum(), owners[index].min()))
    regions, home, largest = [], np.zeros(len(polygons), np.int64), np.zeros(len(polygons))
    for rank, index in enumerate(order):
        classes = _stats(polygons.classes[owners[index]], owners[index], areas[index], shapes[index], grid)
        left, top, right, bottom = map(int, shapely.total_bounds(shapes[index]))
        extent = Window(top, left, bottom - top, right - left)
        regions.append(Region(_around(extent, grid), extent, classes))
        for owner, area in zip(owners[index], areas[index], strict=True):
            if area > largest[owner]:
                home[owner], largest[owner] = rank, area
    return regions, home


def describe_places(
    regions: Sequence[Region],
    pair: ScenePair,
    describe: DescribeWindows,
    batch: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Place, ...]:
    """Describes the window of each region; pixels that are unknown in either image are black in both.

    Args:
        regions: in the order of their numbers.
        pair: the two images.
        describe: the model.
        batch: windows that `describe` gets at once.
        progress: called with (done, of all) after each batch.
    """
    places: list[Place] = []
    for start in range(0, len(regions), batch):
        part = regions[start : start + batch]
        before, after = _read_windows(pair, [region.window for region in part])
        for region, found in zip(part, describe(before, after), strict=True):
            places.append(_place(len(places) + 1, region, found, pair.grid))
        if progress is not None:
            progress(len(places), len(regions))
    return tuple(places)


def class_figures(polygons: Polygons, grid: Grid, names: Sequence[str]) -> dict[str, ClassFigures]:
    """Class name -> its changes in the whole scene, for each of `names`."""
    figures = {}
    for value, name in CLASS_NAMES.items():
        if name not in names:
            continue
        chosen = polygons.classes == value
        pixels = polygons.pixels[chosen]
        area = float(polygons.area_m2[chosen].sum()) if on_earth(grid) else math.nan
        mean = float(polygons.probability[chosen] @ pixels / pixels.sum()) if chosen.any() else math.nan
        figures[name] = ClassFigures(int(chosen.sum()), int(pixels.sum()), _number(area, 3), _number(mean, 4))
    return figures


def _read_windows(pair: ScenePair, windows: Sequence[Window]) -> tuple[np.ndarray, np.ndarray]:
    """Before and after, each (n, h, w, 3) uint8; all windows of a scene have one size."""
    images: tuple[list[np.ndarray], list[np.ndarray]] = [], []
    for window in windows:
        *dates, known = pair.read(window)
        for date, image in zip(images, dates, strict=True):
            date.append(np.where(known[..., None], image, np.uint8(0)))
    return np.stack(images[0]), np.stack(images[1])


def _place(number: int, region: Region, found: ChangeDescription, grid: Grid) -> Place:
    bounds = None
    if on_earth(grid):
        west, south, east, north = footprint(region.extent, grid)[1]
        bounds = west, south, east, north
    return Place(
        number=number,
        sentence=found.sentence,
        changed=found.changed,
        change_probability=found.change_probability,
        where=where_text(region.extent, grid),
        window=region.window,
        extent=region.extent,
        bounds_wgs84=bounds,
        classes=region.classes,
    )


def _number(value: float, digits: int) -> float | None:
    """Rounded; None for NaN."""
    return round(value, digits) if math.isfinite(value) else None


_Part = tuple[int, shapely.Geometry]  # index of its polygon, and the polygon or a piece of it


def _clusters(shapes: np.ndarray) -> list[list[_Part]]:
    """Polygons joined by chains of gaps of up to `REACH`."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(shapes):
        return []
    one, other = shapely.STRtree(shapes).query(shapes, predicate="dwithin", distance=REACH)
    near = coo_array((np.ones(len(one), bool), (one, other)), shape=(len(shapes), len(shapes)))
    count, labels = connected_components(near, directed=False)
    clusters: list[list[_Part]] = [[] for _ in range(count)]
    for index, label in enumerate(labels):
        clusters[label].append((index, shapes[index]))
    return clusters


def _split(cluster: list[_Part]) -> list[list[_Part]]:
    """Halves a cluster until every group fits; each halving parts its outermost two, so this ends."""
    done, waiting = [], [cluster]
    while waiting:
        group = waiting.pop()
        bounds = shapely.total_bounds([shape for _, shape in group])
        if _fits(bounds):
            done.append(group)
            continue
        axis = int(bounds[3] - bounds[1] > bounds[2] - bounds[0])  # 0 across, 1 down
        middle = float((bounds[axis] + bounds[axis + 2]) // 2)
        halves: tuple[list[_Part], list[_Part]] = [], []
        for owner, shape in group:
            low, high = shape.bounds[axis], shape.bounds[axis + 2]
            if _fits(shape.bounds) or not low < middle < high:
                halves[int(low + high > 2 * middle)].append((owner, shape))
            else:
                for half, piece in zip(halves, _cut(shape, axis, middle), strict=True):
                    half.append((owner, piece))
        waiting += halves
    return done


def _cut(shape: shapely.Geometry, axis: int, middle: float) -> list[shapely.Geometry]:
    low, high = list(shape.bounds), list(shape.bounds)
    low[axis + 2] = high[axis] = middle
    return [shapely.intersection(shape, shapely.box(*bounds)) for bounds in (low, high)]


def _merge(groups: list[list[_Part]]) -> list[list[_Part]]:
    """Puts each group where it makes the bounds grow least, if the two then fit into one window."""
    bounds = np.array([shapely.total_bounds([shape for _, shape in group]) for group in groups]).reshape(
        -1, 4
    )
    joined: list[list[_Part]] = []
    boxes = np.empty((len(groups), 4))
    for index in np.lexsort((bounds[:, 0], bounds[:, 1])):
        there = boxes[: len(joined)]
        both = np.concatenate(
            [np.minimum(there[:, :2], bounds[index, :2]), np.maximum(there[:, 2:], bounds[index, 2:])], 1
        )
        growth = np.where(_fits(both.T), _sizes(both) - _sizes(there), np.inf)
        if len(joined) and np.isfinite(growth.min()):
            best = int(growth.argmin())
            joined[best] += groups[index]
            boxes[best] = both[best]
        else:
            boxes[len(joined)] = bounds[index]
            joined.append(list(groups[index]))
    return joined


def _fits(bounds: np.ndarray | Sequence[float]) -> np.ndarray:
    """Whether (left, top, right, bottom), or arrays of them, fit into a window with their context."""
    left, top, right, bottom = bounds
    return np.maximum(np.subtract(right, left), np.subtract(bottom, top)) <= SIDE - 2 * CONTEXT


def _sizes(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _around(extent: Window, grid: Grid) -> Window:
    """The window around the middle of `extent`, inside the scene where that is large enough."""
    left, width = _span(extent.left + extent.width / 2, grid.width)
    top, height = _span(extent.top + extent.height / 2, grid.height)
    return Window(top, left, height, width)


def _span(middle: float, whole: int) -> tuple[int, int]:
    """Start and length; a scene narrower than the model's least image is read beyond its edge."""
    length = max(MIN_SIDE, min(SIDE, whole))
    return int(np.clip(round(middle - length / 2), 0, max(0, whole - length))), length


def _stats(
    classes: np.ndarray, owners: np.ndarray, pixels: np.ndarray, shapes: np.ndarray, grid: Grid
) -> dict[str, ClassStats]:
    area, _ = measure(shapes, grid)
    stats = {}
    for value, name in CLASS_NAMES.items():
        chosen = classes == value
        if chosen.any():
            objects, changed = len(np.unique(owners[chosen])), round(pixels[chosen].sum())
            stats[name] = ClassStats(objects, changed, _number(float(area[chosen].sum()), 3))
    return stats

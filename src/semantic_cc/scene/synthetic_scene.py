"""A synthetic scene on the map: two images of any size, the true change and the footprints of all buildings.

The place is a grid of blocks of 128 m, pairs 0, 1, 2, ... of the procedural world, one appearance for all of each date.
Streets run between the blocks and cover their borders; nothing stands across them. Where a pair's own roads reach its
border they meet the streets.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from affine import Affine
from pyproj import CRS as Projection
from pyproj import Transformer
from rasterio.crs import CRS
from shapely import Polygon, box, union_all
from shapely.geometry import mapping
from shapely.ops import transform as carried

from semantic_cc import __version__
from semantic_cc.data.progress_callback import Progress, counter
from semantic_cc.errors import InputError
from semantic_cc.files import new_folder
from semantic_cc.images import MIN_SIDE
from semantic_cc.scene.cog_writer import Block, write_image, write_mask
from semantic_cc.scene.geodesy import ROUND_SCALE, ground_sampling
from semantic_cc.scene.grid import Grid, Window
from semantic_cc.synth.procedural import PairPlan, draw_label, plan_pair
from semantic_cc.synth.procedural.appearance import Appearance, draw_appearances
from semantic_cc.synth.procedural.geometry import SIDE, Box
from semantic_cc.synth.procedural.pair_plan import generator
from semantic_cc.synth.procedural.procedural_pair import check_numbers
from semantic_cc.synth.procedural.render import render_date
from semantic_cc.synth.procedural.scene_objects import Building, House, Road
from semantic_cc.synth.procedural.texture import draw_texture

FILES = ("before.tif", "after.tif", "truth.tif", "footprints.geojson")
"""What a scene consists of."""

METRES = 0.5
"""Side of a pixel on the ground."""

BLOCK = int(SIDE)
"""Side of a block of the place in pixels: a procedural pair at half a metre."""

STREET = 18.0
"""Width of the streets between blocks, in pixels."""

MAX_PIXELS = 32_768
"""Largest side: 16 km, 16,384 blocks."""

AUSTIN = (-97.74, 30.27)
"""Longitude and latitude of the scene's middle where its coordinate system covers it: there LEVIR was taken."""


def write_scene(out: Path, side: int, crs: CRS, seed: int, progress: Progress | None = None) -> None:
    """Writes `FILES` to the new or empty directory `out`; the same arguments give the same bytes.

    - ``before.tif``, ``after.tif``: RGB COGs of `side` x `side` pixels of half a metre.
    - ``truth.tif``: the true mask, COG of `LABEL_VALUES` as ``mask.tif``.
    - ``footprints.geojson``: every building with ``kind`` ("house", "building"), ``change`` ("new", "gone" or "none")
      and ``area_m2``; longitude and latitude, as GeoJSON must be.

    Args:
        out: the directory.
        side: pixels, 16 to `MAX_PIXELS`.
        crs: coordinate reference system.
        seed: 0 or more.
        progress: called with the number of drawn blocks of both dates and all of them.

    Raises:
        InputError: a number is out of its range; the coordinate system is not one of the ground.
        OutputError: `out` is not empty or cannot be written.
    """
    check_numbers(seed=seed)
    if not MIN_SIDE <= side <= MAX_PIXELS:
        raise InputError(f"a scene of {side} pixels a side cannot be made; give {MIN_SIDE} to {MAX_PIXELS}")
    grid = place_grid(side, crs)
    rows = math.ceil(side / BLOCK)
    appearances = [
        replace(appearance, shift=(0, 0)) for appearance in draw_appearances(generator(seed, 0, 3))
    ]
    with new_folder(out) as work:
        plans = [_with_streets(plan_pair(seed, index)) for index in range(rows * rows)]
        advance = counter(2 * len(plans), progress)
        tags = {"TIFFTAG_SOFTWARE": f"semantic-cc {__version__}", "SEMANTIC_CC_WORLD": f"seed {seed}"}
        for date, appearance in zip(("before", "after"), appearances, strict=True):
            blocks = _drawn(plans, appearance, date, seed, side, advance)
            write_image(work / f"{date}.tif", grid, blocks, tags)
        labels = (
            (window, draw_label(plans[place])[None, : window.height, : window.width])
            for place, window in enumerate(_windows(side))
        )
        write_mask(work / "truth.tif", grid, labels, tags)
        features = {"type": "FeatureCollection", "features": list(_footprints(plans, grid))}
        (work / "footprints.geojson").write_text(json.dumps(features) + "\n")


def place_grid(side: int, crs: CRS) -> Grid:
    """A north-up grid of `side` x `side` pixels that measure half a metre in its middle.

    The middle is `AUSTIN` where `crs` covers it, else the middle of what it covers.

    Raises:
        InputError: `crs` has no place on the ground.
    """
    own = Projection.from_wkt(crs.to_wkt())
    if not (own.is_projected or own.is_geographic):
        raise InputError(
            f"{crs.to_string()} is not a projected or geographic coordinate reference system; use EPSG:32614"
        )
    east, north = _middle(own)
    x, y = Transformer.from_crs(own.geodetic_crs, own, always_xy=True).transform(east, north)
    unit = 1.0 if own.is_projected else 1e-5
    probe = Grid(1, 1, Affine.translation(x, y) @ Affine.scale(unit, -unit), crs)
    across, down = ground_sampling(probe) or (math.nan, math.nan)
    if not (math.isfinite(across) and math.isfinite(down)):
        raise InputError(f"{crs.to_string()} does not cover {north:.2f}, {east:.2f}; use another")
    metre = own.axis_info[0].unit_conversion_factor if own.is_projected else math.inf
    if max(abs(across / metre - 1), abs(down / metre - 1)) < ROUND_SCALE:
        across = down = metre
    step_x, step_y = unit * METRES / across, unit * METRES / down
    # Whole pixels from the origin, so that scenes of several sizes fall on one raster.
    left, top = round(x / step_x - side / 2) * step_x, round(y / step_y + side / 2) * step_y
    return Grid(side, side, Affine.translation(left, top) @ Affine.scale(step_x, -step_y), crs)


def _middle(crs: Projection) -> tuple[float, float]:
    """Longitude and latitude."""
    area = crs.area_of_use
    if area is None or (area.west <= AUSTIN[0] <= area.east and area.south <= AUSTIN[1] <= area.north):
        return AUSTIN
    return (area.west + area.east) / 2, (area.south + area.north) / 2


def _windows(side: int) -> Iterator[Window]:
    """The blocks of a scene, row by row; the last ones may be cut."""
    for top in range(0, side, BLOCK):
        for left in range(0, side, BLOCK):
            yield Window(top, left, min(BLOCK, side - top), min(BLOCK, side - left))


def _drawn(
    plans: Sequence[PairPlan],
    appearance: Appearance,
    date: str,
    seed: int,
    side: int,
    advance: Callable[[], None],
) -> Iterator[Block]:
    for index, (plan, window) in enumerate(zip(plans, _windows(side), strict=True)):
        texture = draw_texture(generator(seed, index, 4), BLOCK)
        own = replace(appearance, seed=appearance.seed + index)  # other cars and other noise in each block
        picture = render_date(plan, own, date, BLOCK, texture)[: window.height, : window.width]
        advance()
        yield window, picture.transpose(2, 0, 1)


def _with_streets(plan: PairPlan) -> PairPlan:
    """A pair's plan with a street along each border, and without what would stand on them."""
    edge = STREET / 2 + 3
    along = np.arange(0.0, SIDE + 1, 4.0)
    paths = [
        np.stack(path, axis=1)
        for end in (np.zeros_like(along), np.full_like(along, SIDE))
        for path in ((along, end), (end, along))
    ]
    streets = tuple(Road(path=path, width=STREET, tone="asphalt", shape="straight") for path in paths)

    def free(boxes: Sequence[Box]) -> bool:
        corners = np.concatenate([one.corners() for one in boxes])
        return bool(((corners > edge) & (corners < SIDE - edge)).all())

    def fitted(house: House) -> House:
        """Without the yard, whose fence would stand on the street, and the drive that would lie on it."""
        yard, drive = (part if part and free([part]) else None for part in (house.yard, house.drive))
        return replace(house, yard=yard, drive=drive)

    spots, crowns = plan.trees.xyr[:, :2], plan.trees.xyr[:, 2:]
    clear = ((spots - crowns > edge) & (spots + crowns < SIDE - edge)).all(axis=1)
    trees = replace(plan.trees, before=plan.trees.before & clear, after=plan.trees.after & clear)
    return replace(
        plan,
        roads=(*plan.roads, *streets),
        houses=tuple(fitted(house) for house in plan.houses if free(house.boxes)),
        buildings=tuple(building for building in plan.buildings if free(building.boxes)),
        lots=tuple(lot for lot in plan.lots if free([lot.box])),
        pools=tuple(pool for pool in plan.pools if free([pool.box])),
        trees=trees,
    )


def _footprints(plans: Sequence[PairPlan], grid: Grid) -> Iterator[dict[str, object]]:
    """A GeoJSON feature for each building that the scene shows."""
    assert grid.crs is not None
    to_degrees = Transformer.from_crs(grid.crs.to_wkt(), "EPSG:4326", always_xy=True)
    frame = box(0, 0, grid.width, grid.height)
    columns = math.ceil(grid.width / BLOCK)
    for index, plan in enumerate(plans):
        corner = Affine.translation(BLOCK * (index % columns), BLOCK * (index // columns))
        things: list[tuple[str, House | Building]] = [("house", house) for house in plan.houses]
        things += [("building", building) for building in plan.buildings]
        for kind, thing in things:
            parts = [Polygon(np.stack(corner @ tuple(part.corners().T), axis=1)) for part in thing.boxes]
            shape = union_all(parts).intersection(frame)
            if shape.is_empty:
                continue
            on_map = carried(lambda x, y: to_degrees.transform(*(grid.transform @ (x, y))), shape)
            change = "none" if thing.before == thing.after else "new" if thing.after else "gone"
            yield {
                "type": "Feature",
                "geometry": mapping(on_map),
                "properties": {"kind": kind, "change": change, "area_m2": round(shape.area * METRES**2, 2)},
            }

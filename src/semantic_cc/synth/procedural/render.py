"""Draws one date of a plan, layer by layer: ground, paving, shadows, roofs, trees, and the sensor."""

from __future__ import annotations

import numpy as np

from semantic_cc.synth.procedural.appearance import Look, between, develop
from semantic_cc.synth.procedural.drawing import Layer
from semantic_cc.synth.procedural.geometry import SIDE
from semantic_cc.synth.procedural.ground import draw_ground
from semantic_cc.synth.procedural.houses import (
    cast_shadow,
    draw_building,
    draw_fence,
    draw_house,
    draw_shrubs,
)
from semantic_cc.synth.procedural.paving import draw_apron, draw_cars, draw_drive, draw_lot, draw_roads
from semantic_cc.synth.procedural.scene_objects import Plan, Pool
from semantic_cc.synth.procedural.texture import Cloth
from semantic_cc.synth.procedural.tree_crowns import DICE, draw_trees, tree_shadows


def render_date(plan: Plan, look: Look, date: str, size: int, cloth: Cloth) -> np.ndarray:
    """One date ("before" | "after") of `plan` under `look`, (size, size, 3) uint8.

    Polygons are drawn at twice the size and averaged down. `cloth` is the same for both dates: the place is the same.
    """
    there = lambda things: [x for x in things if getattr(x, date)]  # noqa: E731
    own = np.random.default_rng(look.seed)
    houses, buildings = there(plan.houses), there(plan.buildings)
    stands = getattr(plan.trees, date)
    kept = plan.trees.xyr[stands]
    pic = draw_ground(plan, look, date, size, cloth, own)

    paved = Layer(size, look.shift)
    for building in buildings:
        draw_apron(paved, building)
    draw_roads(paved, there(plan.roads), between((140, 124, 92), (98, 104, 70), look.green))
    for lot in there(plan.lots):
        draw_lot(paved, lot)
    for house in houses:
        draw_drive(paved, house)
    pic = paved.over(pic, cloth.grain * 4 + cloth.broad[..., None] * 3)

    small = Layer(size, look.shift)
    for house in houses:
        draw_fence(small, house)
        draw_shrubs(small, house, look)
    draw_cars(small, plan, date, own)
    for pool in there(plan.pools):
        _draw_pool(small, pool)
    pic = small.over(pic)

    shade = Layer(size, look.shift, mono=True)
    for house in houses:
        cast_shadow(shade, house.boxes, look, 1.0)
    for building in buildings:
        cast_shadow(shade, building.boxes, look, 1.3)
    tree_shadows(shade, kept, look)
    pic *= 1 - look.shade * shade.alpha()[..., None] * np.array((1.0, 0.98, 0.92), dtype=np.float32)

    roofs = Layer(size, look.shift)
    for house in houses:
        draw_house(roofs, house, look)
    for building in buildings:
        draw_building(roofs, building, look)
    pic = roofs.over(pic, cloth.grain * 4)
    leaves = Layer(size, look.shift)
    form = np.random.default_rng(cloth.seed).random((len(stands), DICE))[stands]
    draw_trees(leaves, kept, look, form)
    pic = leaves.over(pic, cloth.leafy * 14)
    return develop(pic, look, size / SIDE, own)


def _draw_pool(layer: Layer, pool: Pool) -> None:
    layer.box(pool.box.grown(2), (214, 208, 196))
    layer.box(pool.box, (34, 104, 132))
    layer.box(pool.box.part(1, 1, pool.box.w - 4, pool.box.h - 4), (52, 140, 164))

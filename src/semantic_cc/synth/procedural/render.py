"""Renders one date of a plan in layers (ground, paving, shadows, roofs, trees) and applies the sensor model."""

from __future__ import annotations

import numpy as np

from semantic_cc.synth.procedural.appearance import Appearance, apply_sensor, mix_colours
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
from semantic_cc.synth.procedural.scene_objects import PairPlan, SwimmingPool
from semantic_cc.synth.procedural.texture import Texture
from semantic_cc.synth.procedural.tree_crowns import DICE, draw_trees, tree_shadows


def render_date(plan: PairPlan, appearance: Appearance, date: str, size: int, texture: Texture) -> np.ndarray:
    """Renders one date ("before" or "after") of `plan` with `appearance`; (size, size, 3) uint8.

    Polygons are drawn with 2x supersampling. Both dates use the same `texture`.
    """
    there = lambda things: [x for x in things if getattr(x, date)]  # noqa: E731
    own = np.random.default_rng(appearance.seed)
    houses, buildings = there(plan.houses), there(plan.buildings)
    stands = getattr(plan.trees, date)
    kept = plan.trees.xyr[stands]
    pic = draw_ground(plan, appearance, date, size, texture, own)

    paved = Layer(size, appearance.shift)
    for building in buildings:
        draw_apron(paved, building)
    draw_roads(paved, there(plan.roads), mix_colours((140, 124, 92), (98, 104, 70), appearance.green))
    for lot in there(plan.lots):
        draw_lot(paved, lot)
    for house in houses:
        draw_drive(paved, house)
    pic = paved.over(pic, texture.grain * 4 + texture.broad[..., None] * 3)

    small = Layer(size, appearance.shift)
    for house in houses:
        draw_fence(small, house)
        draw_shrubs(small, house, appearance)
    draw_cars(small, plan, date, own)
    for pool in there(plan.pools):
        _draw_pool(small, pool)
    pic = small.over(pic)

    shade = Layer(size, appearance.shift, mono=True)
    for house in houses:
        cast_shadow(shade, house.boxes, appearance, 1.0)
    for building in buildings:
        cast_shadow(shade, building.boxes, appearance, 1.3)
    tree_shadows(shade, kept, appearance)
    pic *= 1 - appearance.shade * shade.alpha()[..., None] * np.array((1.0, 0.98, 0.92), dtype=np.float32)

    roofs = Layer(size, appearance.shift)
    for house in houses:
        draw_house(roofs, house, appearance)
    for building in buildings:
        draw_building(roofs, building, appearance)
    pic = roofs.over(pic, texture.grain * 4)
    leaves = Layer(size, appearance.shift)
    form = np.random.default_rng(texture.seed).random((len(stands), DICE))[stands]
    draw_trees(leaves, kept, appearance, form)
    pic = leaves.over(pic, texture.leafy * 14)
    return apply_sensor(pic, appearance, size / SIDE, own)


def _draw_pool(layer: Layer, pool: SwimmingPool) -> None:
    layer.box(pool.box.grown(2), (214, 208, 196))
    layer.box(pool.box, (34, 104, 132))
    layer.box(pool.box.part(1, 1, pool.box.w - 4, pool.box.h - 4), (52, 140, 164))

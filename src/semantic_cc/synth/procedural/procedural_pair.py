"""Generates one procedural pair: images, label and captions from one plan."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from semantic_cc.errors import InputError
from semantic_cc.synth.procedural.appearance import draw_appearances
from semantic_cc.synth.procedural.caption_writer import write_sentences
from semantic_cc.synth.procedural.geometry import SIDE, Box
from semantic_cc.synth.procedural.pair_plan import generator, plan_pair
from semantic_cc.synth.procedural.render import render_date
from semantic_cc.synth.procedural.scene_objects import (
    Building,
    House,
    PairPlan,
    ParkingLot,
    Road,
    SwimmingPool,
)
from semantic_cc.synth.procedural.texture import draw_texture
from semantic_cc.types import BUILDING, COVERS, NONE, ROAD, Pair

SIZES = (32, 1024)
"""Minimum and maximum image side in pixels."""


def generate_pair(seed: int, index: int, size: int = 256) -> Pair:
    """Generates pair `index` of a seed.

    The scene measures 128 m x 128 m at every `size`; at 256 px the ground resolution is 0.5 m, as in LEVIR-CC. The
    pair depends only on (`seed`, `index`, `size`). Exactly one of the pairs 2k and 2k + 1 shows a change.

    The label is 128 on new roads, 255 on the roofs of new or removed houses and buildings (which take precedence over
    roads), and 0 elsewhere, including changed parking lots, driveways, pools and trees.

    Args:
        seed, index: integers >= 0.
        size: side of the square images in pixels, 32..1024.

    Raises:
        InputError: a number is out of range.
    """
    check_numbers(seed=seed, index=index)
    if not SIZES[0] <= size <= SIZES[1]:
        raise InputError(
            f"synthetic pairs: size is {size}, but a side has {SIZES[0]}..{SIZES[1]} pixels; choose one of those"
        )
    plan = plan_pair(seed, index)
    rng = generator(seed, index, 1)
    early, late = draw_appearances(rng)
    texture = draw_texture(rng, size)
    return Pair(
        name=f"world_{index:06d}.png",
        before=render_date(plan, early, "before", size, texture),
        after=render_date(plan, late, "after", size, texture),
        label=draw_label(plan, size),
        sentences=write_sentences(plan.events, generator(seed, index, 2)),
        changed=plan.changed,
    )


def check_numbers(**numbers: int) -> None:
    """Raises `InputError` if any of `numbers` is negative."""
    for name, value in numbers.items():
        if value < 0:
            raise InputError(
                f"synthetic pairs: {name} is {value}, but must be 0 or more; give a non-negative integer"
            )


def draw_label(plan: PairPlan, size: int = 256) -> np.ndarray:
    """Draws the label of a plan in the frame of the later image; (size, size) uint8 with values 0, 128, 255."""
    k = size / SIDE
    image = Image.new("L", (size, size), NONE)
    draw = ImageDraw.Draw(image)
    for road in plan.roads:
        if road.before != road.after:
            _pave(draw, road, k, ROAD)
    # The part of a new road that overlaps an old road is not a change.
    for road in plan.roads:
        if road.before and road.after:
            _pave(draw, road, k, NONE)
    roofed: list[House | Building] = [*plan.houses, *plan.buildings]
    for thing in roofed:
        if thing.before != thing.after:
            for box in thing.boxes:
                _fill(draw, box, k)
    return np.asarray(image).copy()


def draw_cover(plan: PairPlan, date: str, size: int = 256) -> np.ndarray:
    """Draws the land cover at one date ("before" or "after"); (size, size) uint8 indices into `COVERS`."""
    k = size / SIDE
    image = Image.new("L", (size, size), COVERS.index("ground"))
    draw = ImageDraw.Draw(image)
    for road in plan.roads:
        if getattr(road, date):
            _pave(draw, road, k, COVERS.index("road"))
    flat: list[tuple[str, tuple[ParkingLot | SwimmingPool, ...]]] = [
        ("parking lot", plan.lots),
        ("pool", plan.pools),
    ]
    for kind, things in flat:
        for thing in things:
            if getattr(thing, date):
                _fill(draw, thing.box, k, COVERS.index(kind))
    roofed: list[House | Building] = [*plan.houses, *plan.buildings]
    for roof in roofed:
        if getattr(roof, date):
            for box in roof.boxes:
                _fill(draw, box, k, COVERS.index("building"))
    for x, y, r in plan.trees.xyr[getattr(plan.trees, date)] * k:
        draw.ellipse([x - r, y - r, x + r, y + r], fill=COVERS.index("tree"))
    return np.asarray(image).copy()


def _pave(draw: ImageDraw.ImageDraw, road: Road, k: float, value: int) -> None:
    for outline in road.outlines():
        draw.polygon((outline * k).ravel().tolist(), fill=value)


def _fill(draw: ImageDraw.ImageDraw, box: Box, k: float, value: int = BUILDING) -> None:
    draw.polygon((box.corners() * k).ravel().tolist(), fill=value)

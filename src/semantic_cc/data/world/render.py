"""Draws one date of a plan. Polygons are drawn at twice the size and averaged down; grounds are noise."""

from __future__ import annotations

import numpy as np

from .brush import Layer
from .cloth import Cloth, noise_field
from .geometry import SIDE, Box
from .layout import Plan
from .objects import (
    draw_cars,
    draw_house,
    draw_large,
    draw_lot,
    draw_road,
    draw_trees,
    house_shadow,
    tree_shadows,
)
from .tones import Look, develop

_DRY = {"grassland": (150, 128, 94), "bareland": (196, 180, 145), "desert": (186, 160, 122)}
_WET = {"grassland": (92, 102, 66), "bareland": (186, 172, 138), "desert": (172, 152, 116)}


def render_date(plan: Plan, look: Look, date: str, size: int, cloth: Cloth) -> np.ndarray:
    """One date ("before" | "after") of `plan` under `look`, (size, size, 3) uint8.

    `cloth` is the same for both dates: the place is the same.
    """
    there = lambda things: [x for x in things if getattr(x, date)]  # noqa: E731
    own = np.random.default_rng(look.seed)
    scale = size / SIDE
    pic = _ground(plan, look, date, size, cloth, own)
    houses, roads, buildings = there(plan.houses), there(plan.roads), there(plan.buildings)
    lots, pools = there(plan.lots), there(plan.pools)
    stands = getattr(plan.trees, date)
    kept = plan.trees.xyr[stands]

    flat = Layer(size, look.shift)
    for road in roads:
        draw_road(flat, road, roads)
    for house in houses:
        if house.drive:
            flat.box(house.drive, (196, 190, 174))
    for building in buildings:
        for box in building.boxes:
            flat.box(box.grown(4), (186, 182, 170))
    for lot in lots:
        draw_lot(flat, lot)
    pic = flat.over(pic, cloth.grain * 6)
    fine = Layer(size, look.shift)
    draw_cars(fine, plan, date, own)
    for pool in pools:
        fine.box(pool.box.grown(2), (214, 208, 196))
        fine.box(pool.box, (64, 158, 178))
        fine.box(pool.box.part(1, 1, pool.box.w - 4, pool.box.h - 4), (88, 186, 200))
    pic = fine.over(pic)

    shade = Layer(size, look.shift, mono=True)
    for house in houses:
        house_shadow(shade, house.boxes, look, 1.0)
    for building in buildings:
        house_shadow(shade, building.boxes, look, 1.5)
    tree_shadows(shade, kept, look)
    pic = pic * (1 - 0.68 * shade.alpha()[..., None] * np.array([1.0, 0.98, 0.9], dtype=np.float32))

    roofs = Layer(size, look.shift)
    for house in houses:
        draw_house(roofs, house, look)
    for building in buildings:
        draw_large(roofs, building, look)
    pic = roofs.over(pic, cloth.grain * 5)
    leaves = Layer(size, look.shift)
    draw_trees(leaves, kept, look, np.random.default_rng(cloth.seed).random((len(stands), 6))[stands])
    pic = leaves.over(pic, cloth.leafy * 13)
    return develop(pic, look, scale, own)


def _ground(
    plan: Plan, look: Look, date: str, size: int, cloth: Cloth, own: np.random.Generator
) -> np.ndarray:
    """The bare ground with patches and yards, (size, size, 3) float32."""
    broad, other = cloth.broad, cloth.other
    dated = noise_field(own, size, (5, 10, 40, 160), 0.8)
    pic = _colour(plan.ground, look, broad, other)
    pic = pic + cloth.tracks * np.array((26, 23, 18), dtype=np.float32)
    if plan.patches:
        yy, xx = np.mgrid[0:size, 0:size] * (SIDE / size)
        points = np.stack([xx.ravel(), yy.ravel()], axis=1)
        for patch in plan.patches:
            uv = patch.box.local(points) / (patch.box.w / 2, patch.box.h / 2)
            edge = 1.0 - np.sqrt((uv**2).sum(axis=1)).reshape(size, size) + 0.12 * other
            a = np.clip(edge * 6 + 0.5, 0, 1)[..., None].astype(np.float32)
            pic = pic * (1 - a) + _colour(patch.kind, look, other, broad) * a
    bare = Layer(size, (0, 0), mono=True)
    lawn = Layer(size, (0, 0), mono=True)
    fence = Layer(size, (0, 0), mono=True)
    for i, house in enumerate(plan.houses):
        yard = house.yard or house.boxes[0].grown(10)
        if getattr(house, date):
            # Some young lots are not sown yet.
            young = not (house.before and house.after)
            (bare if young and i % 4 == 0 else lawn).box(yard.grown(0.5))
            if house.yard and i % 5:
                fence.outline(Box(*yard.at(0, yard.h * 0.2), yard.w, yard.h * 0.6, yard.angle), 1.0)
        elif house.before:
            bare.box(yard.part(0, 0, yard.w * 0.9, yard.h * 0.8))
    for thing in (x for x in plan.buildings if x.before and not x.after and date == "after"):
        for b in thing.boxes:
            bare.box(b.grown(5))
    grass = (
        np.array((126, 110, 78), dtype=np.float32) * (1 - look.green)
        + np.array((78, 92, 54), dtype=np.float32) * look.green
    )
    pic = _mix(pic, bare.alpha(2.0), np.array((182, 164, 130), dtype=np.float32) + other[..., None] * 8)
    pic = _mix(pic, lawn.alpha(1.0), grass + (broad + other)[..., None] * 6)
    pic = _mix(pic, fence.alpha() * 0.6, np.array((58, 48, 40), dtype=np.float32))
    pic = (
        pic
        + cloth.fine * (9.0 if plan.ground == "grassland" else 6.5)
        + dated[..., None] * np.array((3.5, 3.0, 2.5), dtype=np.float32)
    )
    return _moved(pic, round(look.shift[0] * size / SIDE), round(look.shift[1] * size / SIDE))


def _moved(pic: np.ndarray, dx: int, dy: int) -> np.ndarray:
    """`pic` moved by whole pixels, its edge repeated."""
    m = max(abs(dx), abs(dy))
    if not m:
        return pic
    h, w = pic.shape[:2]
    return np.pad(pic, ((m, m), (m, m), (0, 0)), mode="edge")[m - dy : m - dy + h, m - dx : m - dx + w]


def _mix(pic: np.ndarray, alpha: np.ndarray, colour: np.ndarray) -> np.ndarray:
    a = alpha[..., None]
    return pic * (1 - a) + colour * a


def _colour(kind: str, look: Look, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Textured ground of one kind, (H, W, 3): two noises drive shade and hue."""
    base = np.array(_DRY[kind], np.float32) * (1 - look.green) + np.array(_WET[kind], np.float32) * look.green
    shade = {"grassland": 11.0, "bareland": 12.0, "desert": 8.0}[kind]
    pic = base + a[..., None] * shade * np.array([1.0, 0.95, 0.8], np.float32)
    pic = pic + b[..., None] * np.array([5.0, 1.0, 1.5], np.float32)
    if kind == "desert":  # sparse dark shrubs
        pic = pic - np.clip(a - 1.1, 0, 1.5)[..., None] * np.array([48, 40, 34], np.float32)
    return pic

"""Ground types, patches and trees of a scene."""

from __future__ import annotations

import numpy as np

from semantic_cc.synth.procedural.geometry import SIDE, Box
from semantic_cc.synth.procedural.scene_objects import House, Patch, Road, Trees

GROUNDS = ("grassland", "bareland", "desert")

RAGGED = 0.12
"""Approximate deviation of drawn patch edges from the outline, in units of `Patch.depth`."""


def lay_patches(rng: np.random.Generator, ground: str) -> tuple[Patch, ...]:
    """Draws a few patches of one other ground type: all ellipses, or all fields with the same orientation."""
    other = {"grassland": "bareland", "bareland": "grassland", "desert": "bareland"}[ground]
    if ground == "desert" or rng.random() < 0.5:
        return ()
    square = bool(rng.random() < 0.4)
    turn = rng.uniform(0, 3.1)
    return tuple(
        Patch(
            Box.about(
                rng.uniform(0, SIDE, 2), rng.uniform(40, 140, 2), turn if square else rng.uniform(0, 3.1)
            ),
            other,
            square,
        )
        for _ in range(int(rng.integers(1, 4)))
    )


def ground_under(ground: str, patches: tuple[Patch, ...], points: np.ndarray) -> str:
    """The ground under at least 80 % of `points` (N, 2), excluding irregular patch edges; "" if there is none."""
    deepest = np.full(len(points), -1.0)
    for patch in patches:
        deepest = np.maximum(deepest, patch.depth(points))
    if float((deepest < -RAGGED).mean()) >= 0.8:
        return ground
    return patches[0].kind if float((deepest > RAGGED).mean()) >= 0.8 else ""


def woods_area(rng: np.random.Generator, around: np.ndarray | None) -> Box:
    """The box of an ellipse of woods, which covers the points `around` (N, 2) if given."""
    if around is None:
        return Box.about(rng.uniform(0, SIDE, 2), rng.uniform(60, 190, 2), rng.uniform(0, 3.1))
    low, high = around.min(axis=0), around.max(axis=0)
    return Box.about((low + high) / 2, np.maximum((high - low) * 1.45 + 30, 70.0))


def sow(rng: np.random.Generator, areas: list[Box], scattered: int) -> np.ndarray:
    """Tree candidates (T, 3) as x, y, crown radius: dense in `areas`, plus `scattered` trees in clumps."""
    out = []
    for area in areas:
        pitch = 9.5
        ticks = [np.arange(-side / 2, side / 2, pitch) for side in (area.w, area.h)]
        uv = np.stack(np.meshgrid(*ticks), -1).reshape(-1, 2)
        uv = uv[rng.random(len(uv)) < 0.85] if len(uv) else uv
        uv = uv + rng.uniform(-5, 5, uv.shape)
        ragged = 1 + rng.normal(0, 0.2, len(uv))
        uv = uv[((uv / (area.w / 2, area.h / 2)) ** 2).sum(axis=1) < ragged]
        xy = np.array([area.at(u, v) for u, v in uv]).reshape(-1, 2)
        out.append(np.column_stack([xy, rng.triangular(4.5, 6.5, 13.0, len(xy))]))
    left = scattered
    while left > 0:
        count = min(left, int(rng.choice([1, 1, 1, 2, 4, 8, 14])))
        spots = rng.uniform(-8, SIDE + 8, 2) + rng.normal(0, 2.2 + 1.8 * np.sqrt(count), (count, 2))
        out.append(np.column_stack([spots, rng.choice([2.5, 3.5, 5.5, 7.5, 10.0, 13.0], count)]))
        left -= count
    trees = np.concatenate(out)
    return trees[((trees[:, :2] > -12) & (trees[:, :2] < SIDE + 12)).all(axis=1)]


def plant(rng: np.random.Generator, houses: list[House]) -> np.ndarray:
    """Trees (T, 3), as in `sow`, in the yards of unchanged houses."""
    out = [np.zeros((0, 3))]
    many = rng.choice([0.0, 0.5, 1.2])
    for house in houses:
        if house.yard and house.before and house.after:
            y, n = house.yard, int(rng.poisson(many))
            uv = rng.uniform(-0.48, 0.48, (n, 2)) * (y.w, y.h)
            xy = np.array([y.at(u, v) for u, v in uv]).reshape(-1, 2)
            out.append(np.column_stack([xy, rng.uniform(2.5, 8.0, n)]))
    return np.concatenate(out)


def clear_of(
    trees: np.ndarray, roads: list[Road], boxes: list[Box], yards: list[Box], spared: np.ndarray
) -> np.ndarray:
    """Mask (T,) bool of the `trees` (T, 3) clear of roads, boxes and, unless `spared` (T,), yards."""
    free = np.ones(len(trees), dtype=bool)
    xy, r = trees[:, :2], trees[:, 2]
    for road in roads:
        free &= road.gap(xy) > 0.7 * r
    for box in boxes:
        free &= box.distance(xy) > 0.7 * r + 1
    for yard in yards:
        free &= spared | (yard.distance(xy) > 0.35 * r)
    return free


def canopy(trees: Trees, there: np.ndarray, points: np.ndarray) -> float:
    """Fraction of `points` (N, 2) under the crowns of the trees selected by `there` (T,) bool."""
    t = trees.xyr[there]
    if not len(t):
        return 0.0
    d = np.hypot(points[:, None, 0] - t[None, :, 0], points[:, None, 1] - t[None, :, 1])
    return float((d < t[None, :, 2]).any(axis=1).mean())

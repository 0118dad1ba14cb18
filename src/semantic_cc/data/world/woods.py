"""Ground kinds, patches and trees of a scene."""

from __future__ import annotations

import numpy as np

from .geometry import SIDE, Box, path_distance
from .layout import Patch, Road, Trees

GROUNDS = ("grassland", "bareland", "desert")


def lay_patches(rng: np.random.Generator, ground: str) -> tuple[Patch, ...]:
    """A few patches of another ground; few and small enough that the scene keeps its main kind."""
    other = {"grassland": "bareland", "bareland": "grassland", "desert": "bareland"}[ground]
    if ground == "desert" or rng.random() < 0.5:
        return ()
    return tuple(
        Patch(Box.about(rng.uniform(0, SIDE, 2), rng.uniform(25, 80, 2), rng.uniform(0, 3.1)), other)
        for _ in range(int(rng.integers(1, 4)))
    )


def ground_under(ground: str, patches: tuple[Patch, ...], points: np.ndarray) -> str:
    """The kind under at least 80 % of `points` (N, 2), or "" where none is."""
    base = np.ones(len(points), dtype=bool)
    other = ""
    for patch in patches:
        uv = patch.box.local(points) / (patch.box.w / 2, patch.box.h / 2)
        base &= (uv**2).sum(axis=1) > 1
        other = patch.kind
    share = float(base.mean())
    return ground if share >= 0.8 else other if share <= 0.2 else ""


def woods_area(rng: np.random.Generator, around: np.ndarray | None) -> Box:
    """An ellipse of woods (inscribed in the box), over the points `around` (N, 2) if given."""
    if around is None:
        return Box.about(rng.uniform(0, SIDE, 2), rng.uniform(60, 190, 2), rng.uniform(0, 3.1))
    low, high = around.min(axis=0), around.max(axis=0)
    return Box.about((low + high) / 2, np.maximum((high - low) * 1.45 + 30, 70.0))


def sow(rng: np.random.Generator, areas: list[Box], scattered: int) -> np.ndarray:
    """Tree candidates (T, 3) as x, y, crown radius: dense in `areas`, `scattered` elsewhere."""
    out = []
    for area in areas:
        pitch = 10.5
        uv = np.stack(
            np.meshgrid(np.arange(-area.w / 2, area.w / 2, pitch), np.arange(-area.h / 2, area.h / 2, pitch)),
            -1,
        )
        uv = uv.reshape(-1, 2) + rng.uniform(-4, 4, (uv.size // 2, 2))
        ragged = 1 + rng.normal(0, 0.12, len(uv))
        uv = uv[((uv / (area.w / 2, area.h / 2)) ** 2).sum(axis=1) < ragged]
        xy = np.array([area.at(u, v) for u, v in uv]).reshape(-1, 2)
        out.append(np.column_stack([xy, rng.uniform(5.5, 11.5, len(xy))]))
    spots = rng.uniform(-8, SIDE + 8, (scattered, 2))
    out.append(np.column_stack([spots, rng.choice([3.0, 4.0, 5.5, 7.5, 10.0], scattered)]))
    trees = np.concatenate(out)
    return trees[((trees[:, :2] > -12) & (trees[:, :2] < SIDE + 12)).all(axis=1)]


def clear_of(trees: np.ndarray, roads: list[Road], boxes: list[Box], yards: list[Box]) -> np.ndarray:
    """Which of `trees` (T, 3) neither cover a road or box nor stand in a yard, (T,) bool."""
    free = np.ones(len(trees), dtype=bool)
    xy, r = trees[:, :2], trees[:, 2]
    for road in roads:
        free &= path_distance(road.path, xy) > road.width / 2 + 0.7 * r
    for box in boxes:
        free &= box.distance(xy) > 0.7 * r + 1
    for yard in yards:
        free &= yard.distance(xy) > 0.35 * r
    return free


def canopy(trees: Trees, there: np.ndarray, points: np.ndarray) -> float:
    """Share of `points` (N, 2) under the crowns of the trees that are `there` (T,) bool."""
    t = trees.xyr[there]
    if not len(t):
        return 0.0
    d = np.hypot(points[:, None, 0] - t[None, :, 0], points[:, None, 1] - t[None, :, 1])
    return float((d < t[None, :, 2]).any(axis=1).mean())

"""Road networks, and the plots for houses along them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .geometry import SIDE, Box, bezier, overlap, path_distance, resample
from .layout import House, Road

ROOFS = (
    (92, 91, 96), (78, 79, 84), (104, 103, 104), (88, 92, 100),
    (112, 98, 86), (124, 108, 92), (150, 138, 120), (170, 160, 142), (98, 84, 76),
)  # fmt: skip


@dataclass(frozen=True)
class Plot:
    """A place for a house beside a road; `box` is the house's room, its -v side faces the road."""

    box: Box
    yard: Box
    drive: Box
    road: int
    side: int


def lay_roads(rng: np.random.Generator, kind: str) -> list[Road]:
    """Roads of one network: "none", "straight", "curved", "cross", "t" or "parallel"."""
    if kind == "none":
        return []
    # Suburbs mostly follow the compass; the rest lie at any angle.
    angle = (
        rng.choice([0, math.pi / 2]) + rng.normal(0, 0.06) if rng.random() < 0.55 else rng.uniform(0, math.pi)
    )
    middle = np.array([SIDE / 2, SIDE / 2]) + rng.uniform(-45, 45, 2)
    along = np.array([math.cos(angle), math.sin(angle)])
    across = np.array([-along[1], along[0]])
    tone = str(rng.choice(["cement", "cement", "asphalt"]))
    width = float(rng.uniform(14, 20))
    far = 240.0

    def straight(centre: np.ndarray, direction: np.ndarray, start: float = -far) -> np.ndarray:
        return resample(np.array([centre + start * direction, centre + far * direction]))

    if kind == "straight":
        paths = [(straight(middle, along), kind)]
    elif kind == "curved":
        bend = rng.choice([-1, 1]) * rng.uniform(60, 170) * across
        base = middle - bend / 2
        paths = [(bezier(base - 190 * along, base + bend * 1.6, base + 190 * along), kind)]
    elif kind == "cross":
        paths = [(straight(middle, along), "straight"), (straight(middle, across), "straight")]
    elif kind == "t":
        middle = middle - 35 * across
        paths = [(straight(middle, along), "straight"), (straight(middle, across, 0.0), "straight")]
    else:
        gap = rng.uniform(108, 140) / 2
        paths = [(straight(np.full(2, SIDE / 2) + k * gap * across, along), "straight") for k in (-1, 1)]
    return [
        Road(p, width * (1.0 if i == 0 else float(rng.uniform(0.85, 1.0))), tone, s)
        for i, (p, s) in enumerate(paths)
    ]


def lay_plots(rng: np.random.Generator, roads: list[Road], blocked: list[Box]) -> list[Plot]:
    """Plots along both sides of every road, free of each other, of the roads and of `blocked`."""
    plots: list[Plot] = []
    size = rng.uniform(27, 37)
    setback = rng.uniform(9, 16)
    gap = rng.uniform(5, 13)
    for index, road in enumerate(roads):
        steps = np.hypot(*np.diff(road.path, axis=0).T)
        s = np.concatenate([[0.0], np.cumsum(steps)])
        for side in (-1, 1):
            at = float(rng.uniform(0, 30))
            while at < s[-1]:
                here = road.path[min(int(np.searchsorted(s, at)), len(s) - 1)]
                if np.abs(here - SIDE / 2).max() > SIDE / 2 + 60:  # too far off for its house to be seen
                    at += 6.0
                    continue
                w, d = size * rng.uniform(0.85, 1.15), size * rng.uniform(0.85, 1.15)
                pitch = w + gap * rng.uniform(0.8, 1.25)
                plot = _plot_at(road, s, at, side, index, (w, d, setback * rng.uniform(0.85, 1.2), pitch))
                at += 6.0
                if _fits(plot, plots, roads, blocked):
                    plots.append(plot)
                    at += pitch - 6.0
    return plots


def _plot_at(road: Road, s: np.ndarray, at: float, side: int, index: int, dims: tuple[float, ...]) -> Plot:
    w, d, setback, pitch = dims
    k = int(np.clip(np.searchsorted(s, at), 1, len(s) - 2))
    tangent = road.path[k + 1] - road.path[k - 1]
    angle = math.atan2(tangent[1], tangent[0]) + (0.0 if side > 0 else math.pi)
    out = np.array([-math.sin(angle), math.cos(angle)])
    centre = road.path[k] + out * (road.width / 2 + setback + d / 2)
    box = Box(float(centre[0]), float(centre[1]), w, d, angle)
    deep = setback + d + 16
    yard = box.part(0, (deep - d) / 2 - setback + 1.5, pitch, deep - 3)
    drive = box.part(w * 0.27 * side, -d / 2 - setback / 2 + 2, 9.0, setback + 6)
    return Plot(box, yard, drive, index, side)


def _fits(plot: Plot, others: list[Plot], roads: list[Road], blocked: list[Box]) -> bool:
    box = plot.box
    # A house counts as one, so enough of it must be seen.
    if not (8 <= box.x <= SIDE - 8 and 8 <= box.y <= SIDE - 8) or box.inside_share() < 0.45:
        return False
    edge = np.concatenate([box.corners(), box.grid(3)])
    if any(path_distance(r.path, edge).min() < r.width / 2 + 6 for r in roads):
        return False
    core = box.grown(2)
    return not (any(overlap(core, o.box) for o in others) or any(overlap(core, b) for b in blocked))


def build_house(rng: np.random.Generator, plot: Plot, before: bool, after: bool) -> House:
    """A house on `plot`: a rectangle, or an L of two boxes."""
    b = plot.box
    boxes: tuple[Box, ...] = (b,)
    if rng.random() < 0.6:
        depth = b.h * rng.uniform(0.6, 0.75)
        wide = b.w * rng.uniform(0.45, 0.6)
        u = (b.w - wide) / 2 * rng.choice([-1, 1])
        # The wing reaches from the main body to the front edge.
        boxes = (b.part(0, (b.h - depth) / 2, b.w, depth), b.part(u, -0.35 * depth, wide, b.h - 0.7 * depth))
    roof = ROOFS[int(rng.choice(len(ROOFS), p=_ROOF_ODDS))]
    return House(
        boxes, plot.yard, plot.drive, roof, bool(rng.random() < 0.8), plot.road, plot.side, before, after
    )


_ROOF_ODDS = np.array([4, 4, 3, 3, 2, 1.5, 1, 0.7, 1.5])
_ROOF_ODDS = _ROOF_ODDS / _ROOF_ODDS.sum()

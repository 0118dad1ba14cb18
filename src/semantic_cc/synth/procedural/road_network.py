"""Generates road networks and the house plots along them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from semantic_cc.synth.procedural.geometry import SIDE, Box, bezier, in_frame, overlap, resample
from semantic_cc.synth.procedural.scene_objects import House, Road

_FAR = 240.0


@dataclass(frozen=True)
class Plot:
    """A plot for a house beside a road; `box` is the area for the house, and its -v side faces the road."""

    box: Box
    yard: Box
    drive: Box
    road: int
    side: int


def lay_roads(rng: np.random.Generator, kind: str) -> list[Road]:
    """Generates the roads of one network.

    Args:
        kind: "none", "straight", "curved", "winding", "cross", "t", "fork" (a curve with a branch), "parallel" or
            "dead end" (a street with a turning circle at its end).
    """
    if kind == "none":
        return []
    # Most suburbs are aligned north-south; the others have any orientation.
    angle = (
        rng.choice([0, math.pi / 2]) + rng.normal(0, 0.06) if rng.random() < 0.45 else rng.uniform(0, math.pi)
    )
    middle = np.array([SIDE / 2, SIDE / 2]) + rng.uniform(-45, 45, 2)
    along = np.array([math.cos(angle), math.sin(angle)])
    across = np.array([-along[1], along[0]])
    tone = str(rng.choice(["cement", "cement", "asphalt"]))
    width = float(rng.uniform(12.5, 18.5))
    walks = bool(rng.random() < 0.4)
    bulb = 0.0

    def straight(centre: np.ndarray, direction: np.ndarray, start: float = -_FAR) -> np.ndarray:
        return resample(np.array([centre + start * direction, centre + _FAR * direction]))

    if kind == "straight":
        paths = [(straight(middle, along), kind)]
    elif kind in ("curved", "fork"):
        bend = rng.choice([-1, 1]) * rng.uniform(60, 170) * across
        base = middle - bend / 2
        main = bezier(base - 190 * along, base + bend * 1.6, base + 190 * along)
        paths = [(main, "curved")]
        if kind == "fork":
            out = across if bend @ across > 0 else -across
            paths.append((straight(main[len(main) // 2], out, 0.0), "straight"))
    elif kind == "winding":
        s = np.linspace(-_FAR, _FAR, 120)
        swing = rng.uniform(16, 34) * np.sin(s * (6.28 / rng.uniform(190, 300)) + rng.uniform(0, 6.28))
        paths = [(resample(middle + s[:, None] * along + swing[:, None] * across), "curved")]
    elif kind == "cross":
        paths = [(straight(middle, along), "straight"), (straight(middle, across), "straight")]
    elif kind == "t":
        middle = middle - 35 * across
        paths = [(straight(middle, along), "straight"), (straight(middle, across, 0.0), "straight")]
    elif kind == "dead end":
        base = middle - rng.uniform(85, 125) * across
        end = base + rng.uniform(120, 165) * across + rng.uniform(-35, 35) * along
        stem = bezier(base, (base + end) / 2 + rng.uniform(-25, 25) * along, end)
        paths, bulb = [(straight(base, along), "straight"), (stem, "")], float(rng.uniform(15, 20))
    else:
        gap = rng.uniform(108, 140) / 2
        paths = [(straight(np.full(2, SIDE / 2) + k * gap * across, along), "straight") for k in (-1, 1)]
    roads = [
        Road(
            p, width * (1.0 if i == 0 else float(rng.uniform(0.85, 1.0))), tone, s, bulb if i else 0.0, walks
        )
        for i, (p, s) in enumerate(paths)
    ]
    # Drop roads that are outside the frame or only touch a corner.
    return [r for r in roads if in_frame(r.path, 8).sum() >= 10]


@dataclass(frozen=True)
class _Style:
    """Lot dimensions of one scene, in units."""

    size: float
    setback: float
    gap: float
    back: float


def _style(rng: np.random.Generator) -> _Style:
    """Draws the lot style: tract houses in most scenes, villas with large gardens in the others."""
    if rng.random() < 0.78:
        return _Style(rng.uniform(27, 37), rng.uniform(9, 16), rng.uniform(2.5, 11), rng.uniform(12, 24))
    return _Style(rng.uniform(34, 42), rng.uniform(13, 24), rng.uniform(12, 26), rng.uniform(16, 30))


def lay_plots(rng: np.random.Generator, roads: list[Road], blocked: list[Box]) -> list[Plot]:
    """Plots on both sides and at the end of every road that overlap neither each other, the roads nor `blocked`."""
    plots: list[Plot] = []
    style = _style(rng)
    for index, road in enumerate(roads):
        if road.bulb:
            plots += [p for p in _around_end(rng, road, index, style) if _fits(p, plots, roads, blocked)]
        steps = np.hypot(*np.diff(road.path, axis=0).T)
        s = np.concatenate([[0.0], np.cumsum(steps)])
        for side in (-1, 1):
            at = float(rng.uniform(0, 30))
            while at < s[-1]:
                k = int(np.clip(np.searchsorted(s, at), 1, len(s) - 2))
                here = road.path[k]
                if np.abs(here - SIDE / 2).max() > SIDE / 2 + 60:  # the house would not be visible
                    at += 6.0
                    continue
                tangent = road.path[k + 1] - road.path[k - 1]
                angle = math.atan2(tangent[1], tangent[0]) + (0.0 if side > 0 else math.pi)
                plot, pitch = _plot(rng, here, angle, road.width / 2, style, index, side)
                at += 6.0
                if _fits(plot, plots, roads, blocked):
                    plots.append(plot)
                    at += pitch - 6.0
    return plots


def _around_end(rng: np.random.Generator, road: Road, index: int, style: _Style) -> list[Plot]:
    """Plots facing the turning circle at the end of a road."""
    d = road.path[-1] - road.path[-4]
    ahead = math.atan2(d[1], d[0]) - math.pi / 2
    turns = ahead + np.array([-1.1, 0.0, 1.1]) + rng.normal(0, 0.1)
    return [_plot(rng, road.path[-1], float(t), road.bulb, style, index, 0)[0] for t in turns]


def _plot(rng: np.random.Generator, at: np.ndarray, angle: float, edge: float, style: _Style, road: int,
          side: int) -> tuple[Plot, float]:  # fmt: skip
    """The plot beyond the `edge` of a road, along the v axis of `angle` from the road point `at`; and its width."""
    w, d = style.size * rng.uniform(0.85, 1.15, 2)
    pitch = float(w + style.gap * rng.uniform(0.8, 1.25))
    setback = style.setback * rng.uniform(0.85, 1.2)
    out = np.array([-math.sin(angle), math.cos(angle)])
    box = Box.about(at + out * (edge + setback + d / 2), np.array([w, d]), angle)
    deep = setback + d + style.back
    yard = box.part(0, (deep - d) / 2 - setback + 1.5, pitch, deep - 3)
    drive = box.part(w * 0.25 * (side or 1), -d / 2 - setback / 2 + 1, rng.uniform(8, 12), setback + 4)
    return Plot(box, yard, drive, road, side), pitch


def _fits(plot: Plot, others: list[Plot], roads: list[Road], blocked: list[Box]) -> bool:
    box = plot.box
    # Every house is counted, so enough of it must be visible.
    if not (8 <= box.x <= SIDE - 8 and 8 <= box.y <= SIDE - 8) or box.inside_share() < 0.45:
        return False
    edge = np.concatenate([box.corners(), box.grid(3)])
    if any(r.gap(edge).min() < 7 for r in roads):
        return False
    core = box.grown(1)
    return not (any(overlap(core, o.box) for o in others) or any(overlap(core, b) for b in blocked))


# Mostly dark grey and brown, a few pale tile roofs.
_ROOFS = (
    (4, (86, 85, 88)), (4, (74, 75, 79)), (3, (98, 97, 97)), (2, (82, 87, 94)), (3, (106, 97, 88)),
    (2.5, (96, 84, 74)), (1, (124, 110, 96)), (0.7, (150, 138, 120)), (0.5, (172, 160, 142)), (0.5, (120, 84, 68)),
)  # fmt: skip
_ODDS = np.array([odds for odds, _ in _ROOFS])


def draw_roof(rng: np.random.Generator) -> tuple[int, int, int]:
    """Draws a roof colour."""
    return _ROOFS[int(rng.choice(len(_ROOFS), p=_ODDS / _ODDS.sum()))][1]


def build_house(rng: np.random.Generator, plot: Plot, before: bool, after: bool) -> House:
    """Builds a house on `plot`: a main body, usually with a wing at the driveway and one at the back."""
    b = plot.box
    front = b.h * rng.uniform(0.14, 0.3) if rng.random() < 0.8 else 0.0
    rear = b.h * rng.uniform(0.1, 0.22) if rng.random() < 0.5 else 0.0
    depth = b.h - front - rear
    boxes = [b.part(0, (front - rear) / 2, b.w, depth)]
    if front:
        wide = b.w * rng.uniform(0.38, 0.52)
        u = math.copysign((b.w - wide) / 2, plot.side or 1)
        boxes.append(b.part(u, (front - b.h) / 2, wide, front))
    if rear:
        wide = b.w * rng.uniform(0.3, 0.55)
        boxes.append(b.part(rng.uniform(-0.5, 0.5) * (b.w - wide), (b.h - rear) / 2, wide, rear))
    hip = bool(rng.random() < 0.85)
    return House(
        tuple(boxes), plot.yard, plot.drive, draw_roof(rng), hip, plot.road, plot.side, before, after
    )

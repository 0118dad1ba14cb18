"""Draws roads, houses, large buildings, parking lots, cars, trees and their shadows onto layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .brush import Colour, Layer
from .geometry import Box, ribbon
from .layout import Building, House, ParkingLot, Plan, Road
from .tones import Look

_ROAD: dict[str, Colour] = {"cement": (158, 154, 144), "asphalt": (116, 115, 114), "dirt": (180, 160, 124)}
_CARS: tuple[Colour, ...] = (
    (232, 232, 232),
    (40, 42, 46),
    (150, 152, 156),
    (140, 34, 32),
    (44, 62, 104),
    (196, 192, 180),
)


def _lit(colour: Colour | np.ndarray, factor: float) -> Colour:
    r, g, b = (int(v * factor) for v in colour)
    return r, g, b


def draw_road(layer: Layer, road: Road, roads: Sequence[Road]) -> None:
    """Kerb and surface; all kerbs come first so that crossings stay open."""
    if road is roads[0]:
        for r in roads:
            layer.polygon(ribbon(r.path, r.width + 3.0), (188, 183, 168))
    if road is roads[-1]:
        for r in roads:
            layer.polygon(ribbon(r.path, r.width), _ROAD[r.tone])


def _faces(box: Box, hip: bool) -> list[tuple[np.ndarray, tuple[float, float]]]:
    """Roof faces of a box: (polygon, outward normal in the box's axes)."""
    a, b = box.w / 2, box.h / 2
    p = lambda *uv: np.array([box.at(u, v) for u, v in uv])  # noqa: E731
    i = min(a, b) * 0.95 if hip else 0.0
    if a >= b:
        e, f = (-a + i, 0.0), (a - i, 0.0)
        out = [(p((-a, -b), (a, -b), f, e), (0.0, -1.0)), (p((-a, b), (a, b), f, e), (0.0, 1.0))]
        ends = [(p((-a, -b), (-a, b), e), (-1.0, 0.0)), (p((a, -b), (a, b), f), (1.0, 0.0))]
    else:
        e, f = (0.0, -b + i), (0.0, b - i)
        out = [(p((-a, -b), (-a, b), f, e), (-1.0, 0.0)), (p((a, -b), (a, b), f, e), (1.0, 0.0))]
        ends = [(p((-a, -b), (a, -b), e), (0.0, -1.0)), (p((-a, b), (a, b), f), (0.0, 1.0))]
    return out + (ends if hip else [])


def draw_house(layer: Layer, house: House, look: Look) -> None:
    """A roof of two or four faces a box, each lit by its slope against the sun."""
    for box in reversed(house.boxes):
        for polygon, normal in _faces(box, house.hip):
            nx, ny = np.subtract(box.at(*normal), (box.x, box.y))
            layer.polygon(polygon, _lit(house.roof, 1.0 - 0.3 * (nx * look.sun[0] + ny * look.sun[1])))
        a, b = max(0.0, box.w / 2 - box.h / 2), max(0.0, box.h / 2 - box.w / 2)
        ridge = np.array([box.at(-a, -b), box.at(a, b)])
        layer.line(ridge, 0.6, _lit(house.roof, 1.25))


def draw_large(layer: Layer, building: Building, look: Look) -> None:
    """A flat roof with a parapet and roof units."""
    for box in building.boxes:
        layer.box(box, _lit(building.roof, 0.8))
    for box in building.boxes:
        layer.box(box.grown(-1.5), building.roof)
    main = building.boxes[0]
    own = np.random.default_rng(int(main.x * 64) * 4096 + int(main.y * 64))
    for _ in range(int(main.w * main.h / 500)):
        u, v = own.uniform(-0.42, 0.42, 2) * (main.w, main.h)
        layer.box(main.part(u + look.sun[0] * 2, v + look.sun[1] * 2, 4, 3), _lit(building.roof, 0.45))
        layer.box(main.part(u, v, 4, 3), _lit(building.roof, 0.8))


def _bays(lot: ParkingLot) -> list[Box]:
    b = lot.box
    us = np.arange(-b.w / 2 + 5, b.w / 2 - 4, 6.0)
    return [b.part(u, v, 4.4, 9.0) for v in (-b.h / 2 + 7, b.h / 2 - 7) for u in us]


def draw_lot(layer: Layer, lot: ParkingLot) -> None:
    """Pavement with white lines between the bays."""
    layer.box(lot.box.grown(1.5), (190, 186, 172))
    layer.box(lot.box, (98, 98, 100) if lot.tone == "asphalt" else (170, 165, 152))
    b = lot.box
    for v in (-b.h / 2 + 7, b.h / 2 - 7):
        for u in np.arange(-b.w / 2 + 2, b.w / 2 - 1, 6.0):
            layer.line(np.array([b.at(u, v - 5), b.at(u, v + 5)]), 0.7, (222, 222, 214))


def draw_cars(layer: Layer, plan: Plan, date: str, rng: np.random.Generator) -> None:
    """Cars on roads, driveways and in bays; others at each date."""
    spots: list[Box] = []
    for lot in plan.lots:
        if getattr(lot, date):
            spots += [s for s in _bays(lot) if rng.random() < 0.4]
    for house in plan.houses:
        if getattr(house, date) and house.drive and rng.random() < 0.25:
            spots.append(house.drive.part(0, rng.uniform(-2, 2), 4.2, 9))
    for road in plan.roads:
        if getattr(road, date):
            for _ in range(int(rng.poisson(2.0))):
                k = int(rng.integers(1, len(road.path) - 1))
                t = road.path[k + 1] - road.path[k - 1]
                lane = Box.about(road.path[k], np.ones(2), np.arctan2(t[1], t[0]))
                spots.append(lane.part(0, rng.choice([-1, 1]) * road.width * 0.3, 9, 4.2))
    for spot in spots:
        colour = _CARS[int(rng.integers(len(_CARS)))]
        layer.box(spot.part(0.8, 0.8, spot.w + 0.6, spot.h + 0.6), (60, 58, 56))
        layer.box(spot, colour)
        long = spot.w > spot.h
        layer.box(
            spot.part(0, 0, spot.w * (0.3 if long else 0.75), spot.h * (0.75 if long else 0.3)),
            _lit(colour, 0.55),
        )


def house_shadow(layer: Layer, boxes: Sequence[Box], look: Look, height: float) -> None:
    """The cast shadow of boxes: their footprint swept along the sun."""
    step = np.array(look.sun) * look.reach * height
    for box in boxes:
        c = box.corners()
        layer.polygon(c + step)
        for i in range(4):
            a, b = c[i], c[(i + 1) % 4]
            layer.polygon(np.array([a, b, b + step, a + step]))


def tree_shadows(layer: Layer, xyr: np.ndarray, look: Look) -> None:
    """Round shadows beside the crowns of `xyr` (T, 3)."""
    for x, y, r in xyr:
        k = look.reach * (0.35 + r / 16)
        layer.disc(x + look.sun[0] * k, y + look.sun[1] * k, r * 0.95)


def draw_trees(layer: Layer, xyr: np.ndarray, look: Look, dice: np.ndarray) -> None:
    """Crowns of `xyr` (T, 3): a dark ragged disc, lighter clumps towards the sun.

    `dice` (T, 6) in 0..1 gives each tree its form, so that it keeps it at both dates.
    """
    dry, wet = np.array((70, 74, 50)), np.array((44, 66, 38))
    base = dry * (1 - look.green) + wet * look.green
    for (x, y, r), d in zip(xyr, dice, strict=True):
        tint = 0.8 + 0.35 * d[0]
        turn = 6.28 * d[1]
        layer.disc(x, y, r * 0.86, _lit(base, tint * 0.72))
        n = 4 if r > 5 else 2
        for k in range(n):
            a = turn + k * 6.28 / n
            u, v = np.cos(a) * r * 0.5, np.sin(a) * r * 0.5
            facing = -(u * look.sun[0] + v * look.sun[1]) / r
            light = tint * (0.95 + 0.5 * facing)
            layer.disc(x + u, y + v, r * (0.38 + 0.2 * d[2 + k]), _lit(base, light))

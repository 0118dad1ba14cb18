"""Draws paved areas (roads with kerbs and sidewalks, driveways, parking lots) and cars."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from semantic_cc.synth.procedural.appearance import relit
from semantic_cc.synth.procedural.drawing import Colour, Layer
from semantic_cc.synth.procedural.geometry import Box, in_frame
from semantic_cc.synth.procedural.ground import own_dice
from semantic_cc.synth.procedural.scene_objects import Building, House, PairPlan, ParkingLot, Road

_ROAD: dict[str, Colour] = {"cement": (178, 174, 166), "asphalt": (126, 125, 124)}
_KERB: Colour = (212, 206, 192)
_PAVED: Colour = (226, 219, 203)
_CARS: tuple[Colour, ...] = (
    (236, 236, 236), (226, 226, 224), (36, 38, 42), (52, 54, 58), (150, 152, 156), (96, 98, 102),
    (146, 30, 28), (44, 62, 108), (196, 192, 180),
)  # fmt: skip
_BAY = (5.6, 9.6)
"""Width and length of a parking bay in units."""


def draw_roads(layer: Layer, roads: Sequence[Road], verge: Colour) -> None:
    """Draws sidewalks, the grass `verge`, kerbs and surfaces, one layer for all roads at a time so that roads join."""
    walked = [r for r in roads if r.walks]
    for some, by, colour in ((walked, 6.6, relit(_PAVED, 0.95)), (walked, 5.0, verge), (roads, 1.4, _KERB)):
        for road in some:
            for outline in road.outlines(by):
                layer.polygon(outline, colour)
    for road in roads:
        for outline in road.outlines():
            layer.polygon(outline, _ROAD[road.tone])
    for road in roads:
        if road.tone == "asphalt" and road.width > 17:
            layer.line(road.path, 0.5, (172, 164, 120))


def draw_drive(layer: Layer, house: House) -> None:
    """Draws the driveway, a path to the door and a terrace behind the house."""
    if house.drive is None:
        return
    dice = own_dice(house.drive)
    pale = relit(_PAVED, float(dice.uniform(0.9, 1.12)))
    layer.box(house.drive, pale)
    main, d = house.boxes[0], house.drive
    away = -1.0 if main.local(np.array([[d.x, d.y]]))[0, 0] > 0 else 1.0
    if dice.random() < 0.6:
        layer.box(d.part(away * 7, d.h * 0.25, 12, 2.2), pale)
    if dice.random() < 0.45:
        layer.box(main.part(-away * main.w * 0.2, main.h / 2 + 4, dice.uniform(7, 12), 8), pale)


def draw_apron(layer: Layer, building: Building) -> None:
    """Draws the driveway and the pavement around a large building."""
    if building.drive:
        layer.box(building.drive, _ROAD["cement"])
    wide = float(own_dice(building.boxes[0]).choice([4, 7, 13]))
    for box in building.boxes:
        layer.box(box.grown(wide), relit(_PAVED, 0.92))


def bays(lot: ParkingLot) -> list[Box]:
    """The marked bays of a lot: double rows along its longer axis, separated by lanes."""
    b = lot.box
    long, short = max(b.w, b.h), min(b.w, b.h)
    out = []
    wide, deep = _BAY
    for v in _rows(short):
        for u in np.arange(-long / 2 + 8, long / 2 - 7, wide):
            out.append(b.part(u, v, wide, deep) if b.w >= b.h else b.part(v, u, deep, wide))
    return out


def _rows(short: float) -> list[float]:
    """Centre lines of the rows of bays across a lot `short` units wide."""
    edge = short / 2 - _BAY[1] / 2 - 1
    if short < 2 * _BAY[1] + 12:
        return [edge]
    middle = [-_BAY[1] / 2, _BAY[1] / 2] if short > 4 * _BAY[1] + 22 else []
    return [-edge, *middle, edge]


def draw_lot(layer: Layer, lot: ParkingLot) -> None:
    """Draws the pavement with white lines between the bays; some bays are grass islands."""
    layer.box(lot.box.grown(1.5), _KERB)
    layer.box(lot.box, (104, 104, 106) if lot.tone == "asphalt" else (182, 176, 162))
    dice = own_dice(lot.box)
    for bay in bays(lot):
        if dice.random() < 0.06:
            layer.box(bay.grown(-0.6), (112, 104, 72))
            continue
        a, b, c, d = bay.corners()
        for line in ((a, d), (b, c)) if bay.h > bay.w else ((a, b), (d, c)):
            layer.line(np.array(line), 0.6, (224, 224, 216))


def draw_cars(layer: Layer, plan: PairPlan, date: str, rng: np.random.Generator) -> None:
    """Draws cars on roads, at kerbs, on driveways and in bays; the cars differ between the dates."""
    spots: list[Box] = []
    filled = rng.uniform(0.05, 0.6)
    for lot in plan.lots:
        if getattr(lot, date):
            spots += [b.part(0, 0, *_car(rng, b.h > b.w)) for b in bays(lot) if rng.random() < filled]
    for house in plan.houses:
        if getattr(house, date) and house.drive and rng.random() < 0.3:
            off = rng.uniform(-1.5, 1.5, 2)
            spots.append(house.drive.part(off[0], off[1], *_car(rng, True)))
    for road in plan.roads:
        if getattr(road, date):
            for _ in range(int(rng.poisson(2.5))):
                k = int(rng.integers(1, len(road.path) - 1))
                t = road.path[k + 1] - road.path[k - 1]
                lane = Box.about(road.path[k], np.ones(2), np.arctan2(t[1], t[0]))
                at = rng.choice([-1, 1]) * road.width * rng.choice([0.24, 0.36])
                spots.append(lane.part(0, at, *_car(rng, False)))
    for spot in spots:
        if in_frame(np.array([[spot.x, spot.y]]), -8)[0]:
            _draw_car(layer, spot, _CARS[int(rng.integers(len(_CARS)))])


def _car(rng: np.random.Generator, upright: bool) -> tuple[float, float]:
    long, wide = float(rng.choice([8.4, 9.2, 10.6])), 4.2
    return (wide, long) if upright else (long, wide)


def _draw_car(layer: Layer, spot: Box, colour: Colour) -> None:
    layer.box(spot.part(0.5, -0.9, spot.w + 0.4, spot.h + 0.6), (50, 48, 48))
    layer.box(spot, colour)
    w, h = (spot.w * 0.16, spot.h * 0.8) if spot.w > spot.h else (spot.w * 0.8, spot.h * 0.16)
    for at in (-0.2, 0.24):
        u, v = (at * spot.w, 0.0) if spot.w > spot.h else (0.0, at * spot.h)
        layer.box(spot.part(u, v, w, h), relit(colour, 0.35))

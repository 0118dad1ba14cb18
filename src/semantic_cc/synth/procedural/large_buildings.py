"""Places large buildings and their parking lots."""

from __future__ import annotations

import numpy as np

from semantic_cc.synth.procedural.change_scenarios import ChangeScenario
from semantic_cc.synth.procedural.geometry import SIDE, Box
from semantic_cc.synth.procedural.scene_objects import Building, ParkingLot, Road

_FLAT = ((238, 238, 238), (226, 226, 222), (236, 234, 226), (206, 207, 205), (176, 178, 180), (192, 186, 174))
_METAL = ((150, 160, 164), (178, 182, 182), (128, 116, 102), (112, 122, 124))


def place_large_buildings(
    rng: np.random.Generator, scenario: ChangeScenario, roads: list[Road]
) -> tuple[list[Building], list[ParkingLot]] | None:
    """One to three buildings and a parking lot (new, old or gone, by `scenario`); None if they do not fit."""
    building, lot = scenario.building, scenario.parking
    if not building and not lot and rng.random() < 0.14:
        building, lot = "old", str(rng.choice(["old", ""], p=[0.7, 0.3]))
    if not building and not lot:
        return [], []
    angle = 0.0
    if roads:
        d = roads[0].path[-1] - roads[0].path[0]
        angle = float(np.arctan2(d[1], d[0])) + float(rng.choice([0.0, np.pi / 2]))
    for _ in range(40):
        centre = rng.uniform(35, SIDE - 35, 2)
        bodies, park = _sketch(rng, centre, angle)
        used = (bodies if building else []) + ([park] if lot else [])
        if any(b.inside_share() < 0.6 for b in used):
            continue
        if any(r.gap(np.concatenate([b.grid(7), b.corners()])).min() < 5 for b in used for r in roads):
            continue
        ridge = bool(rng.random() < 0.3)
        shades = _METAL if ridge else _FLAT
        roof = shades[int(rng.integers(len(shades)))]
        tone = str(rng.choice(["asphalt", "asphalt", "cement"]))
        come, stay = building != "new", building != "gone"
        drive = _drive(park if lot else bodies[0], roads)
        return (
            [Building(boxes, roof, ridge, drive, come, stay) for boxes in _forms(rng, bodies, ridge)]
            if building
            else [],
            [ParkingLot(park, tone, lot != "new", lot != "gone")] if lot else [],
        )
    return None


def _sketch(rng: np.random.Generator, centre: np.ndarray, angle: float) -> tuple[list[Box], Box]:
    """The main boxes of adjacent buildings, and the parking lot in front of the first."""
    count = int(rng.choice([1, 2, 3], p=[0.72, 0.15, 0.13]))
    w, h = (
        (rng.uniform(52, 125), rng.uniform(34, 66))
        if count == 1
        else (rng.uniform(44, 84), rng.uniform(20, 36))
    )
    first = Box.about(centre, np.array([w, h]), angle)
    step = h + rng.uniform(8, 16)
    bodies = [first.part(0, k * step, w * (rng.uniform(0.75, 1.1) if k else 1.0), h) for k in range(count)]
    deep = rng.uniform(30, 58)
    return bodies, first.part(
        rng.uniform(-0.1, 0.1) * w, -(h + deep) / 2 - 6, w * rng.uniform(0.8, 1.2), deep
    )


def _drive(start: Box, roads: list[Road]) -> Box | None:
    """The driveway from the centre of `start` to the nearest road; None if there is none."""
    if not roads:
        return None
    path = np.concatenate([r.path for r in roads])
    way = path - (start.x, start.y)
    far = np.hypot(*way.T)
    i = int(far.argmin())
    return Box.about(path[i] - way[i] / 2, np.array([far[i], 11.0]), float(np.arctan2(way[i, 1], way[i, 0])))


def _forms(rng: np.random.Generator, bodies: list[Box], ridge: bool) -> list[tuple[Box, ...]]:
    """The boxes of each building; a single flat-roofed building may have a wing opposite the parking lot."""
    b = bodies[0]
    if len(bodies) == 1 and not ridge and rng.random() < 0.4:
        w, h = b.w * rng.uniform(0.2, 0.5), b.h * rng.uniform(0.2, 0.4)
        wing = b.part(rng.choice([-0.5, 0.5]) * (b.w - w), (b.h + h) / 2 - 1, w, h)
        return [(b, wing)]
    return [(x,) for x in bodies]

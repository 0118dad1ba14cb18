"""Pairs in which real roofs come to a real ground that both dates share, along a drawn street or away from one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from semantic_cc.data.engine.roofs import AREA, Roof, Stamp, find_roofs, make_stamp
from semantic_cc.data.engine.scene import LEAST_PIXELS, Pool, Scene, place_of_area
from semantic_cc.data.engine.streets import (
    LOTS,
    TONES,
    Spot,
    Street,
    draw_street,
    drive_area,
    lay,
    lot_area,
    pave,
    spots_along,
    spots_anywhere,
)
from semantic_cc.data.engine.tiles import SIDE, cut_tile, draw
from semantic_cc.data.world.facts import place_of
from semantic_cc.data.world.geometry import in_frame
from semantic_cc.data.world.layout import Event
from semantic_cc.types import BUILDING, NONE, ROAD

ALONG, NEW_STREET = 0.75, 0.35
"""Share of the scenes with a street, and of these with a street that comes with the buildings."""
OLD = 0.35
"""Share of the further spots along an old street where a building stands at both dates."""
GAP = 3
"""Least distance between two roofs in pixels, so that they stay apart in the mask."""
LARGE = 1500
"""Area in pixels from which on a single building is called large."""
WIDEST = 62.0
"""Largest pitch of a row, as in the world: wider apart the eye sees no row."""


@dataclass(frozen=True)
class _Standing:
    """A building that found its place: its spot, its stamp and where that lies."""

    spot: Spot
    stamp: Stamp
    roof: np.ndarray
    left: int
    top: int


def pasted(pool: Pool, rng: np.random.Generator, exchanged: bool) -> Scene | None:
    """Buildings appear on a ground, or disappear from it; None where no roof could be cut out or placed."""
    source = draw(pool.built, rng)[0]
    scale = float(rng.uniform(*source.folder.roof_scale))
    roofs = [roof for roof in find_roofs(source) if AREA[0] <= roof.roof.sum() * scale**2 <= AREA[1]]
    if not roofs:
        return None
    tile = cut_tile(pool.grounds, rng)
    turn = float(rng.normal(0, 0.35))  # of all roofs alike, so that they keep one sun
    angle = turn + roofs[0].angle
    street = draw_street(rng, angle + float(rng.choice([0, math.pi / 2]))) if rng.random() < ALONG else None
    street_new = street is not None and not exchanged and rng.random() < NEW_STREET
    new, old, pitch = _settle(roofs, street, street_new, scale, turn, rng)
    if not new:
        return None
    before = after = tile.image
    if street is not None:
        after = lay(tile.image, street, rng)
        before = tile.image if street_new else after
    builder = _Builder(street, pitch, rng)
    for building in old:
        # The same draws for both dates: what stands at both looks the same.
        state = rng.bit_generator.state
        before = builder.built(before, building)
        rng.bit_generator.state = state
        after = builder.built(after, building)
    for building in new:
        after = builder.built(after, building)
    came = np.logical_or.reduce([building.roof for building in new])
    label = np.full((SIDE, SIDE), NONE, np.uint8)
    if street is not None and street_new:
        label[street.area >= 0.5] = ROAD
    label[came] = BUILDING
    events = _events(new, came, street, street_new, tile.source.ground, source.houses, exchanged, pitch)
    if exchanged:
        before, after = after, before
    standing = np.logical_or.reduce([came, *(building.roof for building in old)])
    return Scene(before, after, label, events, standing)


def _settle(
    roofs: Sequence[Roof],
    street: Street | None,
    street_new: bool,
    scale: float,
    turn: float,
    rng: np.random.Generator,
) -> tuple[list[_Standing], list[_Standing], float]:
    """The buildings that come, those that stand at both dates, and the pitch of the rows."""
    long = max(roof.size[0] for roof in roofs) * scale
    pitch = long + float(rng.uniform(4, 14))
    taken = np.zeros((SIDE, SIDE), bool)
    if street is None:
        spots = spots_anywhere(rng, 30, turn)
        most = int(rng.integers(1, 5))
        wanted = [True] * len(spots)
    else:
        taken = ndimage.binary_dilation(street.area > 0, iterations=4)
        spots = spots_along(street, rng, pitch, max(roof.size[1] for roof in roofs) * scale)
        wanted = _choose(spots, rng)
        most = len(spots)
    new: list[_Standing] = []
    old: list[_Standing] = []
    for spot, comes in zip(spots, wanted, strict=True):
        if len(new) == most or not (comes or (not street_new and rng.random() < OLD)):
            continue
        building = _stand(roofs[int(rng.integers(len(roofs)))], spot, scale, turn, taken, rng)
        if building is not None:
            taken |= ndimage.binary_dilation(building.roof, structure=np.ones((3, 3), bool), iterations=GAP)
            (new if comes else old).append(building)
    return new, old, pitch


def _choose(spots: Sequence[Spot], rng: np.random.Generator) -> list[bool]:
    """Which of the spots along a street are built on: all, one side, or some neighbours."""
    kind = str(rng.choice(["all", "side", "few", "few"]))
    if kind == "all":
        return [True] * len(spots)
    side = int(rng.choice([-1, 1]))
    if kind == "side":
        return [spot.side == side for spot in spots]
    at, count = rng.uniform(40, SIDE - 40, 2), int(rng.integers(1, 5))
    nearest = sorted(range(len(spots)), key=lambda k: math.hypot(spots[k].x - at[0], spots[k].y - at[1]))[
        :count
    ]
    return [k in nearest for k in range(len(spots))]


def _stand(
    roof: Roof, spot: Spot, scale: float, turn: float, taken: np.ndarray, rng: np.random.Generator
) -> _Standing | None:
    """A building on a spot, turned as all others but for the bend of the street; None where it has no room."""
    square = math.pi / 2
    turned = turn + (spot.turn - roof.angle - turn + square / 2) % square - square / 2
    stamp = make_stamp(roof, scale, turned, float(rng.uniform(1, 3)))
    high, wide = stamp.roof.shape
    left, top = round(spot.x - wide / 2), round(spot.y - high / 2)
    area = np.zeros((SIDE, SIDE), bool)
    inside, part = _overlap(left, top, high, wide)
    area[inside] = stamp.roof[part]
    seen = int(area.sum())
    if seen < max(2 * LEAST_PIXELS, 0.6 * stamp.roof.sum()) or (area & taken).any():
        return None
    if ndimage.label(area, structure=np.ones((3, 3), bool))[1] != 1:
        return None
    return _Standing(spot, stamp, area, left, top)


class _Builder:
    """Draws the buildings of a scene, each on its lot and with its driveway, all in one manner."""

    def __init__(self, street: Street | None, pitch: float, rng: np.random.Generator) -> None:
        self._street, self._pitch, self._rng = street, pitch, rng
        self._light = float(rng.uniform(0.85, 1.1))
        self._lot = LOTS[int(rng.integers(len(LOTS)))]
        self._lots = float(rng.choice([0.0, 0.5, 0.85]))
        self._drive = TONES["cement"] if rng.random() < 0.8 else TONES["asphalt"]

    def built(self, image: np.ndarray, building: _Standing) -> np.ndarray:
        """A copy of `image` (SIDE, SIDE, 3) with a building; its own rim does not cover its driveway."""
        rng, spot, street = self._rng, building.spot, self._street
        lot = self._lots * lot_area(
            spot, self._pitch * rng.uniform(0.9, 1.0), self._pitch * rng.uniform(1, 1.5)
        )
        if street is not None:
            lot = lot * (1 - street.area)
        image = pave(image, lot, self._lot, rng)
        drive = np.zeros((SIDE, SIDE))
        if street is not None and spot.mouth and rng.random() < 0.8:
            drive = drive_area(street, spot, float(rng.uniform(6, 10)))
            image = pave(image, drive, self._drive, rng)
        inside, part = _overlap(building.left, building.top, *building.stamp.roof.shape)
        alpha = building.stamp.alpha[part] * np.where(building.roof[inside], 1, 1 - drive[inside])
        share = alpha[..., None]
        image[inside] = image[inside] * (1 - share) + building.stamp.image[part] * self._light * share
        return image


def _overlap(left: int, top: int, high: int, wide: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The part of the picture that a stamp covers, and the part of the stamp that lies in the picture."""
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + wide, SIDE), min(top + high, SIDE)
    return (slice(y0, y1), slice(x0, x1)), (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))


def _events(
    new: Sequence[_Standing],
    came: np.ndarray,
    street: Street | None,
    street_new: bool,
    ground: str,
    houses: bool,
    gone: bool,
    pitch: float,
) -> tuple[Event, ...]:
    ground = "" if gone else ground
    count = len(new)
    large = count == 1 and came.sum() >= LARGE
    kind = "house" if houses else "building" if count > 1 or large else "roof"
    lines = {side: sorted(b.spot.order for b in new if b.spot.side == side) for side in (-1, 1)}
    lines = {side: orders for side, orders in lines.items() if orders}
    unbroken = all(len(o) >= 3 and o[-1] - o[0] == len(o) - 1 for o in lines.values()) and pitch <= WIDEST
    sides = 0
    if street is not None and count > 1:
        sides = 1 if len(lines) == 1 else 2 if min(map(len, lines.values())) >= 2 else 0
    built = Event(
        kind, gone, count, place_of_area(came), ground, ground == "woods",
        road="" if street is None else "new" if street_new else "old",
        roads=0 if street is None else 1,
        rows=len(lines) if street is not None and houses and unbroken else 0,
        sides=sides,
    )  # fmt: skip
    if street is None or not street_new:
        return (built,)
    path = street.path[in_frame(street.path)]
    road = Event(
        "road", False, 1, place_of(path), ground, ground == "woods", shape=street.shape, tone=street.tone
    )
    return built, road

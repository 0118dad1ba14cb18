"""Pairs with real roofs pasted onto a real ground image that both dates share, with or without a drawn street."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from semantic_cc.synth.composite.composite_scene import (
    LEAST_PIXELS,
    CompositeScene,
    SplitImages,
    place_of_area,
)
from semantic_cc.synth.composite.image_folders import SourceImage
from semantic_cc.synth.composite.image_tiles import SIDE, cut_tile, draw
from semantic_cc.synth.composite.road_overlay import (
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
from semantic_cc.synth.composite.roof_cutouts import AREA, Roof, Stamp, find_roofs, make_stamp
from semantic_cc.synth.procedural.change_events import place_of
from semantic_cc.synth.procedural.geometry import in_frame
from semantic_cc.synth.procedural.scene_objects import Event
from semantic_cc.types import BUILDING, NONE, ROAD

ALONG, NEW_STREET = 0.75, 0.35
"""Fraction of scenes with a street, and fraction of these streets that are new."""
OLD = 0.35
"""Fraction of the other spots along an old street that have a building at both dates."""
GAP = 3
"""Minimum distance between two roofs in pixels, so that they stay separate in the mask."""
LARGE = 1500
"""Minimum area in pixels of a large building."""
WIDEST = 62.0
"""Maximum spacing in pixels of houses in a row, as in procedural pairs."""


@dataclass(frozen=True)
class _Site:
    """The roofs and street of a construction site.

    Attributes:
        roofs: roofs of one image, so that the sun direction is the same.
        scale, turn: scale factor and rotation in radians of all roofs.
        street: the street, or None; street_new: whether the street is new.
        pitch: spacing of the buildings in a row, in pixels.
    """

    roofs: Sequence[Roof]
    scale: float
    turn: float
    street: Street | None
    street_new: bool
    pitch: float


@dataclass(frozen=True)
class _Standing:
    """A placed building.

    Attributes:
        spot, stamp: the position and the image pasted there.
        left, top: upper left corner of the stamp in pixels.
        roof: (SIDE, SIDE) bool, the roof mask.
    """

    spot: Spot
    stamp: Stamp
    left: int
    top: int
    roof: np.ndarray


def paste_roofs(pool: SplitImages, rng: np.random.Generator, exchanged: bool) -> CompositeScene | None:
    """A scene where buildings appear, or disappear if `exchanged`; None if no roof can be cut out or placed."""
    source = draw(pool.built, rng)[0]
    site = _survey(source, rng, new_street=not exchanged)
    if site is None:
        return None
    tile = cut_tile(pool.grounds, rng)
    new, old = _settle(site, rng)
    if not new:
        return None
    before = after = tile.image
    if site.street is not None:
        after = lay(tile.image, site.street, rng)
        before = tile.image if site.street_new else after
    builder = _Builder(site, rng)
    for building in old:
        # Use the same random state for both dates, so that unchanged buildings look the same.
        state = rng.bit_generator.state
        before = builder.built(before, building)
        rng.bit_generator.state = state
        after = builder.built(after, building)
    for building in new:
        after = builder.built(after, building)
    came = np.logical_or.reduce([building.roof for building in new])
    label = np.full((SIDE, SIDE), NONE, np.uint8)
    if site.street is not None and site.street_new:
        label[site.street.area >= 0.5] = ROAD
    label[came] = BUILDING
    events = _events(site, new, came, tile.source.ground, source.houses, gone=exchanged)
    if exchanged:
        before, after = after, before
    return CompositeScene(before, after, label, events, np.logical_or.reduce([came, *(b.roof for b in old)]))


def _survey(source: SourceImage, rng: np.random.Generator, new_street: bool) -> _Site | None:
    """Draws a site for the roofs of `source`; None if `source` has no usable roof."""
    scale = float(rng.uniform(*source.roof_scale))
    roofs = [roof for roof in find_roofs(source) if AREA[0] <= roof.roof.sum() * scale**2 <= AREA[1]]
    if not roofs:
        return None
    turn = float(rng.normal(0, 0.35))
    street = None
    if rng.random() < ALONG:
        street = draw_street(rng, turn + roofs[0].angle + float(rng.choice([0, math.pi / 2])))
    pitch = max(roof.size[0] for roof in roofs) * scale + float(rng.uniform(4, 14))
    street_new = street is not None and new_street and rng.random() < NEW_STREET
    return _Site(roofs, scale, turn, street, street_new, pitch)


def _settle(site: _Site, rng: np.random.Generator) -> tuple[list[_Standing], list[_Standing]]:
    """Places the new buildings and the unchanged buildings."""
    taken = np.zeros((SIDE, SIDE), bool)
    if site.street is None:
        spots = spots_anywhere(rng, 30, site.turn + site.roofs[0].angle)
        wanted, most = (rng.random(len(spots)) < 0.7).tolist(), int(rng.integers(1, 5))
    else:
        taken = ndimage.binary_dilation(site.street.area > 0, iterations=4)
        depth = max(roof.size[1] for roof in site.roofs) * site.scale
        spots = spots_along(site.street, rng, site.pitch, depth)
        wanted, most = _choose(spots, rng), len(spots)
    new: list[_Standing] = []
    old: list[_Standing] = []
    for spot, comes in zip(spots, wanted, strict=True):
        if len(new) == most or not (comes or (not site.street_new and rng.random() < OLD)):
            continue
        building = _stand(site, spot, taken, rng)
        if building is not None:
            taken |= ndimage.binary_dilation(building.roof, structure=np.ones((3, 3), bool), iterations=GAP)
            (new if comes else old).append(building)
    return new, old


def _choose(spots: Sequence[Spot], rng: np.random.Generator) -> list[bool]:
    """Selects the spots along a street for new buildings: all, one side, or a few neighbours."""
    kind = str(rng.choice(["all", "side", "few", "few"]))
    if kind == "all":
        return [True] * len(spots)
    side = int(rng.choice([-1, 1]))
    if kind == "side":
        return [spot.side == side for spot in spots]
    at, count = rng.uniform(40, SIDE - 40, 2), int(rng.integers(1, 5))
    order = np.argsort([math.hypot(spot.x - at[0], spot.y - at[1]) for spot in spots])
    return np.isin(np.arange(len(spots)), order[:count]).tolist()


def _stand(site: _Site, spot: Spot, taken: np.ndarray, rng: np.random.Generator) -> _Standing | None:
    """Places a building on a spot, with the rotation of the site adjusted to the street; None if it does not fit."""
    roof, square = site.roofs[int(rng.integers(len(site.roofs)))], math.pi / 2
    bend = (spot.turn - roof.angle - site.turn + square / 2) % square - square / 2
    stamp = make_stamp(roof, site.scale, site.turn + bend, float(rng.uniform(0.5, 2)))
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
    return _Standing(spot, stamp, left, top, area)


class _Builder:
    """Draws the buildings of a scene with lots and driveways in one common style."""

    def __init__(self, site: _Site, rng: np.random.Generator) -> None:
        self._site, self._rng = site, rng
        self._light = float(rng.uniform(0.85, 1.1))
        self._lot = LOTS[int(rng.integers(len(LOTS)))]
        self._lots = float(rng.choice([0.0, 0.5, 0.85]))
        self._drive = TONES["cement"] if rng.random() < 0.8 else TONES["asphalt"]

    def built(self, image: np.ndarray, building: _Standing) -> np.ndarray:
        """A copy of `image` (SIDE, SIDE, 3) with a building; the rim of the roof does not cover the driveway."""
        rng, spot, street = self._rng, building.spot, self._site.street
        wide, deep = self._site.pitch * rng.uniform([0.9, 1], [1, 1.5])
        lot = self._lots * lot_area(spot, wide, deep)
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
    """The image region covered by a stamp, and the stamp region inside the image."""
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + wide, SIDE), min(top + high, SIDE)
    return (slice(y0, y1), slice(x0, x1)), (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))


def _events(
    site: _Site, new: Sequence[_Standing], came: np.ndarray, ground: str, houses: bool, gone: bool
) -> tuple[Event, ...]:
    """The change events, exact by construction. `ground` is the ground type of the scene; "" if unknown."""
    ground, street, count = "" if gone else ground, site.street, len(new)
    large = count == 1 and came.sum() >= LARGE
    kind = "house" if houses else "building" if count > 1 or large else "roof"
    lines = {side: sorted(b.spot.order for b in new if b.spot.side == side) for side in (-1, 1)}
    lines = {side: orders for side, orders in lines.items() if orders}
    unbroken = (
        all(len(o) >= 3 and o[-1] - o[0] == len(o) - 1 for o in lines.values()) and site.pitch <= WIDEST
    )
    sides = 0
    if street is not None and count > 1:
        sides = 1 if len(lines) == 1 else 2 if min(map(len, lines.values())) >= 2 else 0
    built = Event(
        kind, gone, count, place_of_area(came), ground, ground == "woods",
        road="" if street is None else "new" if site.street_new else "old",
        roads=0 if street is None else 1,
        rows=len(lines) if street is not None and houses and unbroken else 0,
        sides=sides,
    )  # fmt: skip
    if street is None or not site.street_new:
        return (built,)
    path = street.path[in_frame(street.path)]
    road = Event(
        "road", False, 1, place_of(path), ground, ground == "woods", shape=street.shape, tone=street.tone
    )
    return built, road

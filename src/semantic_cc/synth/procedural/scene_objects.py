"""What stands where in a synthetic scene, before and after: data alone, no pixels and no words.

Everything that stands carries two flags, `before` and `after`. Units as in `geometry`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semantic_cc.synth.procedural.geometry import Box, circle, path_distance, ribbon


@dataclass(frozen=True)
class Road:
    """A road along `path` (M, 2), `width` units wide.

    Attributes:
        tone: "asphalt" or "cement".
        shape: "straight" or "curved"; "" for what is neither.
        bulb: radius of the turning circle at the end of the path, 0 without one.
        walks: sidewalks run along it.
    """

    path: np.ndarray
    width: float
    tone: str
    shape: str
    bulb: float = 0.0
    walks: bool = False
    before: bool = True
    after: bool = True

    def gap(self, points: np.ndarray) -> np.ndarray:
        """Distance of each of `points` (N, 2) to the road's edge, negative on the road, (N,)."""
        gap = path_distance(self.path, points) - self.width / 2
        if self.bulb:
            gap = np.minimum(gap, np.hypot(*(points - self.path[-1]).T) - self.bulb)
        return np.asarray(gap)

    def outlines(self, by: float = 0.0) -> list[np.ndarray]:
        """The polygons (N, 2) that the road covers, `by` units wider on each side."""
        strip = [ribbon(self.path, self.width + 2 * by)]
        return strip + ([circle(self.path[-1], self.bulb + by)] if self.bulb else [])


@dataclass(frozen=True)
class House:
    """A house: a main body and wings, its yard, driveway and roof.

    Attributes:
        boxes: the main body, then the wings, each reaching out of one of its sides.
        yard: the lot with lawn; None for a house that stands alone.
        drive: the driveway's box, or None.
        roof: RGB of the roof in even light.
        hip: four faces when True, two otherwise.
        road, side: index of the road along which it stands (-1: none) and the side of it (-1 or 1; 0: around its end).
    """

    boxes: tuple[Box, ...]
    yard: Box | None
    drive: Box | None
    roof: tuple[int, int, int]
    hip: bool
    road: int = -1
    side: int = 0
    before: bool = True
    after: bool = True


@dataclass(frozen=True)
class Building:
    """A larger building with a flat roof, or a metal one of two faces where `ridge`; `drive` leads to its road."""

    boxes: tuple[Box, ...]
    roof: tuple[int, int, int]
    ridge: bool = False
    drive: Box | None = None
    before: bool = True
    after: bool = True


@dataclass(frozen=True)
class ParkingLot:
    """A paved rectangle with marked bays in rows along its longer axis, and cars."""

    box: Box
    tone: str
    before: bool = True
    after: bool = True


@dataclass(frozen=True)
class SwimmingPool:
    """A swimming pool."""

    box: Box
    before: bool = True
    after: bool = True


@dataclass(frozen=True)
class Trees:
    """All trees: `xyr` (T, 3) centre and crown radius, with presence at both dates (T,) bool."""

    xyr: np.ndarray
    before: np.ndarray
    after: np.ndarray


@dataclass(frozen=True)
class Patch:
    """A piece of another ground inscribed in `box`: an ellipse, or nearly the whole box where `square`."""

    box: Box
    kind: str
    square: bool = False

    def depth(self, points: np.ndarray) -> np.ndarray:
        """How far inside each of `points` (N, 2) lies, (N,): 1 in the centre, 0 on the edge, negative outside."""
        uv = np.abs(self.box.local(points) / (self.box.w / 2, self.box.h / 2))
        # The sixth power makes a rectangle with round corners of the circle's equation.
        return np.asarray(1.0 - ((uv**6).sum(axis=1) ** (1 / 6) if self.square else np.hypot(*uv.T)))


@dataclass(frozen=True)
class Event:
    """One change as facts, from which sentences are phrased.

    Attributes:
        kind: "house", "building", "road", "parking lot", "tree" or "pool".
        gone: it disappeared; False: it appeared.
        count: how many.
        place: "top", "top left corner", ..., "middle"; "" where it spreads over the scene.
        ground: what was there in the earlier image: "grassland", "bareland", "desert", "woods"; "" mixed.
        trees: trees that stood there were removed with it.
        road: the road beside it: "" none, "old", "new".
        roads: how many roads it stands along.
        rows: number of rows when all of it stands in rows of at least three, else 0.
        sides: 1 all on one side of one road, 2 on both sides of every road beside it, 0 otherwise.
        shape: for roads "straight", "curved", "crossroad", "t-shaped"; "" otherwise.
        tone: for roads "cement" or "asphalt"; "" otherwise.
        small: a single house smaller than most.
        more: they came to others that stand at both dates; beside: one of them stands next to it.
        boxes: footprints of what changed.
    """

    kind: str
    gone: bool
    count: int
    place: str
    ground: str = ""
    trees: bool = False
    road: str = ""
    roads: int = 0
    rows: int = 0
    sides: int = 0
    shape: str = ""
    tone: str = ""
    small: bool = False
    more: bool = False
    beside: bool = False
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True)
class PairPlan:
    """A planned pair: the layout of both dates and the facts of the change (`events`, empty if unchanged)."""

    changed: bool
    scenario: str
    ground: str
    patches: tuple[Patch, ...]
    roads: tuple[Road, ...]
    houses: tuple[House, ...]
    buildings: tuple[Building, ...]
    lots: tuple[ParkingLot, ...]
    pools: tuple[SwimmingPool, ...]
    trees: Trees
    events: tuple[Event, ...]

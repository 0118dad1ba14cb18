"""Data classes for the objects and change events of a synthetic scene.

The flags `before` and `after` state at which dates an object exists. Units are those of `geometry`.
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
        shape: "straight" or "curved"; "" otherwise.
        bulb: radius of the turning circle at the end of the path; 0 if there is none.
        walks: whether the road has sidewalks.
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
        """Distance from each of `points` (N, 2) to the edge of the road, negative on the road, (N,)."""
        gap = path_distance(self.path, points) - self.width / 2
        if self.bulb:
            gap = np.minimum(gap, np.hypot(*(points - self.path[-1]).T) - self.bulb)
        return np.asarray(gap)

    def outlines(self, by: float = 0.0) -> list[np.ndarray]:
        """The polygons (N, 2) of the road, expanded by `by` units on each side."""
        strip = [ribbon(self.path, self.width + 2 * by)]
        return strip + ([circle(self.path[-1], self.bulb + by)] if self.bulb else [])


@dataclass(frozen=True)
class House:
    """A house: a main body and wings, its yard, driveway and roof.

    Attributes:
        boxes: the main body, then the wings, each attached to one of its sides.
        yard: the lot with lawn; None for an isolated house.
        drive: the box of the driveway, or None.
        roof: RGB of the roof without shading.
        hip: True: hip roof with four faces; False: gable roof with two.
        road, side: index of the adjacent road (-1: none) and the side of the road (-1 or 1; 0: around its end).
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
    """A large building with a flat roof, or a two-faced metal roof if `ridge`; `drive` connects it to its road."""

    boxes: tuple[Box, ...]
    roof: tuple[int, int, int]
    ridge: bool = False
    drive: Box | None = None
    before: bool = True
    after: bool = True


@dataclass(frozen=True)
class ParkingLot:
    """A paved rectangle with rows of marked bays along its longer axis."""

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
    """All trees: `xyr` (T, 3) centre and crown radius; `before`, `after` (T,) bool, presence at each date."""

    xyr: np.ndarray
    before: np.ndarray
    after: np.ndarray


@dataclass(frozen=True)
class Patch:
    """An area of another ground type inscribed in `box`: an ellipse, or a rounded rectangle if `square`."""

    box: Box
    kind: str
    square: bool = False

    def depth(self, points: np.ndarray) -> np.ndarray:
        """Relative depth of each of `points` (N, 2), (N,): 1 at the centre, 0 on the edge, negative outside."""
        uv = np.abs(self.box.local(points) / (self.box.w / 2, self.box.h / 2))
        # The 6-norm gives a rounded rectangle.
        return np.asarray(1.0 - ((uv**6).sum(axis=1) ** (1 / 6) if self.square else np.hypot(*uv.T)))


@dataclass(frozen=True)
class Event:
    """One change, from which captions are generated.

    Attributes:
        kind: "house", "building", "road", "parking lot", "tree" or "pool".
        gone: True: disappeared; False: appeared.
        count: number of objects.
        place: "top", "top left corner", ..., "middle"; "" where the objects spread over the scene.
        ground: ground at the earlier date: "grassland", "bareland", "desert", "woods"; "" if mixed.
        trees: whether trees were removed at the site.
        road: the adjacent road: "" none, "old", "new".
        roads: number of adjacent roads.
        rows: number of rows if all objects are in rows of at least three, else 0.
        sides: 1: all on one side of one road; 2: on both sides of every adjacent road; 0: otherwise.
        shape: for roads "straight", "curved", "crossroad", "t-shaped"; "" otherwise.
        tone: for roads "cement" or "asphalt"; "" otherwise.
        small: a single house smaller than most.
        more: objects of the same kind exist at both dates; beside: one of them is adjacent.
        boxes: footprints of the changed objects.
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
    """A planned pair: the layout at both dates and the change events (`events`, empty if unchanged)."""

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

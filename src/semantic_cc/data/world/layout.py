"""What stands where in a synthetic scene, before and after: data alone, no pixels and no words.

Everything that stands carries two flags, `before` and `after`. Units as in `geometry`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .geometry import Box


@dataclass(frozen=True)
class Road:
    """A road along `path` (M, 2), `width` units wide; `tone` is "asphalt", "cement" or "dirt"."""

    path: np.ndarray
    width: float
    tone: str
    shape: str
    before: bool = True
    after: bool = True


@dataclass(frozen=True)
class House:
    """A house of one or two boxes (L-shape), its yard, driveway and roof.

    Attributes:
        boxes: the main body, then the wing if there is one.
        yard: the lot with lawn; None for a house that stands alone.
        drive: the driveway's box, or None.
        roof: RGB of the roof in even light.
        hip: four faces when True, two otherwise.
        road, side: index of the road along which it stands (-1: none) and the side of it (-1 or 1).
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
    """A larger building with a flat roof; `boxes` as for `House`."""

    boxes: tuple[Box, ...]
    roof: tuple[int, int, int]
    before: bool = True
    after: bool = True


@dataclass(frozen=True)
class ParkingLot:
    """A paved rectangle with marked bays and cars."""

    box: Box
    tone: str
    before: bool = True
    after: bool = True


@dataclass(frozen=True)
class Pool:
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
    """An ellipse of another ground, inscribed in `box`."""

    box: Box
    kind: str


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
        sides: 1 all on one side of one road, 2 on both sides of one road, 0 otherwise.
        shape: for roads "straight", "curved", "crossroad", "t-shaped"; "" otherwise.
        tone: for roads "cement" or "asphalt"; "" otherwise.
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
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A planned pair: the layout of both dates and the facts of the change (`events`, empty if unchanged)."""

    changed: bool
    recipe: str
    ground: str
    patches: tuple[Patch, ...]
    roads: tuple[Road, ...]
    houses: tuple[House, ...]
    buildings: tuple[Building, ...]
    lots: tuple[ParkingLot, ...]
    pools: tuple[Pool, ...]
    trees: Trees
    events: tuple[Event, ...]

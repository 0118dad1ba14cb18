"""What can happen between two dates, as data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_ALL = ("straight", "curved", "winding", "cross", "t", "fork", "parallel", "dead end")
Want = frozenset[tuple[str, bool]]


@dataclass(frozen=True)
class Recipe:
    """A kind of change and the scene that it asks for.

    Attributes:
        houses: "" none change; "few" 1-4, "some" 3-8, "row", "rows", "many", "lone" (off the road), "gone".
        networks: road networks to draw from.
        building, parking: "" | "new" | "old" | "gone".
        clear: a clump of trees is cut; in_woods: what is new stands where woods were.
        pools: pools come to old houses; old_houses: other houses may stand.
        grounds: odds of grassland, bareland, desert.
    """

    name: str
    houses: str = ""
    networks: tuple[str, ...] = _ALL
    new_roads: bool = False
    building: str = ""
    parking: str = ""
    clear: bool = False
    in_woods: bool = False
    pools: bool = False
    old_houses: bool = True
    grounds: tuple[float, float, float] = (0.4, 0.42, 0.18)

    @property
    def wants(self) -> Want:
        """The (kind, gone) of every event that must come out."""
        out: set[tuple[str, bool]] = set()
        if self.houses:
            out.add(("house", self.houses == "gone"))
        if self.new_roads:
            out.add(("road", False))
        if self.building in ("new", "gone"):
            out.add(("building", self.building == "gone"))
        if self.parking in ("new", "gone"):
            out.add(("parking lot", self.parking == "gone"))
        if self.clear:
            out.add(("tree", True))
        if self.pools:
            out.add(("pool", False))
        return frozenset(out)

    @property
    def large_is_new(self) -> bool:
        """Whether the large building or lot comes with this recipe, so that trees may stand there before."""
        return "new" in (self.building, self.parking)

    @property
    def new_pools_allowed(self) -> bool:
        """Whether new houses may bring a pool along; never where one would be a change of its own."""
        return self.houses in ("some", "row", "rows", "many")


QUIET = Recipe("quiet", networks=(*_ALL, "none"))

_GREEN = (0.85, 0.15, 0.0)
_RECIPES: tuple[tuple[float, Recipe], ...] = (
    (13, Recipe("few", "few")),
    (9, Recipe("some", "some")),
    (3, Recipe("lone", "lone", (*_ALL, "none", "none"), old_houses=False)),
    (7, Recipe("row", "row")),
    (5, Recipe("rows", "rows", old_houses=False)),
    (8, Recipe("many", "many")),
    (9, Recipe("road", new_roads=True)),
    (11, Recipe("road some", "some", new_roads=True)),
    (20, Recipe("road many", "many", new_roads=True, old_houses=False)),
    (5, Recipe("building lot", building="new", parking="new")),
    (6, Recipe("building", building="new")),
    (1, Recipe("lot", parking="new", networks=("straight", "t", "curved"))),
    (3, Recipe("clear", clear=True, grounds=_GREEN)),
    (3, Recipe("woods few", "few", in_woods=True, grounds=_GREEN)),
    (3, Recipe("woods lone", "lone", ("straight", "none"), in_woods=True, old_houses=False, grounds=_GREEN)),
    (4, Recipe("woods many", "many", in_woods=True, grounds=_GREEN)),
    (8, Recipe("woods road", "many", new_roads=True, in_woods=True, old_houses=False, grounds=_GREEN)),
    (1, Recipe("pools", pools=True)),
    (10, Recipe("gone", "gone")),
    (2, Recipe("building gone", building="gone")),
    (1, Recipe("compound gone", building="gone", parking="gone")),
    (1, Recipe("lot gone", parking="gone")),
    (1, Recipe("building on lot", building="new", parking="gone")),
    (2, Recipe("gone for building", "gone", building="new")),
    (3, Recipe("few clear", "few", clear=True, grounds=_GREEN)),
    (1, Recipe("few lot", "few", parking="new")),
    (1, Recipe("some pools", "few", pools=True)),
    (4, Recipe("road building", new_roads=True, building="new", parking="new")),
)  # fmt: skip
_ODDS = np.array([w for w, _ in _RECIPES])


def draw_recipe(rng: np.random.Generator) -> Recipe:
    """One recipe of a changed pair."""
    return _RECIPES[int(rng.choice(len(_RECIPES), p=_ODDS / _ODDS.sum()))][1]

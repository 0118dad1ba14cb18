"""Definitions of the change scenarios between two dates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_ALL = ("straight", "curved", "winding", "cross", "t", "fork", "parallel", "dead end")
Want = frozenset[tuple[str, bool]]


@dataclass(frozen=True)
class ChangeScenario:
    """A type of change and the scene it requires.

    Attributes:
        houses: "" none change; "few" 1-4, "some" 3-8, "row", "rows", "many", "lone" (off the road), "gone".
        networks: candidate road networks.
        building, parking: "" | "new" | "old" | "gone".
        clear: a group of trees is removed; in_woods: new objects replace woods.
        pools: pools appear at old houses; old_houses: unchanged houses may exist.
        grounds: probabilities of grassland, bareland and desert.
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
        """The (kind, gone) of every event the layout must produce."""
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
        """Whether the large building or parking lot is new, so that its site may have trees at the earlier date."""
        return "new" in (self.building, self.parking)

    @property
    def new_pools_allowed(self) -> bool:
        """Whether new houses may include a pool; False where a new pool would be a separate change."""
        return self.houses in ("some", "row", "rows", "many")


QUIET = ChangeScenario("quiet", networks=(*_ALL, "none"))

_GREEN = (0.85, 0.15, 0.0)
_SCENARIOS: tuple[tuple[float, ChangeScenario], ...] = (
    (13, ChangeScenario("few", "few")),
    (9, ChangeScenario("some", "some")),
    (3, ChangeScenario("lone", "lone", (*_ALL, "none", "none"), old_houses=False)),
    (7, ChangeScenario("row", "row")),
    (5, ChangeScenario("rows", "rows", old_houses=False)),
    (8, ChangeScenario("many", "many")),
    (9, ChangeScenario("road", new_roads=True)),
    (11, ChangeScenario("road some", "some", new_roads=True)),
    (20, ChangeScenario("road many", "many", new_roads=True, old_houses=False)),
    (5, ChangeScenario("building lot", building="new", parking="new")),
    (6, ChangeScenario("building", building="new")),
    (1, ChangeScenario("lot", parking="new", networks=("straight", "t", "curved"))),
    (3, ChangeScenario("clear", clear=True, grounds=_GREEN)),
    (3, ChangeScenario("woods few", "few", in_woods=True, grounds=_GREEN)),
    (3, ChangeScenario("woods lone", "lone", ("straight", "none"), in_woods=True, old_houses=False, grounds=_GREEN)),
    (4, ChangeScenario("woods many", "many", in_woods=True, grounds=_GREEN)),
    (8, ChangeScenario("woods road", "many", new_roads=True, in_woods=True, old_houses=False, grounds=_GREEN)),
    (1, ChangeScenario("pools", pools=True)),
    (10, ChangeScenario("gone", "gone")),
    (2, ChangeScenario("building gone", building="gone")),
    (1, ChangeScenario("compound gone", building="gone", parking="gone")),
    (1, ChangeScenario("lot gone", parking="gone")),
    (1, ChangeScenario("building on lot", building="new", parking="gone")),
    (2, ChangeScenario("gone for building", "gone", building="new")),
    (3, ChangeScenario("few clear", "few", clear=True, grounds=_GREEN)),
    (1, ChangeScenario("few lot", "few", parking="new")),
    (1, ChangeScenario("some pools", "few", pools=True)),
    (4, ChangeScenario("road building", new_roads=True, building="new", parking="new")),
)  # fmt: skip
_ODDS = np.array([w for w, _ in _SCENARIOS])


def draw_scenario(rng: np.random.Generator) -> ChangeScenario:
    """Draws the scenario of a changed pair."""
    return _SCENARIOS[int(rng.choice(len(_SCENARIOS), p=_ODDS / _ODDS.sum()))][1]

"""Plans a pair: draws a scenario, lays out the scene at both dates and derives the change events."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from semantic_cc.synth.procedural import vegetation
from semantic_cc.synth.procedural.change_events import gather_events
from semantic_cc.synth.procedural.change_scenarios import QUIET, ChangeScenario, draw_scenario
from semantic_cc.synth.procedural.geometry import SIDE, Box, overlap
from semantic_cc.synth.procedural.large_buildings import place_large_buildings
from semantic_cc.synth.procedural.road_network import Plot, build_house, draw_roof, lay_plots, lay_roads
from semantic_cc.synth.procedural.scene_objects import House, PairPlan, Patch, Road, SwimmingPool, Trees


def generator(seed: int, index: int, purpose: int) -> np.random.Generator:
    """The random generator of one pair for one purpose, independent of all other pairs."""
    return np.random.default_rng(np.random.SeedSequence([seed, index, purpose]))


def is_changed(seed: int, index: int) -> bool:
    """Whether pair `index` is changed; exactly one of the pairs 2k and 2k + 1 is, selected by the seed."""
    coin = int(np.random.SeedSequence([seed, index // 2, 7]).generate_state(1)[0]) & 1
    return (index & 1) == coin


def plan_pair(seed: int, index: int) -> PairPlan:
    """Plans the layout and change events of pair `index` without rendering.

    Deterministic in (`seed`, `index`). The events are exact because they are derived from the layout.
    """
    rng = generator(seed, index, 0)
    changed = is_changed(seed, index)
    while True:
        scenario = draw_scenario(rng) if changed else QUIET
        # Retry a failed scenario in other scenes first to preserve the scenario probabilities.
        for _ in range(10):
            plan = _try(rng, scenario)
            if plan is not None:
                return plan


def _try(rng: np.random.Generator, scenario: ChangeScenario) -> PairPlan | None:
    ground = str(rng.choice(vegetation.GROUNDS, p=scenario.grounds))
    patches = vegetation.lay_patches(rng, ground)
    roads = _date_roads(rng, scenario, lay_roads(rng, str(rng.choice(scenario.networks))))
    if roads is None:
        return None
    compound = place_large_buildings(rng, scenario, roads)
    if compound is None:
        return None
    buildings, lots = compound
    blocked = [b for x in buildings for b in (*x.boxes, *([x.drive] if x.drive else []))]
    blocked += [x.box for x in lots]
    plots = lay_plots(rng, roads, [b.grown(4) for b in blocked])
    houses = _assign(rng, scenario, roads, plots, blocked)
    if houses is None:
        return None
    pools = _place_pools(rng, scenario, houses)
    if pools is None:
        return None
    patches += _site(rng, scenario, ground, roads, houses)
    trees = _grow(rng, scenario, roads, houses, blocked, pools)
    if trees is None:
        return None
    plan = PairPlan(scenario.name != "quiet", scenario.name, ground, patches, tuple(roads), tuple(houses),
                tuple(buildings), tuple(lots), tuple(pools), trees, ())  # fmt: skip
    events = gather_events(plan)
    kinds = {(e.kind, e.gone) for e in events}
    if not scenario.wants <= kinds or (not scenario.wants and events):
        return None
    return replace(plan, events=events)


def _site(
    rng: np.random.Generator, scenario: ChangeScenario, ground: str, roads: list[Road], houses: list[House]
) -> tuple[Patch, ...]:
    """The patches of graded ground that often precede new houses."""
    fresh = np.array([(h.boxes[0].x, h.boxes[0].y) for h in houses if not h.before]).reshape(-1, 2)
    if ground == "bareland" or scenario.in_woods or not roads or not len(fresh) or rng.random() < 0.55:
        return ()
    d = roads[0].path[-1] - roads[0].path[0]
    frame = Box(0.0, 0.0, 1.0, 1.0, float(np.arctan2(d[1], d[0])))
    uv = frame.local(fresh)
    low, high = uv.min(axis=0), uv.max(axis=0)
    room = high - low + rng.uniform(80, 130, 2)
    return (Patch(frame.part(*(low + high) / 2, *room), "bareland", square=True),)


def _date_roads(rng: np.random.Generator, scenario: ChangeScenario, roads: list[Road]) -> list[Road] | None:
    if not scenario.new_roads:
        return roads
    if not roads:
        return None
    # With several roads, either all are new or all except the first.
    first = 0 if len(roads) == 1 or rng.random() < 0.5 else 1
    return [replace(r, before=i < first) for i, r in enumerate(roads)]


def _assign(
    rng: np.random.Generator,
    scenario: ChangeScenario,
    roads: list[Road],
    plots: list[Plot],
    blocked: list[Box],
) -> list[House] | None:
    """Assigns each plot: empty, unchanged house, new house or removed house."""
    old_roads = [i for i, r in enumerate(roads) if r.before]
    chosen = _choose(rng, scenario, plots, old_roads)
    if chosen is None:
        return None
    share = float(rng.choice([0.0, 0.35, 0.75, 0.9, 1.0])) if scenario.old_houses else 0.0
    gone = scenario.houses == "gone"
    out = []
    for i, plot in enumerate(plots):
        if i in chosen:
            out.append(build_house(rng, plot, gone, not gone))
        elif plot.road in old_roads and rng.random() < share:
            out.append(build_house(rng, plot, True, True))
    if scenario.houses == "lone":
        out += _lone_houses(rng, roads, blocked, out, int(rng.integers(1, 4)))
        return out if any(not h.before for h in out) else None
    return out


def _choose(
    rng: np.random.Generator, scenario: ChangeScenario, plots: list[Plot], old_roads: list[int]
) -> set[int] | None:
    """Indices of the plots whose houses change; None if the scene has no suitable plots."""
    kind = scenario.houses
    if kind in ("", "lone"):
        return set()
    # A removed house needs an old road; without new roads in the scenario, all roads are old.
    usable = [i for i, p in enumerate(plots) if kind != "gone" or p.road in old_roads]
    if kind == "many":
        return set(usable) if len(usable) > 8 else None
    if kind == "rows":
        groups = _groups(plots, usable, 3)
        if len(groups) < 2:
            return None
        order = rng.permutation(len(groups))[: int(rng.integers(2, 4))]
        return {i for g in order for i in groups[g]}
    if kind == "row":
        groups = _groups(plots, usable, 4)
        return set(groups[int(rng.integers(len(groups)))]) if groups else None
    n = int(rng.integers(3, 9)) if kind == "some" else int(rng.choice([1, 1, 1, 2, 2, 3, 4]))
    if len(usable) < n or not usable:
        return None
    # Select neighbouring plots, as in real construction.
    seed = plots[usable[int(rng.integers(len(usable)))]].box
    near = sorted(usable, key=lambda i: (plots[i].box.x - seed.x) ** 2 + (plots[i].box.y - seed.y) ** 2)
    return set(near[:n])


def _groups(plots: list[Plot], usable: list[int], least: int) -> list[list[int]]:
    keys = sorted({(plots[i].road, plots[i].side) for i in usable if plots[i].side})
    groups = [[i for i in usable if (plots[i].road, plots[i].side) == k] for k in keys]
    return [g for g in groups if len(g) >= least]


def _lone_houses(
    rng: np.random.Generator, roads: list[Road], blocked: list[Box], houses: list[House], n: int
) -> list[House]:
    """Houses away from every road."""
    out: list[House] = []
    for _ in range(60):
        sides = rng.uniform(24, 38, 2)
        box = Box.about(rng.uniform(22, SIDE - 22, 2), sides, rng.uniform(0, 3.1))
        taken = blocked + [b for x in houses + out for b in (x.yard or x.boxes[0], *x.boxes)]
        if any(overlap(box.grown(8), b) for b in taken):
            continue
        if any(r.gap(box.grid(3)).min() < 45 for r in roads):
            continue
        drive = box.part(0, -box.h / 2 - 8, 9, 18) if rng.random() < 0.7 else None
        roof = draw_roof(rng)
        out.append(House((box,), None, drive, roof, bool(rng.random() < 0.7), before=False))
        if len(out) == n:
            break
    return out


def _place_pools(
    rng: np.random.Generator, scenario: ChangeScenario, houses: list[House]
) -> list[SwimmingPool] | None:
    """Places existing pools behind houses and the scenario's new pools behind unchanged houses."""
    pools: list[SwimmingPool] = []
    want = int(rng.choice([1, 2, 2, 3])) if scenario.pools else 0
    for house in houses:
        old = house.before and house.after
        if house.yard is None or not house.after:
            continue
        new = want > 0 and old and scenario.pools
        if not new and rng.random() > 0.012:
            continue
        body = house.boxes[0]
        box = body.part(0, body.h / 2 + 9, rng.uniform(14, 18), rng.uniform(10, 11.5))
        clash = any(overlap(box, b) for h in houses for b in h.boxes) or box.inside_share() < 1
        if clash:
            continue
        if new:
            want -= 1
        elif not old and not scenario.new_pools_allowed:
            continue
        pools.append(SwimmingPool(box, before=old and not new))
    return pools if not scenario.pools or want == 0 else None


def _grow(
    rng: np.random.Generator,
    scenario: ChangeScenario,
    roads: list[Road],
    houses: list[House],
    blocked: list[Box],
    pools: list[SwimmingPool],
) -> Trees | None:
    """Trees at both dates; trees on the site of new objects are removed, and no trees appear."""
    areas = [vegetation.woods_area(rng, None) for _ in range(int(rng.choice([0, 0, 1, 2])))]
    fresh = np.array([(h.boxes[0].x, h.boxes[0].y) for h in houses if not h.before]).reshape(-1, 2)
    if scenario.in_woods:
        points = (
            fresh
            if len(fresh)
            else np.concatenate([r.path for r in roads if not r.before] or [np.zeros((0, 2))])
        )
        points = points[((points > 0) & (points < SIDE)).all(axis=1)]
        if not len(points):
            return None
        areas = [vegetation.woods_area(rng, points)]
    cut: Box | None = None
    if scenario.clear:
        cut = Box.about(rng.uniform(50, SIDE - 50, 2), rng.uniform(50, 110, 2))
        areas.append(cut.grown(rng.uniform(5, 40)))
    wild = vegetation.sow(rng, areas, int(rng.choice([4, 12, 30, 50])))
    xyr = np.concatenate([wild, vegetation.plant(rng, houses)])
    # Yards contain the trees planted at unchanged houses and a few older trees.
    spared = rng.random(len(xyr)) < rng.choice([0.0, 0.05, 0.2])
    spared[len(wild) :] = True

    def free(date: str) -> np.ndarray:
        present = [h for h in houses if getattr(h, date)]
        boxes = [b for h in present for b in (*h.boxes, *([h.drive] if h.drive else []))]
        boxes += [p.box for p in pools if getattr(p, date)]
        yards = [h.yard for h in present if h.yard] + [h.boxes[0].grown(9) for h in present if not h.yard]
        return vegetation.clear_of(xyr, [r for r in roads if getattr(r, date)], boxes, yards, spared)

    # Sites of large buildings and parking lots are free of trees at both dates unless the buildings are new.
    before = free("before")
    after = before & free("after")
    for box in blocked:
        clear = box.distance(xyr[:, :2]) > 0.8 * xyr[:, 2] + 2
        after &= clear
        if not scenario.large_is_new:
            before &= clear
    if cut is not None:
        after &= cut.distance(xyr[:, :2]) > 0
    seen = before | after
    return Trees(xyr[seen], before[seen], after[seen])

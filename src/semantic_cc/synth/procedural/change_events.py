"""Derives change events from a layout: kind, count, location, previous ground and adjacent objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from semantic_cc.synth.procedural import vegetation
from semantic_cc.synth.procedural.geometry import SIDE, Box, in_frame, overlap, path_distance
from semantic_cc.synth.procedural.scene_objects import Event, House, PairPlan, Road

LEAST_TREES = 6
"""Minimum number of large trees for a clearing to count as an event."""

SMALL = 620.0
"""Area in square units below which the main body makes a house small."""

NEXT = 14.0
"""Maximum distance in units between adjacent houses."""

LEAST_WOODS = 12
"""Minimum number of removed large trees for them to be called woods."""


def place_of(points: np.ndarray) -> str:
    """The location of `points` (N, 2): a side, a corner or the middle of the scene; "" where they spread.

    Also "" for an ambiguous location, for example between left and middle.
    """
    p = np.clip(points[in_frame(points, -1)] if in_frame(points, -1).any() else points, 0, SIDE) / SIDE
    across = _third(p[:, 0], "left", "right")
    down = _third(p[:, 1], "top", "bottom")
    if "between" in (across, down):
        return ""
    if "" in (across, down):
        side = across or down
        return "" if side == "middle" else side
    if across == down == "middle":
        return "middle"
    if "middle" in (across, down):
        return across if down == "middle" else down
    return f"{down} {across} corner"


def _third(t: np.ndarray, low: str, high: str) -> str:
    """`low`, "middle" or `high`; "between" for a position between two of them; "" where the points spread."""
    centre, least, most = float(t.mean()), float(t.min()), float(t.max())
    if most - least > 0.55:
        return ""
    if most < 0.52 and centre < 0.36:
        return low
    if least > 0.48 and centre > 0.64:
        return high
    return "middle" if 0.42 < centre < 0.58 else "between"


def gather_events(plan: PairPlan) -> tuple[Event, ...]:
    """All events of a layout, most important first; empty for an unchanged pair."""
    events: list[Event] = []
    for gone in (False, True):
        houses = [h for h in plan.houses if h.before == gone and h.after != gone]
        if houses:
            events.append(_houses(plan, houses, gone))
        boxes = [x.boxes for x in plan.buildings if x.before == gone and x.after != gone]
        if boxes:
            events.append(_things(plan, "building", gone, boxes))
    roads = [r for r in plan.roads if r.after and not r.before and _seen(r) > 0]
    if roads:
        events.append(_roads(plan, roads))
    for kind, things in (("parking lot", plan.lots), ("pool", plan.pools)):
        for gone in (False, True):
            boxes = [(x.box,) for x in things if x.before == gone and x.after != gone]
            if boxes:
                events.append(_things(plan, kind, gone, boxes))
    tree = _trees(plan, events, roads)
    return (*events, *([tree] if tree else []))


def _seen(road: Road) -> int:
    return int(in_frame(road.path, 6).sum())


def _under(plan: PairPlan, points: np.ndarray) -> tuple[str, bool]:
    """The ground under `points` at the earlier date, and whether trees were removed there."""
    points = points[in_frame(points)]
    removed = plan.trees.before & ~plan.trees.after
    share = vegetation.canopy(plan.trees, removed, points)
    grown = plan.trees.xyr[removed & in_frame(plan.trees.xyr[:, :2]), 2] >= 5
    if share > 0.45 and grown.sum() >= LEAST_WOODS:
        return "woods", True
    return vegetation.ground_under(plan.ground, plan.patches, points), share > 0.15


def _grid(boxes: Sequence[Box]) -> np.ndarray:
    return np.concatenate([b.grid() for b in boxes])


def _beside(plan: PairPlan, points: np.ndarray, reach: float = 14.0) -> tuple[str, int]:
    """The age ("", "old" or "new") and number of the roads whose edge is within `reach` units of `points`."""
    near = [r for r in plan.roads if r.gap(points).min() < reach]
    kinds = {"old" if r.before else "new" for r in near}
    # Beside an old and a new road, "the road" is correct but "newly built" is only partly correct.
    return ("" if not near else "new" if kinds == {"new"} else "old"), len(near)


def _things(plan: PairPlan, kind: str, gone: bool, boxes: list[tuple[Box, ...]]) -> Event:
    flat = tuple(b for group in boxes for b in group)
    points = _grid(flat)
    ground, trees = ("", False) if gone else _under(plan, points)
    road, roads = _beside(plan, points)
    return Event(kind, gone, len(boxes), place_of(points), ground, trees, road, roads, boxes=flat)


def _houses(plan: PairPlan, houses: list[House], gone: bool) -> Event:
    flat = tuple(b for h in houses for b in h.boxes)
    points = _grid(flat)
    ground, trees = ("", False) if gone else _under(plan, points)
    lines = Counter((h.road, h.side) for h in houses)
    along = {h.road for h in houses} - {-1}
    road = ""
    if along and (-1, 0) not in lines:
        road = "new" if all(not plan.roads[i].before for i in along) else "old"
    round_end = 0 in {h.side for h in houses}
    rows = (
        len(lines)
        if road
        and not round_end
        and min(lines.values()) >= 3
        and all(_unbroken(plan, k, gone) for k in lines)
        else 0
    )
    sides = 0
    if road and len(houses) > 1 and not round_end:
        both = all(min(lines[i, -1], lines[i, 1]) >= 2 for i in along)
        sides = 2 if both else 1 if len(lines) == 1 else 0
    stays = [h.boxes[0] for h in plan.houses if h.before and h.after]
    main = houses[0].boxes[0]
    return Event(
        "house", gone, len(houses), place_of(points), ground, trees, road, len(along), rows, sides,
        small=len(houses) == 1 and main.w * main.h < SMALL,
        more=bool(stays) and not gone,
        beside=any(overlap(b, main.grown(NEXT)) for b in stays),
        boxes=flat,
    )  # fmt: skip


def _unbroken(plan: PairPlan, line: tuple[int, int], gone: bool) -> bool:
    """Whether the changed houses on one side of a road form a continuous row."""
    path = plan.roads[line[0]].path
    row = [h for h in plan.houses if (h.road, h.side) == line]
    at = {id(h): int(np.hypot(*(path - (h.boxes[0].x, h.boxes[0].y)).T).argmin()) for h in row}
    row.sort(key=lambda h: at[id(h)])
    changed = [h.before != h.after for h in row]
    first, last = changed.index(True), len(changed) - 1 - changed[::-1].index(True)
    if not all(changed[first : last + 1]):
        return False
    # A wide gap or a street between neighbours visually splits the row.
    spots = np.array([(h.boxes[0].x, h.boxes[0].y) for h in row[first : last + 1]])
    if (np.hypot(*np.diff(spots, axis=0).T) > 62).any():
        return False
    between = (spots[1:] + spots[:-1]) / 2
    return all((r.gap(between) > 6).all() for r in plan.roads)


def _roads(plan: PairPlan, roads: list[Road]) -> Event:
    points = np.concatenate([r.path for r in roads])
    points = points[in_frame(points)]
    ground, trees = _under(plan, points)
    shape = roads[0].shape if len(roads) == 1 else ""
    if len(roads) == 2 and len(plan.roads) == 2:
        gap = path_distance(roads[0].path, roads[1].path)
        ends = min(gap[0], gap[-1])
        # A road that ends on the other road forms a T; a road that crosses it forms a crossroad.
        shape = "" if gap.min() > 8 else "t-shaped" if ends < 8 else "crossroad"
        meeting = roads[1].path[int(gap.argmin())]
        if shape and not in_frame(meeting[None], 15)[0]:
            shape = ""
    boxes = tuple(Box(float(x), float(y), 4.0, 4.0) for x, y in points)
    return Event(
        "road",
        False,
        len(roads),
        place_of(points),
        ground,
        trees,
        shape=shape,
        tone=roads[0].tone,
        boxes=boxes,
    )


def _trees(plan: PairPlan, events: list[Event], roads: list[Road]) -> Event | None:
    """The event of a clearing that is not the site of another event."""
    t = plan.trees.xyr
    lost = plan.trees.before & ~plan.trees.after & (t[:, 2] >= 5) & in_frame(t[:, :2])
    yards = [h.yard for h in plan.houses if h.yard and not h.before and h.after]
    for box in [b for e in events for b in e.boxes] + yards:
        lost &= box.distance(t[:, :2]) > 16
    for road in roads:
        lost &= road.gap(t[:, :2]) > 14
    if int(lost.sum()) < LEAST_TREES:
        return None
    spots = t[lost]
    boxes = tuple(Box(float(x), float(y), 1.4 * float(r), 1.4 * float(r)) for x, y, r in spots)
    return Event("tree", True, len(spots), place_of(spots[:, :2]), boxes=boxes)

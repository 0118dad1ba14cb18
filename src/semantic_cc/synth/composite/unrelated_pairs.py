"""Pairs of two unrelated images: the change mask is the exclusive or of the building masks.

Single-temporal supervision after ChangeStar (Zheng et al., ICCV 2021): a model can learn to separate building changes
from other differences from labelled single-date images.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from semantic_cc.synth.composite.composite_scene import CompositeScene, SplitImages, parts_of, place_of_area
from semantic_cc.synth.composite.image_tiles import SIDE, Tile, cut_tile
from semantic_cc.synth.procedural.scene_objects import Event
from semantic_cc.types import BUILDING, NOT_BUILDING, UNKNOWN

SURE_PIXELS = 150
"""Minimum size in pixels of a mask component that counts as a separate building (37 square metres)."""


def ground_to_buildings(
    pool: SplitImages, rng: np.random.Generator, exchanged: bool
) -> CompositeScene | None:
    """Ground without buildings at one date and buildings at the other; None if `combine_tiles` rejects the tiles."""
    return combine_tiles(cut_tile(pool.bare, rng), cut_tile(pool.built, rng), exchanged)


def buildings_to_buildings(
    pool: SplitImages, rng: np.random.Generator, exchanged: bool
) -> CompositeScene | None:
    """Different buildings at each date; None if `combine_tiles` rejects the tiles."""
    return combine_tiles(cut_tile(pool.built, rng), cut_tile(pool.built, rng), exchanged)


def combine_tiles(one: Tile, other: Tile, exchanged: bool) -> CompositeScene | None:
    """Combines two tiles as the two dates; None if too little changes or no correct caption is possible."""
    before, after = (other, one) if exchanged else (one, other)
    came, came_count = _only(after, before)
    gone, gone_count = _only(before, after)
    changed, mixed = came | gone, bool(came_count and gone_count)
    if not changed.any():
        return None
    exact = not mixed and (after if came_count else before).source.folder.complete
    if not exact:
        # A caption for one of several changed buildings would have to identify it, so require at least two.
        least = 1 if came_count + gone_count == 1 else 2
        surely = _surely(after, came), _surely(before, gone)
        if any(part and sure < least for part, sure in zip((came_count, gone_count), surely, strict=True)):
            return None
        if mixed and parts_of(changed)[1] < 2:
            return None
        came_count, gone_count = surely
    label = np.full((SIDE, SIDE), NOT_BUILDING, np.uint8)
    label[before.unknown | after.unknown | (before.building ^ after.building)] = UNKNOWN
    label[changed] = BUILDING
    events = [
        event
        for event in (
            _event(after, came, came_count, False, before.source.ground, exact),
            _event(before, gone, gone_count, True, "", exact),
        )
        if event
    ]
    events.sort(key=lambda event: -event.count)
    roofs = before.building | after.building | before.unknown | after.unknown
    return CompositeScene(before.image, after.image, label, tuple(events), roofs)


def _only(one: Tile, other: Tile) -> tuple[np.ndarray, int]:
    """The mask and number of the buildings that exist only in `one`, without small or thin components."""
    own = one.building & ~other.building & ~other.unknown
    return parts_of(ndimage.binary_opening(own, structure=np.ones((3, 3), bool)))


def _surely(tile: Tile, area: np.ndarray) -> int:
    """The minimum number of buildings in `area`; parts connected by uncertain pixels count as one."""
    heaps, _ = ndimage.label(tile.building | tile.uncertain, structure=np.ones((3, 3), bool))
    return int((np.bincount(heaps[area], minlength=1)[1:] >= SURE_PIXELS).sum())


def _event(tile: Tile, area: np.ndarray, count: int, gone: bool, ground: str, exact: bool) -> Event | None:
    """The event of the new or removed buildings; `count` is a lower bound unless `exact`."""
    if not count:
        return None
    kind = ("house" if exact else "home") if tile.source.houses else ("building" if exact else "roof")
    return Event(kind, gone, count, place_of_area(area), ground, trees=ground == "woods")

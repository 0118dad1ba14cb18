"""Plain English for measured values: amounts, positions, and the sentence of the whole scene."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from semantic_cc.scene.geodesy import metres_per_pixel, on_earth
from semantic_cc.scene.grid import Grid, Window
from semantic_cc.scene.scene_report import ClassStats, Place

_NOUNS = {"building": ("building", "buildings"), "road": ("stretch of road", "stretches of road")}

_UNITS = ((1.0, "m²"), (1e4, "ha"), (1e6, "km²"))

_COMPASS = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")
_PICTURE = ("top", "top right", "right", "bottom right", "bottom", "bottom left", "left", "top left")


def area_text(area_m2: float | None, pixels: int) -> str:
    """An area in m², ha or km² with three figures; in pixels where `area_m2` is None."""
    if area_m2 is None:
        return f"{pixels:,} {'pixel' if pixels == 1 else 'pixels'}"
    rounded = float(f"{area_m2:.3g}")
    size, unit = next((step for step in reversed(_UNITS) if rounded >= step[0]), _UNITS[0])
    return f"{rounded / size:,.10g} {unit}"


def count_text(name: str, count: int) -> str:
    """For example "1 building", "3 stretches of road"."""
    one, many = _NOUNS[name]
    return f"{count:,} {one if count == 1 else many}"


def changes_text(classes: Mapping[str, ClassStats]) -> str:
    """For example "2 buildings (340 m²) and 1 stretch of road (1.2 ha)"; classes without a change are left out."""
    return " and ".join(
        f"{count_text(name, stats.objects)} ({area_text(stats.area_m2, stats.pixels)})"
        for name, stats in classes.items()
        if stats.objects
    )


def where_text(window: Window, grid: Grid) -> str:
    """Where in the scene a window lies: by the compass, or in the picture where that is not on Earth.

    For example "in the north-east", "at the top right", "in the middle" (within a sixth of it).
    """
    across = (window.left + window.width / 2) / grid.width - 0.5
    down = (window.top + window.height / 2) / grid.height - 0.5
    if max(abs(across), abs(down)) <= 1 / 6:
        return "in the middle"
    east, north = metres_per_pixel(grid) @ (across * grid.width, down * grid.height)
    sector = round(math.degrees(math.atan2(east, north)) / 45) % 8
    return f"in the {_COMPASS[sector]}" if on_earth(grid) else f"at the {_PICTURE[sector]}"


def scene_sentence(
    classes: Mapping[str, ClassStats], places: Sequence[Place], known_area_m2: float | None, known_pixels: int
) -> str:
    """The sentence of a scene, with its full stops; every number is measured, only the quotation is the model's.

    Args:
        classes: class name -> its changes, in the whole scene.
        places: the largest first.
        known_area_m2, known_pixels: how much of the scene both images show.
    """
    ground = area_text(known_area_m2, known_pixels)
    ground = f"an image of {ground}" if known_area_m2 is None else ground
    if not places:
        return f"No change was found in {ground}."
    largest = places[0]
    text = f"{changes_text(classes)} changed in {ground}, "
    if len(places) == 1:
        text += f"at one place {largest.where}."
    else:
        text += (
            f"at {len(places):,} places. The largest, {largest.where}, has {changes_text(largest.classes)}."
        )
    return text + (f" The model says of it: {largest.sentence.rstrip('.')}." if largest.sentence else "")

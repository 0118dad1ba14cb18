"""Plain English for what was measured: amounts, whereabouts, and the sentence of the whole scene."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from semantic_cc.scene.geodesy import metres_per_pixel, on_earth
from semantic_cc.scene.grid import Grid, Window
from semantic_cc.scene.places import Place, Tally

_NOUNS = {"building": ("building", "buildings"), "road": ("stretch of road", "stretches of road")}

_UNITS = ((1.0, "m²"), (1e4, "ha"), (1e6, "km²"))

_COMPASS = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")
_PICTURE = ("top", "top right", "right", "bottom right", "bottom", "bottom left", "left", "top left")


def area_text(area_m2: float, pixels: int) -> str:
    """An area in m², ha or km² with three figures; in pixels where `area_m2` is NaN."""
    if math.isnan(area_m2):
        return f"{pixels:,} {'pixel' if pixels == 1 else 'pixels'}"
    rounded = float(f"{area_m2:.3g}")
    size, unit = next((step for step in reversed(_UNITS) if rounded >= step[0]), _UNITS[0])
    return f"{rounded / size:,.10g} {unit}"


def count_text(name: str, count: int) -> str:
    """For example "1 building", "3 stretches of road"."""
    one, many = _NOUNS[name]
    return f"{count:,} {one if count == 1 else many}"


def changes_text(tallies: Mapping[str, Tally]) -> str:
    """For example "2 buildings (340 m²) and 1 stretch of road (1.2 ha)"; classes without a change are left out."""
    return " and ".join(
        f"{count_text(name, tally.objects)} ({area_text(tally.area_m2, tally.pixels)})"
        for name, tally in tallies.items()
        if tally.objects
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
    tallies: Mapping[str, Tally], places: Sequence[Place], grid: Grid, area_m2: float, pixels: int
) -> str:
    """The sentence of a scene, with its full stops; every number is measured, only the quotation is the model's.

    Args:
        tallies: class name -> how much of it changed, of the whole scene.
        places: the largest first.
        grid: the scene's.
        area_m2, pixels: how much of the scene is known in both images; NaN where it is not on Earth.
    """
    ground = area_text(area_m2, pixels)
    ground = f"an image of {ground}" if math.isnan(area_m2) else ground
    if not places:
        return f"No change was found in {ground}."
    largest = places[0]
    where = where_text(largest.extent, grid)
    text = f"{changes_text(tallies)} changed in {ground}, "
    if len(places) == 1:
        text += f"at one place {where}."
    else:
        text += f"at {len(places):,} places. The largest, {where}, has {changes_text(largest.tallies)}."
    return text + (f" The model says of it: {largest.sentence.rstrip('.')}." if largest.sentence else "")

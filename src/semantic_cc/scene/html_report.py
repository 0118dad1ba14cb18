"""Writes report.html: one page that contains its images and needs no network."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from pathlib import Path

import jinja2
import numpy as np

from semantic_cc.scene.grid import Grid, ScenePair, Window
from semantic_cc.scene.report_images import Overview, jpeg, mask_png, read_crop
from semantic_cc.scene.scene_report import Place, SceneReport
from semantic_cc.scene.viewer_data import scene_viewer_data
from semantic_cc.types import Json

TILE = 256
"""Side of the tiles that the page holds at full resolution, in pixels of the scene."""

MOST_TILES = 192
"""Number of these tiles at most, which keeps the page below some 15 MB; those of the largest places go first."""

SCRIPTS = ("leaflet.js", "viewer.js", "places.js", "report.js")
STYLES = ("leaflet.css", "viewer.css")
"""Files of the viewer, in their order."""

_VIEWER = resources.files("semantic_cc.scene") / "viewer"


def write_page(path: Path, report: SceneReport, overview: Overview, pair: ScenePair, mask: Path) -> None:
    """Writes the page of a scene.

    Args:
        path: where to.
        report: what the page shows.
        overview: of the whole scene.
        pair: read again for the tiles, where the overview is smaller than the scene.
        mask: the mask's raster.
    """
    template = (resources.files("semantic_cc.scene") / "report.html.jinja").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    data, grid = scene_viewer_data(report.to_json()), pair.grid
    height, width = overview.mask.shape
    before, after, drawn_mask = _pictures(overview)
    source: dict[str, Json] = {
        "kind": "held",
        "box": [0, 0, width * overview.factor, height * overview.factor],
        "before": before,
        "after": after,
        "mask": drawn_mask,
    }
    if overview.factor > 1:
        chosen = choose_tiles(grid, report.places)
        source |= {
            "factor": overview.factor,
            "tileSize": TILE,
            "tiles": {f"{x}_{y}": _tile(pair, mask, x, y) for x, y in chosen},
            "restOfMask": _uri("png", mask_png(_without_tiles(overview, chosen))),
        }
        share = len(chosen) / (-(-grid.width // TILE) * -(-grid.height // TILE))
        data["detail"] = _detail(share, overview.factor)
    text = environment.from_string(template).render(
        sentence=report.sentence,
        scripts=[_asset(name) for name in SCRIPTS],
        styles=[_asset(name) for name in STYLES],
        data=_json(data),
        source=_json(source),
        files=_json([[name, name] for name in report.files if name != path.name]),
    )
    path.write_text(text, encoding="utf-8")


def choose_tiles(grid: Grid, places: Sequence[Place]) -> list[tuple[int, int]]:
    """(column, row) of the tiles to hold: all if they are `MOST_TILES` at most, else those of the first places.

    Args:
        grid: the scene's.
        places: the most important first.
    """
    columns, rows = -(-grid.width // TILE), -(-grid.height // TILE)
    if columns * rows <= MOST_TILES:
        return [(x, y) for y in range(rows) for x in range(columns)]
    found: dict[tuple[int, int], None] = {}
    for place in places:
        found |= dict.fromkeys(_touched(place.extent, columns, rows))
        if len(found) >= MOST_TILES:
            break
    return list(found)[:MOST_TILES]


def _touched(window: Window, columns: int, rows: int) -> Iterator[tuple[int, int]]:
    right, bottom = window.left + window.width - 1, window.top + window.height - 1
    for y in range(window.top // TILE, min(bottom // TILE, rows - 1) + 1):
        for x in range(window.left // TILE, min(right // TILE, columns - 1) + 1):
            yield x, y


def _tile(pair: ScenePair, mask: Path, x: int, y: int) -> Json:
    return list(_pictures(read_crop(pair, mask, Window(y * TILE, x * TILE, TILE, TILE))))


def _without_tiles(overview: Overview, tiles: Iterable[tuple[int, int]]) -> np.ndarray:
    """The overview's mask where no tile lies over it, (h, w) uint8."""
    mask, step = overview.mask.copy(), TILE / overview.factor
    for x, y in tiles:
        mask[math.ceil(y * step) : int((y + 1) * step), math.ceil(x * step) : int((x + 1) * step)] = 0
    return mask


def _pictures(overview: Overview) -> tuple[str, str, str]:
    """Before, after and mask as data URIs."""
    before, after = (_uri("jpeg", jpeg(image)) for image in (overview.before, overview.after))
    return before, after, _uri("png", mask_png(overview.mask))


def _detail(share: float, factor: int) -> str:
    """The note on the page about its resolution."""
    if share == 1:
        return (
            "The whole scene is here at full resolution. The images here are JPEGs: measure in the rasters."
        )
    return (
        f"{max(share, 0.01):.0%} of the scene, around its largest places, is here at full resolution. The rest has one "
        f"pixel for {factor} x {factor} pixels of the scene. The rasters have full resolution everywhere."
    )


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _json(value: Json) -> str:
    """JSON that may stand in a script element."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def _asset(name: str) -> str:
    return (_VIEWER / name).read_text(encoding="utf-8")

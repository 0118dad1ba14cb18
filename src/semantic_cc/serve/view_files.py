"""What the page's viewer shows of a job: both dates as 8-bit RGB on the grid of the mask, and the places."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from semantic_cc.scene.change_map import open_images
from semantic_cc.scene.cog_writer import Block, write_image
from semantic_cc.scene.common_grid import AlignedPair
from semantic_cc.scene.grid import Window
from semantic_cc.scene.overviews import BLOCK
from semantic_cc.scene.report_images import UNKNOWN, mask_png
from semantic_cc.scene.scene_options import SceneOptions
from semantic_cc.types import ChangeDescription, Json

DATES = ("before", "after")


def write_scene_view(
    folder: Path,
    before: Path,
    after: Path,
    options: SceneOptions,
    report: dict[str, Json],
    progress: Callable[[int, int], None],
) -> None:
    """Writes before.tif and after.tif, COGs on the scene's grid; those that are there stay.

    Args:
        folder: where to; made if need be.
        before, after: the images.
        options: as the scene was described.
        report: the content of its report.json; a shift that `coregister` corrected is corrected here too.
        progress: called with the blocks done and all blocks; may raise to stop.

    Raises:
        ImageError, InputError: as `SemanticCC.describe_scene`.
        OutputError: they cannot be written.
    """
    folder.mkdir(exist_ok=True)
    measured: Any = report["measured"]
    with open_images(before, after, options) as pair:
        if "removed_columns" in measured:
            pair.shift_after(measured["removed_columns"], measured["removed_rows"])
        total = len(DATES) * -(-pair.grid.height // BLOCK)
        for number, date in enumerate(DATES):
            path, done = folder / f"{date}.tif", number * total // len(DATES)
            if not path.is_file():
                write_image(path, pair.grid, _counted(_blocks(pair, number), done, total, progress), {})


def write_pair_view(folder: Path, before: np.ndarray, after: np.ndarray, found: ChangeDescription) -> None:
    """Writes before.png, after.png and, if the model gives masks, mask.png, tinted.

    Args:
        folder: where to; made if need be.
        before, after: (H, W, 3) uint8 RGB.
        found: the description.
    """
    folder.mkdir(exist_ok=True)
    for date, image in zip(DATES, (before, after), strict=True):
        Image.fromarray(image).save(folder / f"{date}.png")
    if found.mask is not None:
        (folder / "mask.png").write_bytes(mask_png(found.mask))


def places_geojson(report: dict[str, Json]) -> dict[str, Json] | None:
    """The places of a scene as a feature collection (RFC 7946); None where the scene does not lie on Earth.

    Args:
        report: the content of report.json.
    """
    places = report["places"]
    assert isinstance(places, list)
    grid = report["grid"]
    assert isinstance(grid, dict)
    if grid["bounds_wgs84"] is None:
        return None
    features: list[Json] = [_feature(place) for place in places if isinstance(place, dict)]
    return {"type": "FeatureCollection", "bbox": grid["bounds_wgs84"], "features": features}


def _feature(place: dict[str, Json]) -> Json:
    bounds = place["bounds_wgs84"]
    assert isinstance(bounds, list)
    west, south, east, north = (float(str(edge)) for edge in bounds)
    boxes = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]  # parted at the antimeridian
    rings: list[Json] = [
        [[[a, south], [b, south], [b, north], [a, north], [a, south]]] for a, b in boxes
    ]  # counter-clockwise, as the RFC asks
    geometry: dict[str, Json] = (
        {"type": "Polygon", "coordinates": rings[0]}
        if len(rings) == 1
        else {"type": "MultiPolygon", "coordinates": rings}
    )
    kept = ("number", "sentence", "changed", "change_probability", "where", "classes")
    return {
        "type": "Feature",
        "id": place["number"],
        "bbox": bounds,
        "geometry": geometry,
        "properties": {name: place[name] for name in kept},
    }


def read_report(path: Path) -> dict[str, Json]:
    """The content of a report.json."""
    content: dict[str, Json] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _blocks(pair: AlignedPair, date: int) -> Iterator[Block]:
    """One date from the top down, `BLOCK` rows at a time; what is unknown is grey."""
    for top in range(0, pair.grid.height, BLOCK):
        window = Window(top, 0, min(BLOCK, pair.grid.height - top), pair.grid.width)
        *images, known = pair.read(window)
        image = np.where(known[..., None], images[date], np.uint8(UNKNOWN))
        yield window, np.ascontiguousarray(image.transpose(2, 0, 1))


def _counted(
    blocks: Iterator[Block], done: int, total: int, progress: Callable[[int, int], None]
) -> Iterator[Block]:
    for number, block in enumerate(blocks, done + 1):
        yield block
        progress(number, total)

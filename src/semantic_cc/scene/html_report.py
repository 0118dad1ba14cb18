"""report.html: one page that holds its pictures and needs no network."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import jinja2
import numpy as np

from semantic_cc.figures.colours import CLASS_COLOURS
from semantic_cc.scene.geodesy import metres_per_pixel, on_earth
from semantic_cc.scene.grid import ScenePair, Window
from semantic_cc.scene.places import CLASS_NAMES
from semantic_cc.scene.report_images import Overview, jpeg, mask_png, read_crop
from semantic_cc.scene.report_text import area_text, changes_text, count_text
from semantic_cc.scene.scene_report import Place, SceneReport

CROPS = 100
"""Number of places that the page shows pixel for pixel, the largest; the others are enlarged from the overview."""

_NUMBER_END = re.compile(r"(?<=\d) ")  # no number parts from its unit


@dataclass(frozen=True)
class Layers:
    """Three pictures that lie over each other, as data URIs, and where, in pixels of the overview.

    Attributes:
        number: the place's, 0 for the overview.
        box: left, top, width, height.
    """

    number: int
    box: tuple[float, float, float, float]
    before: str
    after: str
    mask: str


def write_page(path: Path, report: SceneReport, overview: Overview, pair: ScenePair, mask: Path) -> None:
    """Writes the page of a scene.

    Args:
        path: where to.
        report: what the page shows.
        overview: of the whole scene.
        pair: read again for the crops, where the overview is smaller than the scene.
        mask: the mask's raster.
    """
    source = (resources.files("semantic_cc.scene") / "report.html.jinja").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    height, width = overview.mask.shape
    grid, factor, figures = pair.grid, overview.factor, report.figures
    metres = float(np.sqrt(abs(np.linalg.det(metres_per_pixel(grid))))) * factor if on_earth(grid) else None
    crops = _crops(report.places, pair, mask, factor) if factor > 1 else ()
    text = environment.from_string(source).render(
        report=report,
        sentence=_NUMBER_END.sub("\N{NO-BREAK SPACE}", report.sentence),
        width=width,
        height=height,
        metres=metres,
        layers=[_layers(0, (0, 0, width, height), overview), *crops],
        places=[
            {
                "place": place,
                "box": [value / factor for value in _box(place.window)],
                "frame": [value / factor for value in _box(place.extent)],
                "changes": changes_text(place.classes),
            }
            for place in report.places
        ],
        rows=_rows(report),
        ground=area_text(figures.known_area_m2, figures.known_pixels),
        provenance=_provenance(report),
        colours={CLASS_NAMES[value]: f"rgb{colour}" for value, colour in CLASS_COLOURS.items()},
        crops=CROPS if factor > 1 else len(report.places),
    )
    path.write_text(text, encoding="utf-8")


def _crops(places: Sequence[Place], pair: ScenePair, mask: Path, factor: int) -> Iterator[Layers]:
    for place in places[:CROPS]:
        left, top, width, height = (value / factor for value in _box(place.window))
        yield _layers(place.number, (left, top, width, height), read_crop(pair, mask, place.window))


def _layers(number: int, box: tuple[float, float, float, float], pictures: Overview) -> Layers:
    before, after = (_uri("jpeg", jpeg(image)) for image in (pictures.before, pictures.after))
    return Layers(number, box, before, after, _uri("png", mask_png(pictures.mask)))


def _box(window: Window) -> tuple[int, int, int, int]:
    return window.left, window.top, window.width, window.height


def _rows(report: SceneReport) -> list[dict[str, str]]:
    """The table of figures: one row for each class."""
    known = report.figures.known_pixels
    return [
        {
            "name": name,
            "count": count_text(name, figures.objects),
            "area": area_text(figures.area_m2, figures.pixels),
            "share": f"{figures.pixels / known:.2%}" if known else "–",
            "probability": "–" if figures.probability is None else f"{figures.probability:.0%}",
        }
        for name, figures in report.figures.classes.items()
    ]


def _provenance(report: SceneReport) -> list[tuple[str, str]]:
    """(name, text) of what the result was made from; no times, so that equal results have equal pages."""
    settings = report.settings
    rows = [
        (role, f"{image.name} (bands {', '.join(map(str, image.bands))})")
        for role, image in zip(("before", "after"), report.inputs, strict=True)
    ]
    if report.dates:
        rows.append(("dates", " to ".join(report.dates)))
    rows += [("model", report.model.name), ("digest", report.model.digest)]
    if settings.instruction:
        rows.append(("instruction", settings.instruction))
    rows.append(("windows", f"{settings.tile} pixels, {settings.overlap} shared"))
    grid = report.grid
    rows.append(("size", f"{grid.width:,} x {grid.height:,} pixels"))
    return [*rows, ("CRS", grid.crs or "none"), ("semantic-cc", report.version)]


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"

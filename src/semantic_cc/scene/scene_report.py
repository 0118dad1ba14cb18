"""The report of a scene: what was found, where, how sure, and from what. One object, which report.json holds too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from semantic_cc.types import Json, ModelIdentity, to_json_value

if TYPE_CHECKING:
    from semantic_cc.scene.grid import Window

SCHEMA_VERSION = 2
"""Of report.json; docs/report.schema.json is its schema."""


@dataclass(frozen=True)
class ClassStats:
    """How much of one class changed, measured in the mask.

    Attributes:
        objects: connected areas; of a place, those that reach into it.
        pixels: of the mask.
        area_m2: square metres on the ellipsoid; None where the scene does not lie on Earth.
    """

    objects: int
    pixels: int
    area_m2: float | None


@dataclass(frozen=True)
class ClassFigures(ClassStats):
    """`ClassStats` of the whole scene.

    Attributes:
        probability: mean probability of change over the pixels, in [0, 1]; None if nothing changed.
    """

    probability: float | None


@dataclass(frozen=True)
class Place:
    """A cluster of changes, with the sentence that the model gives of its window.

    Attributes:
        number: from 1; place 1 has the most changed pixels.
        sentence: the model's; empty if it gave none.
        changed: the model's change flag for the window.
        change_probability: the flag's probability in [0, 1]; None for a model without a flag head.
        where: in the scene, for example "in the north-east".
        window: the pixels that the model saw.
        extent: the smallest window that holds the changes.
        bounds_wgs84: of the extent: west, south, east, north in degrees, west > east across the antimeridian; None
            where the scene does not lie on Earth.
        classes: class name -> its changes here; only classes with a change.
    """

    number: int
    sentence: str
    changed: bool
    change_probability: float | None
    where: str
    window: Window
    extent: Window
    bounds_wgs84: tuple[float, float, float, float] | None
    classes: Mapping[str, ClassStats]


@dataclass(frozen=True)
class ReportGrid:
    """The pixel grid of the mask.

    Attributes:
        width, height: pixels.
        transform: (a, b, c, d, e, f) of x = a column + b row + c, y = d column + e row + f.
        crs: authority and code, else WKT; None if the images have none.
        pixel_size_m: metres on the ground of a pixel at the scene's centre, across and down; None without a CRS.
        bounds_wgs84: as in `Place`, of the whole grid.
    """

    width: int
    height: int
    transform: tuple[float, float, float, float, float, float]
    crs: str | None
    pixel_size_m: tuple[float, float] | None
    bounds_wgs84: tuple[float, float, float, float] | None


@dataclass(frozen=True)
class SceneFigures:
    """Counts and areas, all measured in the mask.

    Attributes:
        known_pixels: pixels that both images show.
        unknown_pixels: the others: nodata, transparent, or outside one of the images.
        known_area_m2: square metres of the known pixels; None where the scene does not lie on Earth.
        changed_pixels: of all classes.
        changed_area_m2: their square metres; None as above.
        changed_share: changed pixels / known pixels, in [0, 1]; 0 if nothing is known.
        places: number of places.
        classes: class name -> its changes, for each class that the model knows.
    """

    known_pixels: int
    unknown_pixels: int
    known_area_m2: float | None
    changed_pixels: int
    changed_area_m2: float | None
    changed_share: float
    places: int
    classes: Mapping[str, ClassFigures]


@dataclass(frozen=True)
class SceneInput:
    """One of the two images.

    Attributes:
        name: path or URL, as given.
        bytes: size of the file; None of a URL.
        changed_ns: time of the file's last change, in nanoseconds since 1970; None of a URL.
        bands: numbers, from 1, of the bands read as red, green and blue.
        width, height: pixels of the file.
        crs: as in `ReportGrid`.
    """

    name: str
    bytes: int | None
    changed_ns: int | None
    bands: tuple[int, ...]
    width: int
    height: int
    crs: str | None


@dataclass(frozen=True)
class SceneWarning:
    """Something that makes the result doubtful.

    Attributes:
        kind: of the warning, for programs, for example "co-registration" or "disagreement".
        text: one sentence for people.
        number: what was measured, in the unit that `text` names; None if nothing was.
    """

    kind: str
    text: str
    number: float | None = None


@dataclass(frozen=True)
class SceneSettings:
    """What the results depend on beside images and model; attributes as in `SceneOptions`.

    Attributes:
        tile, overlap: the model's windows, in pixels, as used.
        batch, place_batch: windows and places at once, as used.
        instruction: the one text that was asked; None = the model's own.
        regularise: whether outlines of buildings were straightened.
    """

    tile: int
    overlap: int
    batch: int
    place_batch: int
    instruction: str | None
    regularise: bool


@dataclass(frozen=True, kw_only=True)
class SceneReport:
    """The description of a scene, made by `SemanticCC.describe_scene`.

    Attributes:
        sentence: of the whole scene. Its numbers are measured in the mask; what follows "The model says of it:" is
            the model's sentence of the largest place.
        figures: counts and areas.
        places: the one with the most changed pixels first.
        grid: the pixel grid of mask.tif and probability.tif.
        inputs: the earlier and the later image.
        dates: when they were taken, in ISO 8601; None if that is not known.
        model: the model that described.
        settings: what else the results depend on.
        measured: quantity -> number, what was measured of the images before the work, None where it could not be;
            docs/scenes.md lists the quantities.
        warnings: what makes the result doubtful.
        notes: conversions of the input and remarks on the model, for people.
        created: when the report was made, in ISO 8601, UTC.
        timings: seconds by step, those of `step_clock.STEPS`, and ``total``.
        files: names of the files written, this report among them; empty without a folder.
        folder: where they are; None without a folder. Not in the JSON.
        version: of semantic_cc.
        schema_version: of the JSON.

    Example:
        report = model.describe_scene("before.tif", "after.tif", out="changes")
        print(report.sentence, report.figures.classes["building"].area_m2)
        for place in report.places:
            print(place.number, place.where, place.sentence)
    """

    sentence: str
    figures: SceneFigures
    places: tuple[Place, ...]
    grid: ReportGrid
    inputs: tuple[SceneInput, SceneInput]
    dates: tuple[str, str] | None
    model: ModelIdentity
    settings: SceneSettings
    measured: Mapping[str, float | None]
    warnings: tuple[SceneWarning, ...]
    notes: tuple[str, ...]
    created: str
    timings: Mapping[str, float]
    files: tuple[str, ...]
    version: str
    folder: Path | None = field(default=None, metadata={"json": False})
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> dict[str, Json]:
        """The report in plain JSON values, as in report.json; docs/report.schema.json is its schema."""
        values = {
            part.name: to_json_value(getattr(self, part.name))
            for part in fields(self)
            if part.metadata.get("json", True)
        }
        return {"schema_version": values.pop("schema_version"), "version": values.pop("version"), **values}

"""The typed report of a scene, `SceneReport`; report.json has the same content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from semantic_cc.types import Json, ModelIdentity, to_json_value

if TYPE_CHECKING:
    from semantic_cc.scene.grid import Window

SCHEMA_VERSION = 2
"""Version of report.json, whose schema is docs/report.schema.json."""


@dataclass(frozen=True)
class ClassStats:
    """How much of one class changed, measured in the mask.

    Attributes:
        objects: number of connected areas; for a place, those that reach into it.
        pixels: number of changed pixels.
        area_m2: square metres on the ellipsoid; None if the scene has no location on Earth.
    """

    objects: int
    pixels: int
    area_m2: float | None


@dataclass(frozen=True)
class ClassFigures(ClassStats):
    """`ClassStats` of the whole scene.

    Attributes:
        probability: mean change probability of the changed pixels, in [0, 1]; None if nothing changed.
    """

    probability: float | None


@dataclass(frozen=True)
class Place:
    """A group of neighbouring change polygons, with one description.

    Attributes:
        number: number of the place, from 1; place 1 has the most changed pixels.
        sentence: the model's description of the window; empty if the model wrote none.
        changed: the model's change flag for the window.
        change_probability: probability in [0, 1] from the flag head; None for a model without this head.
        where: location in the scene, for example "in the north-east".
        window: the window that the model described.
        extent: the smallest window that contains the changes.
        bounds_wgs84: west, south, east and north of the extent in degrees, west > east across the antimeridian; None
            if the scene has no location on Earth.
        classes: class name -> its changes in this place, without unchanged classes.
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
        width, height: size in pixels.
        transform: (a, b, c, d, e, f) of x = a column + b row + c, y = d column + e row + f.
        crs: authority and code, or else WKT; None if the images have no CRS.
        pixel_size_m: width and height of a pixel on the ground at the scene's centre, in metres; None without a CRS.
        bounds_wgs84: bounds of the grid, as in `Place`.
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
        known_pixels: number of pixels that both images show.
        unknown_pixels: number of all other pixels: nodata, transparent, or outside one of the images.
        known_area_m2: area of the known pixels in square metres; None if the scene has no location on Earth.
        changed_pixels: number of changed pixels of all classes.
        changed_area_m2: their area in square metres; None if the scene has no location on Earth.
        changed_share: changed pixels / known pixels, in [0, 1]; 0 without known pixels.
        places: number of places.
        classes: class name -> its changes, for each class that the model predicts.
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
        bytes: size of the file; None for a URL.
        changed_ns: modification time of the file in nanoseconds since 1970; None for a URL.
        bands: numbers, from 1, of the bands that were read as red, green and blue.
        width, height: size of the image in pixels.
        crs: CRS of the file, or the given one; as in `ReportGrid`.
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
        kind: kind of the warning, for programs, for example "co-registration" or "disagreement".
        text: one sentence for people.
        number: the measured value, in the unit that `text` names; None if nothing was measured.
    """

    kind: str
    text: str
    number: float | None = None


@dataclass(frozen=True)
class SceneSettings:
    """The settings that the result depends on, with the values that were used; see `SceneOptions`.

    Attributes:
        tile, overlap: side and overlap of the model's windows, in pixels.
        batch, place_batch: number of windows and of places that the model processed at once.
        instruction: the given prompt; None = the model's own instructions.
        regularise: whether the outlines of buildings were straightened.
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
        sentence: summary of the whole scene. Its numbers are measured in the mask; the part after "The model says of
            it:" is the model's description of the largest place.
        figures: counts and areas.
        places: the places; the one with the most changed pixels comes first.
        grid: the pixel grid of mask.tif and probability.tif.
        inputs: before and after image.
        dates: when the images were taken, in ISO 8601; None if unknown.
        model: the model that produced the report.
        settings: the settings that the result depends on.
        measured: quantity -> value, measured in the images before the model runs; None if it could not be measured.
            docs/scenes.md lists the quantities.
        warnings: what makes the result doubtful.
        notes: conversions of the input and remarks on the model, for people.
        created: time of the report, in ISO 8601, UTC.
        timings: seconds by step: those of `step_clock.STEPS`, and ``total``.
        files: names of the written files, including this report; empty if nothing was written.
        folder: the output folder; None if nothing was written. Not in the JSON.
        version: version of semantic_cc.
        schema_version: version of the JSON format.

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
        """The report as plain JSON values, as in report.json; docs/report.schema.json is its schema."""
        values = {
            part.name: to_json_value(getattr(self, part.name))
            for part in fields(self)
            if part.metadata.get("json", True)
        }
        return {"schema_version": values.pop("schema_version"), "version": values.pop("version"), **values}

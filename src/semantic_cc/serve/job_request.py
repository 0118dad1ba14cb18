"""The options that a client sends with a pair, and what is stored of them with the job."""

from __future__ import annotations

from dataclasses import dataclass, fields

from semantic_cc.errors import InputError
from semantic_cc.scene.export_formats import FORMATS
from semantic_cc.scene.gdal_files import read_crs
from semantic_cc.scene.image_sources import parse_bands_of_both
from semantic_cc.scene.scene_options import SceneOptions
from semantic_cc.scene.stac_item import read_time
from semantic_cc.types import Json, to_json_value

MAX_TEXT = 500
"""Characters of a text that a client sends."""


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """Options of a job; those of scenes as in `SceneOptions`, texts as on the command line.

    Attributes:
        instruction: the one text to ask instead of the model's own.
        bands: numbers of red, green and blue, such as 3,2,1 or 3,2,1/1,2,3.
        crs: of images that name none.
        resolution: side of a pixel on the ground in metres.
        match_radiometry, coregister, strict, regularise: as in `SceneOptions`.
        before_date, after_date: when the images were taken, in ISO 8601; both or none.

    Raises:
        InputError: a value is invalid.
    """

    instruction: str | None = None
    bands: str | None = None
    crs: str | None = None
    resolution: float | None = None
    match_radiometry: bool = True
    coregister: bool = False
    strict: bool = False
    regularise: bool = False
    before_date: str | None = None
    after_date: str | None = None

    def __post_init__(self) -> None:
        for part in fields(self):
            value = getattr(self, part.name)
            if isinstance(value, str) and (len(value) > MAX_TEXT or not value.strip() or "\0" in value):
                raise InputError(f"{part.name}: give 1 to {MAX_TEXT} characters, or leave it out")
        if self.crs is not None and not self.crs.upper().startswith(("EPSG:", "OGC:", "ESRI:", "IAU")):
            raise InputError(f"crs: {self.crs!r} is not an authority code; give, for example, EPSG:32614")
        self.options()
        if self.crs is not None:
            read_crs(self.crs)
        if (self.before_date is None) != (self.after_date is None):
            raise InputError("before_date and after_date: give both or none")
        for date in self.dates or ():
            read_time(date)

    @property
    def dates(self) -> tuple[str, str] | None:
        """Both dates; None if they were not given."""
        return (
            None
            if self.before_date is None or self.after_date is None
            else (self.before_date, self.after_date)
        )

    @property
    def given_scene_options(self) -> list[str]:
        """Names of the options that only scenes have and that differ from their defaults."""
        names = {*(part.name for part in fields(SceneOptions)), "before_date", "after_date"}
        return [
            part.name
            for part in fields(self)
            if part.name in names and getattr(self, part.name) != part.default
        ]

    def options(self) -> SceneOptions:
        """The options of a scene."""
        return SceneOptions(
            bands=(None, None) if self.bands is None else parse_bands_of_both(self.bands),
            crs=self.crs,
            resolution=self.resolution,
            match_radiometry=self.match_radiometry,
            coregister=self.coregister,
            strict=self.strict,
            regularise=self.regularise,
            formats=tuple(FORMATS),
        )

    def to_json(self) -> dict[str, Json]:
        """As the job database holds it."""
        return {part.name: to_json_value(getattr(self, part.name)) for part in fields(self)}

    @classmethod
    def from_json(cls, values: dict[str, Json]) -> JobRequest:
        """The inverse of `to_json`."""
        return cls(**values)  # type: ignore[arg-type]

"""What would be read of a pair: bands, stretch, unknown share, place and common grid, before any model is loaded."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from semantic_cc.scene.common_grid import AlignedPair
from semantic_cc.scene.geodesy import ground_sampling
from semantic_cc.scene.grid import Grid
from semantic_cc.scene.input_checks import Inspection
from semantic_cc.scene.raster import Raster


@dataclass(frozen=True)
class GridSummary:
    """Where pixels lie.

    Attributes:
        width, height: pixels.
        crs: coordinate reference system, None where there is none.
        transform: (a, b, c, d, e, f) of x = a column + b row + c, y = d column + e row + f.
        metres: of a pixel on the ground, across and down; None where the place on Earth is not known.
    """

    width: int
    height: int
    crs: str | None
    transform: tuple[float, ...]
    metres: tuple[float, float] | None

    @classmethod
    def of(cls, grid: Grid) -> GridSummary:
        """The summary of a grid."""
        metres = ground_sampling(grid)
        crs = None if grid.crs is None else grid.crs.to_string()
        return cls(grid.width, grid.height, crs, tuple(grid.transform)[:6], metres)

    def line(self) -> str:
        """For people."""
        size = f"{self.width} x {self.height} pixels"
        if self.metres is not None:
            size += f" of {self.metres[0]:.4g} x {self.metres[1]:.4g} m"
        crs = self.crs or "no coordinate reference system"
        return f"{size}, {crs if len(crs) < 60 else crs[:57] + '...'}"


@dataclass(frozen=True)
class ImageSummary:
    """What would be read of one image.

    Attributes:
        name: as it was given.
        format: GDAL's name.
        kind: type of the values.
        bands: numbers of red, green and blue, and how they were chosen: "asked for", "colour tags", "descriptions" or
            "layout".
        band_source: see `bands`.
        transparency: whether a band says what is transparent.
        stretch: (low, high) of each band, the values that become 0 and 255; None for 8 bits.
        stretch_rule: "full scale", "percentiles" or "matched"; None for 8 bits.
        unknown_share: of its pixels, in [0, 1].
        exact: whether all pixels were counted, else every n-th.
        grid: its own.
    """

    name: str
    format: str
    kind: str
    bands: tuple[int, int, int]
    band_source: str
    transparency: bool
    stretch: tuple[tuple[float, float], ...] | None
    stretch_rule: str | None
    unknown_share: float
    exact: bool
    grid: GridSummary

    @classmethod
    def of(cls, raster: Raster) -> ImageSummary:
        """The summary of an open image."""
        stretch = raster.stretch
        return cls(
            name=raster.name,
            format=raster.driver,
            kind=raster.kind,
            bands=raster.bands,
            band_source=raster.band_source,
            transparency=raster.has_alpha,
            stretch=None
            if stretch is None
            else tuple((float(a), float(b)) for a, b in zip(stretch.low, stretch.high, strict=True)),
            stretch_rule=None if stretch is None else stretch.rule,
            unknown_share=round(raster.unknown_share, 6),
            exact=raster.exact,
            grid=GridSummary.of(raster.grid),
        )

    def lines(self) -> list[str]:
        """For people."""
        red, green, blue = self.bands
        bands = f"red {red}, green {green}, blue {blue} ({self.band_source})"
        if self.transparency:
            bands += ", and a transparency band"
        levels = "8 bits, as they are"
        if self.stretch is not None:
            spans = ", ".join(f"{low:.6g} to {high:.6g}" for low, high in dict.fromkeys(self.stretch))
            levels = f"{spans} become 0 to 255 ({self.stretch_rule})"
        about = "" if self.exact else "about "
        return [
            f"{self.name}: {self.format}, {self.kind}",
            f"  grid: {self.grid.line()}",
            f"  bands: {bands}",
            f"  levels: {levels}",
            f"  unknown: {about}{self.unknown_share:.1%} of its pixels",
        ]


@dataclass(frozen=True)
class InputSummary:
    """What would be read of a pair.

    Attributes:
        before, after: the images.
        grid: the common one, that of all outputs.
        shared: share of the common grid's rectangle that both outlines cover.
        unknown_share: of the common grid's pixels, in one image or both.
        warnings: what the input checks find.
        notes: what was converted or assumed.
    """

    before: ImageSummary
    after: ImageSummary
    grid: GridSummary
    shared: float
    unknown_share: float
    warnings: tuple[str, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, pair: AlignedPair, inspection: Inspection) -> InputSummary:
        """The summary of an open pair."""
        before, after = (ImageSummary.of(raster) for raster in pair.rasters)
        return cls(
            before=before,
            after=after,
            grid=GridSummary.of(pair.grid),
            shared=round(pair.shared, 6),
            unknown_share=float(inspection.measured["blank"] or 0.0),
            warnings=tuple(finding.message for finding in inspection.findings),
            notes=pair.notes,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values, named as the attributes."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For people."""
        return [
            *self.before.lines(),
            *self.after.lines(),
            f"common grid: {self.grid.line()}",
            f"  both outlines cover {self.shared:.1%} of it, {self.unknown_share:.1%} is unknown in one image or both",
            *(f"warning: {text}" for text in self.warnings),
            *(f"note: {text}" for text in self.notes),
        ]

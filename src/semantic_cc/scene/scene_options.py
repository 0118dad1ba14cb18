"""How two images become a described scene: one set of options for Python, `describe` and `batch`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from semantic_cc.errors import InputError
from semantic_cc.scene.export_formats import FORMATS, check_formats

Bands = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class SceneOptions:
    """Options of `SemanticCC.describe_scene`.

    Attributes:
        bands: of each image, the numbers (from 1) of red, green and blue; None = as the file says.
        crs: coordinate reference system of images that have none, for example ``EPSG:32614``.
        resolution: pixel size on the ground in metres; None = that of the finer image.
        match_radiometry: match the levels of the two dates of images with more than 8 bits, where nothing changed.
        coregister: measure how far the later image is shifted, and correct a shift of more than a pixel.
        strict: treat warnings about the images as errors.
        tile: side of the model's windows in pixels.
        overlap: pixels that neighbouring windows share, below `tile`; None = a quarter of `tile`.
        batch: windows that the model predicts at once; None = 4 on the CPU, on a GPU as many as fit its memory.
        place_batch: places that are described at once; None = 8 with torch (64 on a GPU), 16 with openvino.
            Sums in bfloat16 depend on it, so another value can change a sentence.
        formats: suffixes of `FORMATS`, in which the change polygons are written.
        regularise: draw buildings with straight outlines; counts and areas stay those of the mask.

    Raises:
        InputError: a value is out of range, or a format is unknown.

    Example:
        options = SceneOptions(resolution=0.5, formats=("gpkg",))
        report = model.describe_scene("before.tif", "after.tif", out="changes", options=options)
    """

    bands: tuple[Bands | None, Bands | None] = (None, None)
    crs: str | None = None
    resolution: float | None = None
    match_radiometry: bool = True
    coregister: bool = False
    strict: bool = False
    tile: int = 256
    overlap: int | None = None
    batch: int | None = None
    place_batch: int | None = None
    formats: tuple[str, ...] = tuple(FORMATS)
    regularise: bool = False

    def __post_init__(self) -> None:
        check_formats(self.formats)
        if self.tile < 1 or not 0 <= (self.overlap or 0) < self.tile:
            raise InputError(
                f"windows of {self.tile} pixels cannot overlap by {self.overlap}; give 0 to {self.tile - 1}"
            )
        for name in ("batch", "place_batch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}; give a whole number of at least 1")
        if self.resolution is not None and not (math.isfinite(self.resolution) and self.resolution > 0):
            raise InputError(f"resolution is {self.resolution}; give a length in metres")

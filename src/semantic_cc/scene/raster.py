"""Reads one image of any format of GDAL window by window: the three bands, and where their pixels are known."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as GdalWindow

from semantic_cc.errors import ImageError
from semantic_cc.scene.band_choice import alpha_candidate, choose_bands
from semantic_cc.scene.gdal_files import check_blocks, one_line_errors, open_dataset, settings
from semantic_cc.scene.grid import Grid, Window
from semantic_cc.scene.placement import place, rectified
from semantic_cc.scene.radiometry import Encoding, Stretch, find_stretch
from semantic_cc.scene.scene_options import Bands
from semantic_cc.scene.sparse_blocks import BlockIndex, find_blocks
from semantic_cc.scene.unknown_areas import Collar, find_collars, find_fill
from semantic_cc.scene.virtual_bands import expand_palette, with_alpha

ONE_VALUE, USUAL_VALUE = 0.999, 0.75
"""Shares of known pixels with the same value from which an image is refused, and from which a note says so."""

SAMPLE_SIDE = 1024
"""Longest side, in pixels, of the reduced image from which stretch and collars are found; uses overviews if any."""


FEW, HELD_BLOCKS = 50_000, 16
"""Known pixels of the reduced image below which some blocks of a sparse file replace it, and their number."""

PIXELS = 200_000
"""Number of known pixels of an image that are kept to compare both dates."""


class Raster:
    """One image, open for reading.

    Args:
        source: path or URL that GDAL can read, or a .zip with one image. A world file beside the image is used.
        bands: numbers, from 1, of the red, green and blue band; None = `choose_bands` chooses them.
        crs: coordinate reference system of a file without one.

    Attributes:
        name: name of the image in messages.
        grid: the image's own pixel grid.
        bands: the three bands; `band_source` says how they were chosen.
        stretch: conversion to 8 bits; None for an image of 8 bits.
        fill: an untagged value that means nodata, or None.
        collars: the collars of the image.
        encoding: data type, scales, offsets and significant bits of the values.
        blocks: the blocks that a sparse file contains; None if all blocks must be read.
        unknown_share: share of unknown pixels, in [0, 1]; `exact` is True if all pixels were counted.
        driver: GDAL's name of the file format.
        pixels: (3, n) known pixels as stored, spread over the image.

    Raises:
        ImageError: the file is missing, empty, truncated, corrupt or of another kind, cannot be read in windows, lies
            outside its coordinate reference system, or has only one value.
        InputError: the image does not have the given bands.
    """

    def __init__(self, source: str | Path, bands: Bands | None = None, crs: CRS | None = None) -> None:
        self.name = str(source)
        self._opened: list[Any] = []
        notes: list[str] = []
        try:
            self.dataset = self._keep(open_dataset(source))
            self.driver = self.dataset.driver
            with one_line_errors(self.name), settings(self.name):
                self._prepare(bands, crs, notes)
        except BaseException:
            self.close()
            raise
        self._notes = notes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        for dataset in reversed(self._opened):
            dataset.close()

    @property
    def notes(self) -> tuple[str, ...]:
        """Conversions and assumptions, for people."""
        if self.stretch is None:
            return tuple(self._notes)
        low, high = float(self.stretch.low.min()), float(self.stretch.high.max())
        stretched = (
            f"{self.name}: {self.kind} stretched to 8 bits, {low:.6g} to {high:.6g} ({self.stretch.rule})"
        )
        return (*self._notes, stretched)

    @property
    def kind(self) -> str:
        """Data type of the three bands."""
        return "/".join(sorted({self.dataset.dtypes[band - 1] for band in self.bands}))

    @property
    def has_alpha(self) -> bool:
        """Whether the image has an alpha band."""
        return self._alpha is not None

    def read_values(self, window: Window, through: WarpedVRT | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Reads a window that is completely inside the image; collars count as known.

        Args:
            window: the window, on the image's own grid or on that of `through`.
            through: the same image on another grid.

        Returns:
            Pixels (3, h, w) as stored, and where they are known (neither nodata nor transparent), (h, w) bool.

        Raises:
            ImageError: this part of the file cannot be read.
        """
        source = self.dataset if through is None else through
        part = GdalWindow(window.left, window.top, window.width, window.height)
        where = f"{self.name}: rows {window.top} to {window.top + window.height}, columns {window.left} to "
        with one_line_errors(f"{where}{window.left + window.width}"), settings(self.name):
            values = source.read(self.bands, window=part)  # (3, h, w)
            known = self._known(source, values, window=part)
        return values, known

    def to_levels(self, values: np.ndarray) -> np.ndarray:
        """Converts pixels (3, h, w) as stored to (h, w, 3) uint8."""
        levels = values if self.stretch is None else self.stretch(values)
        return np.ascontiguousarray(levels.transpose(1, 2, 0))

    def read_reduced(self, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Reads the whole image at another size: (3, height, width) as stored, and where it is known."""
        with one_line_errors(self.name), settings(self.name):
            values = self.dataset.read(self.bands, out_shape=(3, height, width))
            known = self._known(self.dataset, values, out_shape=(height, width))
        return values, known

    def _prepare(self, bands: Bands | None, crs: CRS | None, notes: list[str]) -> None:
        """Finds place, bands, stretch and unknown areas."""
        file = self.dataset
        check_blocks(file, self.name)
        if ColorInterp.palette in self.dataset.colorinterp:
            self.dataset = self._keep(expand_palette(self.dataset, self.name))
            notes.append(f"{self.name}: colour table expanded to RGB")
        grid = place(self.dataset, crs, self.name, notes)
        if grid is None:
            self.dataset = self._keep(rectified(self.dataset, crs, self.name, notes))
            grid = Grid(self.dataset.width, self.dataset.height, self.dataset.transform, self.dataset.crs)
        self.grid = grid
        self._choose_bands(bands, notes)
        self.blocks: BlockIndex | None = None
        if (file.width, file.height, file.transform) == (grid.width, grid.height, self.dataset.transform):
            stored = self.bands if file.count >= max(self.bands) else (1,)  # with a colour table
            self.blocks = find_blocks(file, stored, self._alpha if file.count >= (self._alpha or 0) else None)
        self.encoding = _encoding(self.dataset, self.bands)
        self.fill: float | None = None
        self.stretch: Stretch | None = None
        self.collars: tuple[Collar, ...] = ()
        self.pixels = self._look(notes)

    def _keep(self, dataset: Any) -> Any:
        self._opened.append(dataset)
        return dataset

    def _known(self, source: DatasetReader | WarpedVRT, values: np.ndarray, **part: Any) -> np.ndarray:
        """Where a part of the image is neither nodata nor fully transparent nor NaN, (h, w) bool."""
        if ColorInterp.alpha in source.colorinterp:  # GDAL's masks read alpha only of 8 and unsigned 16 bits
            known = source.read(source.colorinterp.index(ColorInterp.alpha) + 1, **part) > 0
        else:
            known = np.any([source.read_masks(band, **part) > 0 for band in self.bands], axis=0)
        if np.issubdtype(values.dtype, np.floating):
            known &= np.isfinite(values).all(axis=0)
        if self.fill is not None:
            known &= ~(values == self.fill).any(axis=0)
        return np.asarray(known)

    def _choose_bands(self, wanted: Bands | None, notes: list[str]) -> None:
        candidate = alpha_candidate(self.dataset)
        values = None
        if candidate is not None:
            with one_line_errors(self.name), settings(self.name):
                values = self.dataset.read(candidate, out_shape=_reduced(self.dataset.shape))
        choice = choose_bands(self.dataset, wanted, self.name, values)
        self.bands, self.band_source, self._alpha = choice.rgb, choice.source, choice.alpha
        notes.extend(choice.warnings)
        tagged = (
            self.dataset.colorinterp.index(ColorInterp.alpha) + 1
            if ColorInterp.alpha in self.dataset.colorinterp
            else None
        )
        if tagged != choice.alpha:
            self.dataset = self._keep(with_alpha(self.dataset, choice.alpha, self.name))

    def _look(self, notes: list[str]) -> np.ndarray:
        """Finds fill values, collars and the stretch on a reduced image; returns known pixels, (3, n).

        Raises:
            ImageError: nothing is known, or everything has one value.
        """
        shape = _reduced(self.dataset.shape)
        values, known, sparse = self._sample(*shape)
        deep = self.dataset.dtypes[self.bands[0] - 1] != "uint8" or self.kind != "uint8"
        if deep and known.any():
            self.fill = find_fill(values, known)
            if self.fill is not None:
                share = float((known & (values == self.fill).any(axis=0)).mean())
                notes.append(
                    f"{self.name}: the value {self.fill:g} ({share:.1%}) is taken for nodata, without a tag"
                )
                known &= ~(values == self.fill).any(axis=0)
        self._refuse_empty(values, known)
        white = np.array([255.0])
        if deep:
            self.stretch = find_stretch(values[:, known], self.encoding)
            white = np.array([self.stretch.high.max(), _largest(values.dtype)])
        if not sparse:
            self.collars = find_collars(
                values, known, white=white, height=self.dataset.height, width=self.dataset.width
            )
        for collar in self.collars:
            known &= (
                ~collar.covers(values, Window(0, 0, *shape))
                if shape == self.dataset.shape
                else ~collar.covers_reduced(values)
            )
            notes.append(
                f"{self.name}: a {collar.colour} collar without a nodata tag, {collar.share:.1%} of the image, is "
                "taken for unknown"
            )
        if self.collars and not known.any():
            raise ImageError(
                f"{self.name}: all of it is nearly {self.collars[0].colour}; stretch its values first"
            )
        self._refuse_empty(values, known)
        if not sparse:
            self.unknown_share = float(1 - known.mean())
        if self.stretch is not None and self.collars:
            self.stretch = find_stretch(values[:, known], self.encoding)
        pixels = values[:, known]
        pixels = pixels[:, :: max(1, pixels.shape[1] // PIXELS)].copy()
        self._check_usual_value(pixels, notes)
        return pixels

    def _sample(self, height: int, width: int) -> tuple[np.ndarray, np.ndarray, bool]:
        """A reduced image, (3, h, w), and where it is known; of a file that holds little, some blocks, and True."""
        if self.blocks is not None and (held := float(self.blocks.held.mean())) * height * width < FEW:
            self.unknown_share, self.exact = 1 - held, False
            return *self._read_held(self.blocks), True  # a reduced read goes through all of the grid
        values, known = self.read_reduced(height, width)
        self.unknown_share, self.exact = float(1 - known.mean()), (height, width) == self.dataset.shape
        if self.blocks is not None and known.sum() < FEW:
            return *self._read_held(self.blocks), True
        return values, known, False

    def _read_held(self, blocks: BlockIndex) -> tuple[np.ndarray, np.ndarray]:
        """Some of the blocks that a sparse file holds, as one row of pixels: (3, 1, n), and where known, (1, n)."""
        height, width = self.dataset.shape
        parts = [self.read_values(window) for window in blocks.spread(height, width, HELD_BLOCKS)]
        values = [part.reshape(3, 1, -1) for part, _ in parts] or [np.zeros((3, 1, 1), np.uint8)]
        known = [part.reshape(1, -1) for _, part in parts] or [np.zeros((1, 1), bool)]
        return np.concatenate(values, axis=2), np.concatenate(known, axis=1)

    def _refuse_empty(self, values: np.ndarray, known: np.ndarray) -> None:
        if not known.any():
            raise ImageError(f"{self.name}: no pixel of it is known; check its nodata value")
        pixels = values[:, known]
        if known.size > 1 and bool((pixels == pixels[:, :1]).all()):
            shown = ", ".join(f"{float(value):g}" for value in np.unique(pixels[:, 0]))
            raise ImageError(
                f"{self.name}: has one value only ({shown}) and shows nothing; fetch or export it again"
            )

    def _check_usual_value(self, pixels: np.ndarray, notes: list[str]) -> None:
        """Refuses an image in which nearly all pixels, (3, n), have one value; notes that most have."""
        usual = np.median(pixels, axis=1)
        share = float((pixels == usual[:, None]).all(axis=0).mean())
        shown = ", ".join(f"{float(value):g}" for value in np.unique(usual))
        if share >= ONE_VALUE and pixels.shape[1] > 1:
            raise ImageError(
                f"{self.name}: {share:.2%} of its pixels have one value ({shown}), and it shows nothing; fetch or "
                "export it again"
            )
        if share >= USUAL_VALUE:
            notes.append(
                f"{self.name}: {share:.0%} of its pixels have one value ({shown}); if it stands for nothing, set it as "
                f"nodata: 'gdal_edit.py -a_nodata {usual[0]:g}'"
            )


def _encoding(dataset: DatasetReader, bands: Bands) -> Encoding:
    bits = dataset.tags(bands[0], ns="IMAGE_STRUCTURE").get("NBITS")
    return Encoding(
        dataset.dtypes[bands[0] - 1],
        tuple(dataset.scales[band - 1] for band in bands),
        tuple(dataset.offsets[band - 1] for band in bands),
        None if bits is None else int(bits),
    )


def _reduced(shape: tuple[int, int]) -> tuple[int, int]:
    """The size at which an image is looked at: its own, or a step of whole pixels that brings it to `SAMPLE_SIDE`."""
    step = max(1, -(-max(shape) // SAMPLE_SIDE)) if max(shape) > 2 * SAMPLE_SIDE else 1
    return max(1, -(-shape[0] // step)), max(1, -(-shape[1] // step))


def _largest(kind: np.dtype) -> float:
    """The largest value of an integer type, 0 for others."""
    return float(np.iinfo(kind).max) if np.issubdtype(kind, np.integer) else 0.0

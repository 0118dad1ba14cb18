"""Images of a scene for its page: an overview of limited size, crops, and the mask as an overlay."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from PIL import Image, ImageFilter

from semantic_cc.figures.colours import CLASS_COLOURS
from semantic_cc.figures.overlay import TINT
from semantic_cc.scene.grid import ScenePair, Window
from semantic_cc.scene.polygons import open_raster

OVERVIEW_SIDE = 1600
"""Pixels of the overview's longer side at most."""

BLOCK = 1024
"""Pixels of a scene's block that is read at once, about."""

UNKNOWN = 226
"""Grey of what is unknown in either image."""

QUALITY = 82
"""Of the JPEGs."""


@dataclass(frozen=True)
class Overview:
    """A scene at a glance: each pixel stands for `factor` x `factor` of the scene's.

    Attributes:
        before, after: (h, w, 3) uint8 RGB, means over the known pixels.
        mask: (h, w) uint8 of `LABEL_VALUES`, the largest value of the pixels, so that nothing small is lost.
        factor: at least 1.
    """

    before: np.ndarray
    after: np.ndarray
    mask: np.ndarray
    factor: int


def make_overview(pair: ScenePair, mask: str | Path) -> Overview:
    """Reads a scene once, block by block.

    Raises:
        DataError: the mask cannot be read, or has another size than the pair.
    """
    grid = pair.grid
    factor = -(-max(grid.width, grid.height) // OVERVIEW_SIDE)
    height, width = -(-grid.height // factor), -(-grid.width // factor)
    small = np.zeros((2, height, width, 3), np.uint8)
    small_mask = np.zeros((height, width), np.uint8)
    side = max(1, BLOCK // factor)
    tops, lefts = (range(0, factor * length, factor * side) for length in (height, width))
    shown = pair.may_show(tops, lefts, factor * side, factor * side)
    with open_raster(mask, grid) as dataset:
        for rows, columns in _blocks(height, width, side):
            window = _window(rows, columns, factor)
            if not shown[rows.start // side, columns.start // side]:
                small[:, rows, columns] = UNKNOWN
                continue
            *images, known = pair.read(window)
            for image, target in zip(images, small, strict=True):
                target[rows, columns] = _mean(image, known, factor)
            labels = _tiles(_read_mask(dataset, window), factor)  # (h, factor, w, factor)
            small_mask[rows, columns] = labels.max(axis=(1, 3))
    return Overview(small[0], small[1], small_mask, factor)


def read_crop(pair: ScenePair, mask: str | Path, window: Window) -> Overview:
    """A window pixel for pixel.

    Raises:
        DataError: as `make_overview`.
    """
    before, after, known = pair.read(window)
    with open_raster(mask, pair.grid) as dataset:
        labels = _read_mask(dataset, window)
    before, after = (np.where(known[..., None], image, np.uint8(UNKNOWN)) for image in (before, after))
    return Overview(before, after, labels, 1)


def jpeg(image: np.ndarray) -> bytes:
    """(h, w, 3) uint8 RGB -> a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=QUALITY, optimize=True)
    return buffer.getvalue()


def mask_png(mask: np.ndarray) -> bytes:
    """(h, w) uint8 of `LABEL_VALUES` -> a PNG to lay over a picture: tinted inside, an opaque edge, else clear."""
    picture = np.zeros(mask.shape, np.uint8)
    palette, opacity = [0, 0, 0], [0]
    for value, colour in CLASS_COLOURS.items():
        area = Image.fromarray(np.where(mask == value, np.uint8(255), np.uint8(0)))
        inside = np.asarray(area.filter(ImageFilter.MinFilter(3))) > 0
        picture[mask == value] = len(opacity) + 1
        picture[inside] = len(opacity)
        palette += [*colour, *colour]
        opacity += [round(TINT * 255), 255]
    image = Image.fromarray(picture).convert("P")
    image.putpalette(palette)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", transparency=bytes(opacity), optimize=True)
    return buffer.getvalue()


def _blocks(height: int, width: int, step: int) -> Iterator[tuple[slice, slice]]:
    for top in range(0, height, step):
        for left in range(0, width, step):
            yield slice(top, min(top + step, height)), slice(left, min(left + step, width))


def _window(rows: slice, columns: slice, factor: int) -> Window:
    """The scene's pixels behind a part of the overview; the last ones may reach over the scene's edge."""
    top, left, bottom, right = (
        factor * edge for edge in (rows.start, columns.start, rows.stop, columns.stop)
    )
    return Window(top, left, bottom - top, right - left)


def _tiles(array: np.ndarray, factor: int) -> np.ndarray:
    """(h * factor, w * factor, ...) -> (h, factor, w, factor, ...)."""
    height, width = (side // factor for side in array.shape[:2])
    return array.reshape(height, factor, width, factor, *array.shape[2:])


def _mean(image: np.ndarray, known: np.ndarray, factor: int) -> np.ndarray:
    """Mean colour of the known pixels of each tile, (h, w, 3) uint8; `UNKNOWN` where there are none."""
    sums = _tiles(image * known[..., None], factor).sum(axis=(1, 3), dtype=np.float64)  # (h, w, 3)
    counts = _tiles(known, factor).sum(axis=(1, 3))[..., None]  # (h, w, 1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), UNKNOWN).round().astype(np.uint8)


def _read_mask(dataset: rasterio.DatasetReader, window: Window) -> np.ndarray:
    """(height, width) uint8 of `LABEL_VALUES`; 0 beyond the scene's edge, and where the value is another."""
    bottom = min(window.top + window.height, dataset.height)
    right = min(window.left + window.width, dataset.width)
    labels = np.zeros((window.height, window.width), np.uint8)
    inside = dataset.read(1, window=((window.top, bottom), (window.left, right)))
    known = np.isin(inside, tuple(CLASS_COLOURS))
    labels[: inside.shape[0], : inside.shape[1]] = np.where(known, inside, 0)
    return labels

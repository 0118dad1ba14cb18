"""Windows of single-date images at the pixel size of LEVIR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from semantic_cc.data.augment.symmetry import SYMMETRIES
from semantic_cc.synth.composite.image_folders import BUILDING, SourceImage, read_source

SIDE = 256
"""Side of every window in pixels."""


@dataclass(frozen=True)
class Tile:
    """A window of one image, or of several adjacent images of one group.

    Attributes:
        image: (SIDE, SIDE, 3) float32, 0..255.
        building, uncertain: (SIDE, SIDE) bool, disjoint.
        source: the source image; the first if there are several.
    """

    image: np.ndarray
    building: np.ndarray
    uncertain: np.ndarray
    source: SourceImage

    @property
    def unknown(self) -> np.ndarray:
        """(SIDE, SIDE) bool, pixels where the mask may omit a building."""
        return ~self.building if self.source.partial else self.uncertain


def draw(sources: Sequence[SourceImage], rng: np.random.Generator) -> list[SourceImage]:
    """The sources of one random group in random order; all groups are equally likely."""
    groups = sorted({(source.folder.images, source.group) for source in sources})
    chosen = groups[int(rng.integers(len(groups)))]
    own = [source for source in sources if (source.folder.images, source.group) == chosen]
    return [own[k] for k in rng.permutation(len(own))]


def cut_tile(sources: Sequence[SourceImage], rng: np.random.Generator) -> Tile:
    """Cuts a window at a random position and scale from an image of one random group.

    If the image is smaller than the window, the window is tiled with other images of the group, each randomly rotated
    and mirrored. The seams are straight, like field boundaries.

    Args:
        sources: the candidate images.

    Raises:
        As `read_source`.
    """
    group = draw(sources, rng)
    scale = float(rng.uniform(*group[0].folder.scale))
    wide = max(2, round(SIDE / scale))
    image, mask = np.empty((wide, wide, 3), np.uint8), np.empty((wide, wide), np.uint8)
    cell = read_source(group[0])[1].shape
    number = 0
    for top in _starts(cell[0], wide, rng):
        for left in _starts(cell[1], wide, rng):
            part, part_mask = _turned(group[number % len(group)], cell, rng)
            number += 1
            y, x = max(top, 0), max(left, 0)
            inside = slice(y, top + cell[0]), slice(x, left + cell[1])
            shown = image[inside].shape
            seen = slice(y - top, y - top + shown[0]), slice(x - left, x - left + shown[1])
            image[inside], mask[inside] = part[seen], part_mask[seen]
    building = _covered(mask == BUILDING)
    return Tile(
        image=np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32),
        building=building,
        uncertain=_covered(mask > 0) & ~building,
        source=group[0],
    )


def _starts(length: int, wide: int, rng: np.random.Generator) -> list[int]:
    """Start positions of cells of `length` that cover `wide`; the first is <= 0."""
    if length >= wide:
        return [-int(rng.integers(length - wide + 1))]
    return list(range(-int(rng.integers(length)), wide, length))


def _turned(
    source: SourceImage, cell: tuple[int, ...], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Image and mask of a source under a random symmetry that roughly keeps the shape, fitted to a cell."""
    arrays = read_source(source)
    high, wide = arrays[1].shape
    fit = [symmetry for symmetry in SYMMETRIES if not symmetry.swaps_axes or 0.9 < high / wide < 1.1]
    symmetry = fit[int(rng.integers(len(fit)))]
    image, mask = (symmetry.of_array(array) for array in arrays)
    for axis in (0, 1):
        # Images smaller than the cell are extended by mirroring.
        places = np.arange(cell[axis]) % (2 * mask.shape[axis])
        places = np.where(places < mask.shape[axis], places, 2 * mask.shape[axis] - 1 - places)
        image, mask = image.take(places, axis), mask.take(places, axis)
    return image, mask


def _covered(area: np.ndarray) -> np.ndarray:
    """Resizes `area` (H, W) bool to (SIDE, SIDE) bool: pixels with at least half coverage."""
    shares = Image.fromarray(area.astype(np.float32)).resize((SIDE, SIDE), Image.Resampling.BOX)
    covered: np.ndarray = np.asarray(shares) >= 0.5
    return covered

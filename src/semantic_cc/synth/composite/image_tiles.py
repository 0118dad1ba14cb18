"""Windows of single-date images at the size of LEVIR's pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from semantic_cc.data.augment.symmetry import SYMMETRIES
from semantic_cc.synth.composite.image_folders import BUILDING, SourceImage, read_source

SIDE = 256
"""Side of every picture in pixels."""


@dataclass(frozen=True)
class Tile:
    """A window of one image, or of several of one group side by side.

    Attributes:
        image: (SIDE, SIDE, 3) float32, 0..255.
        building, uncertain: (SIDE, SIDE) bool, apart from each other.
        source: where it comes from; of several the first.
    """

    image: np.ndarray
    building: np.ndarray
    uncertain: np.ndarray
    source: SourceImage

    @property
    def unknown(self) -> np.ndarray:
        """(SIDE, SIDE) bool, where a building may stand that the mask does not show."""
        return ~self.building if self.source.partial else self.uncertain


def draw(sources: Sequence[SourceImage], rng: np.random.Generator) -> list[SourceImage]:
    """The sources of one group in a random order; each of the groups is as likely as any other."""
    groups = sorted({(source.folder.images, source.group) for source in sources})
    chosen = groups[int(rng.integers(len(groups)))]
    own = [source for source in sources if (source.folder.images, source.group) == chosen]
    return [own[k] for k in rng.permutation(len(own))]


def cut_tile(sources: Sequence[SourceImage], rng: np.random.Generator) -> Tile:
    """A window at a random place and scale of an image of one group.

    An image that is smaller than the window has others of its group beside it, each turned and mirrored at random:
    the seams are straight, as those of fields are.

    Args:
        sources: what may be seen in it.

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
    """Where cells of `length` begin that fill `wide`, the first at or before 0."""
    if length >= wide:
        return [-int(rng.integers(length - wide + 1))]
    return list(range(-int(rng.integers(length)), wide, length))


def _turned(
    source: SourceImage, cell: tuple[int, ...], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Image and mask of a source under a symmetry that about keeps its shape, fitted to a cell."""
    arrays = read_source(source)
    high, wide = arrays[1].shape
    fit = [symmetry for symmetry in SYMMETRIES if not symmetry.swaps_axes or 0.9 < high / wide < 1.1]
    symmetry = fit[int(rng.integers(len(fit)))]
    image, mask = (symmetry.of_array(array) for array in arrays)
    for axis in (0, 1):
        # Images of a group differ by some pixels at most, or else the smaller ones are mirrored.
        places = np.arange(cell[axis]) % (2 * mask.shape[axis])
        places = np.where(places < mask.shape[axis], places, 2 * mask.shape[axis] - 1 - places)
        image, mask = image.take(places, axis), mask.take(places, axis)
    return image, mask


def _covered(area: np.ndarray) -> np.ndarray:
    """The pixels of the picture that an area (H, W) bool of the window covers by half or more."""
    shares = Image.fromarray(area.astype(np.float32)).resize((SIDE, SIDE), Image.Resampling.BOX)
    covered: np.ndarray = np.asarray(shares) >= 0.5
    return covered

"""Folders of single-date images with building masks, and the assignment of images to splits.

::

    IMAGES/NAME.jpg             MASKS/NAME.png              any image extension
    IMAGES/GROUP/NAME.jpg       MASKS/GROUP/NAME.png        with groups

A mask has one channel: 255 building, 128 uncertain, 0 other.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from semantic_cc.data.layouts.pair_folder import IMAGE_SUFFIXES
from semantic_cc.errors import DataError
from semantic_cc.images import read_image
from semantic_cc.synth.composite.mixture_recipe import ImageFolder, MixtureRecipe
from semantic_cc.types import SPLITS

BUILDING, UNCERTAIN = 255, 128
"""Mask values."""
LEAST = 0.02
"""Minimum fraction of building pixels in a built image."""


@dataclass(frozen=True)
class SourceImage:
    """One image of a folder.

    Attributes:
        image, mask: paths; `mask` is None if the image has no mask.
        group: name of the subfolder; "" without subfolders.
        split: the only split that uses the image.
        built, uncertain: fractions of the pixels in [0, 1]; both 0 without a mask.
        folder: settings of the folder.
    """

    image: str
    mask: str | None
    group: str
    split: str
    built: float
    uncertain: float
    folder: ImageFolder = field(compare=False)  # contains a dict; sources are cache keys

    @property
    def bare(self) -> bool:
        """Whether the image contains no known buildings."""
        return self.built == 0 and self.uncertain < LEAST and not self.partial

    @property
    def partial(self) -> bool:
        """Whether the mask may omit whole buildings."""
        return self.group in self.folder.partial

    @property
    def has_buildings(self) -> bool:
        """Whether the fraction of building pixels is at least `LEAST`."""
        return self.built >= LEAST

    @property
    def houses(self) -> bool:
        """Whether the buildings are houses."""
        return self.group in self.folder.houses

    @property
    def roof_scale(self) -> tuple[float, float]:
        """The range of scale factors for the roofs."""
        halls = None if self.houses else self.folder.hall_scale
        return halls or self.folder.roof_scale

    @property
    def ground(self) -> str:
        """The ground type of the whole image; "" if unknown."""
        return self.folder.covers.get(self.group, "")

    @property
    def takes_roofs(self) -> bool:
        """Whether buildings may be pasted onto the image."""
        return self.bare and (self.folder.grounds is None or self.group in self.folder.grounds)


def open_folders(recipe: MixtureRecipe, base: Path) -> tuple[SourceImage, ...]:
    """Lists all images of a recipe's folders, sorted by path within each folder. Reads every mask once.

    Args:
        base: base folder of the relative paths in the recipe.

    Raises:
        DataError: a folder is missing or empty, a named group or image is missing, or a mask has no image or is
            invalid.
    """
    return tuple(source for folder in recipe.folders for source in _open(folder, recipe, base))


def _open(folder: ImageFolder, recipe: MixtureRecipe, base: Path) -> list[SourceImage]:
    root = base / folder.images
    images = _files(root)
    masks = {} if folder.masks is None else _files(base / folder.masks)
    lost = next((name for name in masks if name not in images), None)
    if lost is not None:
        raise DataError(f"{masks[lost]}: no image {lost} in {root}; masks must be named like their images")
    groups = {group_of(name) for name in images}
    named = {*(folder.grounds or ()), *folder.houses, *folder.covers, *folder.partial}
    if named - groups:
        known = ", ".join(sorted(groups - {""})) or "none: its images lie in no subfolders"
        raise DataError(f"{root}: no group {min(named - groups)}; its groups are {known}")
    leaders = {name: same[0] for same in folder.same for name in same}
    unknown = next((name for name in leaders if name not in images), None)
    if unknown is not None:
        raise DataError(f"{root}: no image {unknown}, which `same` names; correct the recipe")
    return [
        _source(folder, recipe, name, images[name], masks.get(name), leaders.get(name, name))
        for name in sorted(images)
    ]


def _source(
    folder: ImageFolder, recipe: MixtureRecipe, name: str, image: Path, mask: Path | None, leader: str
) -> SourceImage:
    values = np.zeros(1, np.uint8) if mask is None else read_mask(str(mask))
    built, uncertain = (float((values == value).mean()) for value in (BUILDING, UNCERTAIN))
    path = None if mask is None else str(mask)
    return SourceImage(str(image), path, group_of(name), split_of(leader, recipe), built, uncertain, folder)


def split_of(name: str, recipe: MixtureRecipe) -> str:
    """The only split that uses the image `name` (GROUP/NAME), from a hash of the name and the seed."""
    digest = hashlib.sha256(f"{recipe.split_seed}/{name}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    for split in SPLITS[1:]:
        place -= recipe.held_back.get(split, 0.0)
        if place < 0:
            return split
    return SPLITS[0]


def group_of(name: str) -> str:
    """The group in GROUP/NAME; "" if there is none."""
    return name.rpartition("/")[0]


def _files(root: Path) -> dict[str, Path]:
    """Maps GROUP/NAME or NAME (without extension) to the file."""
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; correct the recipe, whose paths are relative to itself")
    found: dict[str, Path] = {}
    for path in sorted([*root.glob("*"), *root.glob("*/*")]):
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file():
            name = path.relative_to(root).with_suffix("").as_posix()
            if name in found:
                raise DataError(f"{path}: {found[name].name} has the same name; keep one of them")
            found[name] = path
    if not found:
        raise DataError(f"{root}: no images in it or its subfolders; check the folder")
    return found


def read_mask(path: str) -> np.ndarray:
    """Reads a mask, (H, W) uint8 with values 0, 128 and 255.

    Raises:
        DataError: the channels differ, or the mask contains other values.
        ImageError: the file is unreadable.
    """
    rgb, _ = read_image(path)
    mask = rgb[..., 0]
    if (rgb != mask[..., None]).any() or not set(np.unique(mask)) <= {0, UNCERTAIN, BUILDING}:
        raise DataError(
            f"{path}: a building mask has 0, {UNCERTAIN} (uncertain) and {BUILDING} (building) in one channel"
        )
    return np.ascontiguousarray(mask)


@functools.lru_cache(maxsize=4)  # small, because images may be large and are seldom drawn again
def read_source(source: SourceImage) -> tuple[np.ndarray, np.ndarray]:
    """Reads the image (H, W, 3) uint8 and mask (H, W) uint8 (0 without a mask) of a source.

    The arrays are cached; do not modify them.

    Raises:
        ImageError: a file is unreadable.
        DataError: as `read_mask`, or the sizes differ.
    """
    image, _ = read_image(source.image)
    mask = np.zeros(image.shape[:2], np.uint8) if source.mask is None else read_mask(source.mask)
    if mask.shape != image.shape[:2]:
        raise DataError(f"{source.mask}: its size differs from its image's; give both the same size")
    return image, mask

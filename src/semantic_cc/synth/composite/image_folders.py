"""Folders of single-date images with building masks: what is in them, and which split may see it.

::

    IMAGES/NAME.jpg             MASKS/NAME.png              any image suffix
    IMAGES/GROUP/NAME.jpg       MASKS/GROUP/NAME.png        with groups

A mask has one channel: 255 building, 128 uncertain, 0 neither.
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
"""Values of a mask."""
LEAST = 0.02
"""Share of building from which on an image counts as built."""


@dataclass(frozen=True)
class SourceImage:
    """One image of a folder.

    Attributes:
        image, mask: paths; the mask is None where there is none.
        group: the subfolder's name, "" without subfolders.
        split: who may see it.
        built, uncertain: shares of its pixels in [0, 1]; both 0 without mask.
        folder: the folder's settings.
    """

    image: str
    mask: str | None
    group: str
    split: str
    built: float
    uncertain: float
    folder: ImageFolder = field(compare=False)  # holds a dict, and a source is a key of caches

    @property
    def bare(self) -> bool:
        """Whether nothing in it is a building, as far as is known."""
        return self.built == 0 and self.uncertain < LEAST and not self.partial

    @property
    def partial(self) -> bool:
        """Whether its mask may miss whole buildings."""
        return self.group in self.folder.partial

    @property
    def has_buildings(self) -> bool:
        """Whether enough of it is building."""
        return self.built >= LEAST

    @property
    def houses(self) -> bool:
        """Whether its buildings are houses."""
        return self.group in self.folder.houses

    @property
    def roof_scale(self) -> tuple[float, float]:
        """The range of factors for its roofs."""
        halls = None if self.houses else self.folder.hall_scale
        return halls or self.folder.roof_scale

    @property
    def ground(self) -> str:
        """The ground that all of it shows; "" where that is not known."""
        return self.folder.covers.get(self.group, "")

    @property
    def takes_roofs(self) -> bool:
        """Whether buildings may be pasted on it."""
        return self.bare and (self.folder.grounds is None or self.group in self.folder.grounds)


def open_folders(recipe: MixtureRecipe, base: Path) -> tuple[SourceImage, ...]:
    """All images of a recipe's folders, by path; every mask is read once.

    Args:
        base: the folder that the recipe's paths are relative to.

    Raises:
        DataError: a folder is not there or empty, a group that is named is not there, a mask without its image or
            unreadable; in one line.
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
    """The split that alone may see the image `name` (GROUP/NAME): by a hash of the name and the seed."""
    digest = hashlib.sha256(f"{recipe.split_seed}/{name}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    for split in SPLITS[1:]:
        place -= recipe.held_back.get(split, 0.0)
        if place < 0:
            return split
    return SPLITS[0]


def group_of(name: str) -> str:
    """The group in GROUP/NAME, "" without one."""
    return name.rpartition("/")[0]


def _files(root: Path) -> dict[str, Path]:
    """GROUP/NAME or NAME without suffix -> file."""
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
    """A mask, (H, W) uint8 of 0, 128 and 255.

    Raises:
        DataError: several channels that differ, or other values.
        ImageError: unreadable.
    """
    rgb, _ = read_image(path)
    mask = rgb[..., 0]
    if (rgb != mask[..., None]).any() or not set(np.unique(mask)) <= {0, UNCERTAIN, BUILDING}:
        raise DataError(
            f"{path}: a building mask has 0, {UNCERTAIN} (uncertain) and {BUILDING} (building) in one channel"
        )
    return np.ascontiguousarray(mask)


@functools.lru_cache(maxsize=4)  # images may be large, and a draw seldom meets one again
def read_source(source: SourceImage) -> tuple[np.ndarray, np.ndarray]:
    """Image (H, W, 3) uint8 and mask (H, W) uint8 of one source, all 0 without mask; not to be written to.

    Raises:
        ImageError: unreadable.
        DataError: as `read_mask`, or the sizes differ.
    """
    image, _ = read_image(source.image)
    mask = np.zeros(image.shape[:2], np.uint8) if source.mask is None else read_mask(source.mask)
    if mask.shape != image.shape[:2]:
        raise DataError(f"{source.mask}: its size differs from its image's; make both alike")
    return image, mask

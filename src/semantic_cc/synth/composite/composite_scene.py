"""The output of every source: two images before lighting and sensor effects, the mask and the change events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from semantic_cc.synth.composite.image_folders import SourceImage
from semantic_cc.synth.procedural.change_events import place_of
from semantic_cc.synth.procedural.scene_objects import Event

LEAST_PIXELS = 40
"""Minimum size in pixels of a mask component that counts as a building (10 square metres)."""


@dataclass(frozen=True)
class CompositeScene:
    """A scene at two dates under the same lighting.

    Attributes:
        before, after: (SIDE, SIDE, 3) float32, 0..255.
        label: (SIDE, SIDE) uint8 of `MASK_VALUES`.
        events: the change events, most important first; empty if nothing changed.
        roofs: (SIDE, SIDE) bool, roofs at either date; no cars are drawn there.
    """

    before: np.ndarray
    after: np.ndarray
    label: np.ndarray
    events: tuple[Event, ...]
    roofs: np.ndarray


@dataclass(frozen=True)
class SplitImages:
    """The images of one split, grouped by use.

    Attributes:
        every: all images.
        bare: images without buildings.
        built: images with buildings.
        grounds: images onto which buildings may be pasted.
    """

    every: tuple[SourceImage, ...]
    bare: tuple[SourceImage, ...]
    built: tuple[SourceImage, ...]
    grounds: tuple[SourceImage, ...]


def parts_of(area: np.ndarray) -> tuple[np.ndarray, int]:
    """The mask and number of the components of `area` (H, W) bool that are large enough to be buildings."""
    numbers, count = ndimage.label(area, structure=np.ones((3, 3), bool))
    large = np.bincount(numbers.ravel(), minlength=count + 1) >= LEAST_PIXELS
    large[0] = False
    return large[numbers], int(large.sum())


def place_of_area(area: np.ndarray) -> str:
    """The location of `area` (SIDE, SIDE) bool, as in `place_of`."""
    y, x = np.nonzero(area)
    return place_of(np.stack([x, y], axis=1) + 0.5)

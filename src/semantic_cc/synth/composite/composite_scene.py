"""What every source makes: two pictures before the cameras saw them, the mask, and the facts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from semantic_cc.synth.composite.image_folders import SourceImage
from semantic_cc.synth.procedural.change_events import place_of
from semantic_cc.synth.procedural.scene_objects import Event

LEAST_PIXELS = 40
"""Smallest part of a mask that counts as a building: 10 square metres."""


@dataclass(frozen=True)
class CompositeScene:
    """A place at two dates in one light.

    Attributes:
        before, after: (SIDE, SIDE, 3) float32, 0..255.
        label: (SIDE, SIDE) uint8 of `MASK_VALUES`.
        events: the facts, the weightiest first; empty where nothing changed.
        roofs: (SIDE, SIDE) bool, where one stands at either date; no car may.
    """

    before: np.ndarray
    after: np.ndarray
    label: np.ndarray
    events: tuple[Event, ...]
    roofs: np.ndarray


@dataclass(frozen=True)
class SplitImages:
    """The images that one split may see, by what they are good for.

    Attributes:
        every: all of them.
        bare: without buildings.
        built: with buildings.
        grounds: those that buildings may be pasted on.
    """

    every: tuple[SourceImage, ...]
    bare: tuple[SourceImage, ...]
    built: tuple[SourceImage, ...]
    grounds: tuple[SourceImage, ...]


def parts_of(area: np.ndarray) -> tuple[np.ndarray, int]:
    """The parts of an area (H, W) bool that are large enough to be buildings: where they are, and how many."""
    numbers, count = ndimage.label(area, structure=np.ones((3, 3), bool))
    large = np.bincount(numbers.ravel(), minlength=count + 1) >= LEAST_PIXELS
    large[0] = False
    return large[numbers], int(large.sum())


def place_of_area(area: np.ndarray) -> str:
    """Where an area (H, W) bool of a picture of `SIDE` pixels lies, as `place_of`."""
    y, x = np.nonzero(area)
    return place_of(np.stack([x, y], axis=1) + 0.5)

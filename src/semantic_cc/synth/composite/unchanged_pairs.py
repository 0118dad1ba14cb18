"""Pairs in which nothing changed but the light, the season and the cars: one picture twice."""

from __future__ import annotations

import numpy as np

from semantic_cc.synth.composite.composite_scene import CompositeScene, SplitImages
from semantic_cc.synth.composite.image_tiles import SIDE, cut_tile
from semantic_cc.synth.composite.pasted_roofs import paste_roofs
from semantic_cc.types import NONE

PASTED = 0.25
"""Share of the pairs that show pasted buildings, at both dates: else what looks pasted would mean a change."""


def unchanged(pool: SplitImages, rng: np.random.Generator) -> CompositeScene:
    """The same window of an image at both dates; sometimes with buildings pasted on it, where the pool has some."""
    image, roofs = None, None
    if pool.grounds and pool.built and rng.random() < PASTED:
        scene = paste_roofs(pool, rng, exchanged=False)
        if scene is not None:
            image, roofs = scene.after, scene.roofs
    if image is None or roofs is None:
        tile = cut_tile(pool.every, rng)
        image, roofs = tile.image, tile.building | tile.unknown
    return CompositeScene(image, image, np.full((SIDE, SIDE), NONE, np.uint8), (), roofs)

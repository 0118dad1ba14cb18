"""Pairs of the same image without changes; only lighting, season and cars differ."""

from __future__ import annotations

import numpy as np

from semantic_cc.synth.composite.composite_scene import CompositeScene, SplitImages
from semantic_cc.synth.composite.image_tiles import SIDE, cut_tile
from semantic_cc.synth.composite.pasted_roofs import paste_roofs
from semantic_cc.types import NONE

PASTED = 0.25
"""Fraction of pairs with pasted buildings at both dates, so that paste artefacts do not indicate a change."""


def unchanged(pool: SplitImages, rng: np.random.Generator) -> CompositeScene:
    """The same window at both dates, sometimes with pasted buildings if the pool contains buildings."""
    image, roofs = None, None
    if pool.grounds and pool.built and rng.random() < PASTED:
        scene = paste_roofs(pool, rng, exchanged=False)
        if scene is not None:
            image, roofs = scene.after, scene.roofs
    if image is None or roofs is None:
        tile = cut_tile(pool.every, rng)
        image, roofs = tile.image, tile.building | tile.unknown
    return CompositeScene(image, image, np.full((SIDE, SIDE), NONE, np.uint8), (), roofs)

"""Pairs in which nothing changed but the light, the season and the cars: one image twice."""

from __future__ import annotations

import numpy as np

from semantic_cc.data.engine.scene import Pool, Scene
from semantic_cc.data.engine.tiles import SIDE, cut_tile
from semantic_cc.types import NONE


def unchanged(pool: Pool, rng: np.random.Generator) -> Scene:
    """The same window of an image at both dates."""
    tile = cut_tile(pool.every, rng)
    label = np.full((SIDE, SIDE), NONE, np.uint8)
    return Scene(tile.image, tile.image, label, (), tile.building | tile.uncertain)

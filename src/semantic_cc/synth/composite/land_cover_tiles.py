"""Single-date windows of a recipe's images with building labels, for encoder pretraining."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from semantic_cc.data.augment.transforms import change_look
from semantic_cc.errors import DataError
from semantic_cc.synth.composite.image_tiles import cut_tile
from semantic_cc.synth.composite.mixture import open_mixture
from semantic_cc.types import COVERS

NO_BUILDING = len(COVERS)
"""Cover map value for everything except buildings."""
NOT_KNOWN = NO_BUILDING + 1
"""Cover map value for unknown pixels."""


class TileCovers(Dataset[tuple[Tensor, Tensor]]):
    """Windows of the training images; every second window is from an image with buildings.

    An item is a window (3, 256, 256) float32 in [0, 1] with random lighting, and its cover map (256, 256) int64: the
    index of "building" in `COVERS`, `NO_BUILDING` or `NOT_KNOWN`. It depends only on the recipe, the images, `seed`
    and the index.

    Args:
        recipe: path of the recipe.
        count: number of windows.
        seed: seed of the random windows.

    Raises:
        ConfigError, DataError: as `open_mixture`; DataError: the recipe has no training images with buildings.
    """

    def __init__(self, recipe: Path, count: int, seed: int = 0) -> None:
        self.count, self.seed = count, seed
        pool = open_mixture(recipe).pools.get("train")
        if pool is None or not pool.built:
            raise DataError(
                f"recipe {recipe}: has no train images with buildings, which the phase encoder reads; add some, or "
                "leave the recipe out"
            )
        self.pool = pool

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([self.seed, index])
        tile = cut_tile(self.pool.built if index % 2 else self.pool.every, rng)
        image = change_look(tile.image.round().clip(0, 255).astype(np.uint8), rng)
        cover = np.full(tile.building.shape, NO_BUILDING)
        cover[tile.building], cover[tile.unknown] = COVERS.index("building"), NOT_KNOWN
        return torch.from_numpy(image).permute(2, 0, 1).float() / 255, torch.from_numpy(cover)

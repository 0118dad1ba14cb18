"""Single images with land-cover maps, for pretraining an encoder: `A`, `B` beside `cover_A`, `cover_B`."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from semantic_cc.data.augment.symmetry import Symmetry
from semantic_cc.data.open_dataset import Data, roots_of
from semantic_cc.errors import DataError
from semantic_cc.images import read_image
from semantic_cc.types import COVERS


class CoverDataset(Dataset[tuple[Tensor, Tensor]]):
    """Images of one split with their land cover, both dates of every pair.

    An item is an image (3, H, W) float32 in [0, 1] and its cover map (H, W) int64 of indices of
    `COVERS`, both moved by one of the eight symmetries that `index` and the dataset's seed choose.

    Args:
        data: folder in the layout that `semantic-cc synth` writes, or several.
        split: train, val or test.
        seed: seed of the symmetries.

    Raises:
        DataError: no images or no cover maps there; a map of another size or with other values.
    """

    def __init__(self, data: Data, split: str, seed: int = 0) -> None:
        self.seed = seed
        self.paths = [
            (path, folder / f"cover_{date}" / path.name)
            for folder in (root / "images" / split for root in roots_of(data))
            for date in ("A", "B")
            for path in sorted((folder / date).glob("*.png"))
        ]
        missing = next((cover for _, cover in self.paths if not cover.is_file()), None)
        if not self.paths or missing is not None:
            places = " ".join(map(str, roots_of(data)))
            raise DataError(
                f"{places}: pretraining needs images in A, B and land-cover maps in cover_A, cover_B"
                f"{f'; {missing} is missing' if missing else ''}; `semantic-cc synth` makes such a dataset"
            )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image_path, cover_path = self.paths[index]
        image, _ = read_image(image_path)
        try:
            with Image.open(cover_path) as opened:
                cover = np.asarray(opened)
        except (OSError, SyntaxError, ValueError) as error:
            raise DataError(f"{cover_path}: not an image, or a damaged one; make it again") from error
        if cover.shape != image.shape[:2] or cover.max() >= len(COVERS):
            raise DataError(
                f"{cover_path}: must have its image's size {image.shape[:2]} and values below {len(COVERS)}, "
                f"but is {cover.shape} with values up to {cover.max()}"
            )
        turn = int(np.random.default_rng([self.seed, index]).integers(8))
        symmetry = Symmetry(mirror=turn > 3).then(Symmetry(turn % 4))
        image, cover = symmetry.of_array(image), symmetry.of_array(cover)
        return torch.from_numpy(image).permute(2, 0, 1).float() / 255, torch.from_numpy(cover).long()

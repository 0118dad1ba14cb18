"""Views of single images, for pretraining an encoder without labels."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from semantic_cc.data.augment.symmetry import SYMMETRIES
from semantic_cc.data.augment.transforms import change_look
from semantic_cc.data.opening import Data, roots_of
from semantic_cc.errors import DataError
from semantic_cc.images import read_image

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
SMALLEST = 0.7
"""Smallest side of a view's window, as a share of the image's smaller side."""


class ViewsDataset(Dataset[tuple[Tensor, Tensor]]):
    """Every image below the folders, each time another square window of it in another look.

    An item is the window, and the same window in another light, sharpness and compression; both
    (3, side, side) float32 in [0, 1]. The folders ``label`` and ``cover_*`` are left out.

    Args:
        folders: folders of images, at any depth.
        side: pixels a side of a view.
        seed: of windows and looks.
        count: views, in turn of each image; None = one of each.

    Raises:
        DataError: no images there.
    """

    def __init__(self, folders: Data, side: int, seed: int = 0, count: int | None = None) -> None:
        self.side, self.seed = side, seed
        self.paths = [
            path
            for root in roots_of(folders)
            for path in sorted(root.rglob("*"))
            if path.suffix.lower() in ENDINGS and not path.parent.name.startswith(("label", "cover_"))
        ]
        self.count = len(self.paths) if count is None else count
        if not self.paths:
            places = " ".join(map(str, roots_of(folders)))
            raise DataError(f"{places}: no images ({', '.join(ENDINGS)}) below; give a folder of images")

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([self.seed, index])
        image, _ = read_image(self.paths[index % len(self.paths)])
        height, width = image.shape[:2]
        side = max(1, round(min(height, width) * rng.uniform(SMALLEST, 1)))
        top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
        window = Image.fromarray(image[top : top + side, left : left + side])
        view = np.asarray(window.resize((self.side, self.side), Image.Resampling.BICUBIC))
        view = SYMMETRIES[rng.integers(len(SYMMETRIES))].of_array(view)
        return _tensor(view), _tensor(change_look(view, rng))


def _tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1).float() / 255

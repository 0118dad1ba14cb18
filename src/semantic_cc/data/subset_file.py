"""A JSON file that stands for a part of a dataset's training pairs, for curves over the number of pairs.

    {"dataset": "levir-mci", "fraction": 0.25, "seed": 0}

`dataset` is relative to the file. The fraction is drawn among the changed pairs, among the unchanged ones, and among
those without a flag. The subsets of one seed are nested: a smaller fraction is part of a larger one.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from semantic_cc.errors import DataError

if TYPE_CHECKING:
    from semantic_cc.data.items import Item


def dump(dataset: Path, file: Path, *, fraction: float, seed: int) -> bytes:
    """The content of `file`.

    Args:
        dataset: a folder or file that `open_dataset` reads.
        file: where the content will be written.
        fraction: share of the training pairs, in (0, 1].
        seed: of the draw.
    """
    relative = os.path.relpath(dataset, file.parent)
    return (json.dumps({"dataset": relative, "fraction": fraction, "seed": seed}) + "\n").encode()


@dataclass(frozen=True)
class TrainingSubset:
    """A part of a dataset's training pairs.

    Attributes:
        dataset: the dataset, a folder or a file.
        fraction: share of the training pairs, in (0, 1].
        seed: of the draw.
    """

    dataset: Path
    fraction: float
    seed: int

    def selected(self, split: str, items: list[Item]) -> list[Item]:
        """The items of a split that belong to the subset, in their order; all of val and test.

        Args:
            split: "train", "val" or "test".
            items: the split of the dataset.
        """
        if split != "train":
            return items
        order = np.random.default_rng(self.seed).permutation(len(items)).tolist()
        places: list[int] = []
        for kind in {item.changed for item in items}:
            own = [place for place in order if items[place].changed == kind]
            places += own[: max(1, round(self.fraction * len(own)))]
        return [items[place] for place in sorted(places)]


def read(file: Path) -> TrainingSubset | None:
    """The subset that a file stands for; None if it cannot be read, or has another form.

    Raises:
        DataError: a value of the file is of the wrong kind or out of range.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or content.keys() != {"dataset", "fraction", "seed"}:
        return None
    dataset, fraction, seed = content["dataset"], content["fraction"], content["seed"]
    if not isinstance(dataset, str) or not isinstance(seed, int) or not isinstance(fraction, int | float):
        raise DataError(f'{file}: needs a text "dataset", a number "fraction" and a whole number "seed"')
    if not 0 < fraction <= 1:
        raise DataError(f"{file}: fraction is {fraction}; give a number above 0, at most 1")
    return TrainingSubset(file.parent / dataset, fraction, seed)

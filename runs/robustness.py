"""Scores building masks on altered pairs: dates exchanged, shifted, lighter, darker, and at other resolutions.

    python runs/robustness.py MODEL LEVIR_MCI [--split test] [--every 3] [--other DATASET]

Every third pair by name is scored, for each alteration over all pixels of all pairs; the same pairs unaltered are the
first row. At 2x the resolution a pair has four times the pixels, so a third of the pairs must do. --other is a dataset
of another city, all of whose training pairs are scored as they are.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

import numpy as np
from PIL import Image

from semantic_cc import SemanticCC
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.types import BUILDING, Pair


def exchanged(pair: Pair) -> Pair:
    """The pair with its dates exchanged; its change stays where it is."""
    return replace(pair, before=pair.after, after=pair.before)


def shifted(pair: Pair, pixels: int) -> Pair:
    """The earlier image shifted to the right and down; its edge is repeated."""
    padded = np.pad(pair.before, ((pixels, 0), (pixels, 0), (0, 0)), mode="edge")
    return replace(pair, before=padded[: pair.before.shape[0], : pair.before.shape[1]])


def lit(pair: Pair, gamma: float) -> Pair:
    """The later image with another gamma: below 1 lighter, above 1 darker."""
    return replace(pair, after=(255 * (pair.after / 255) ** gamma).round().astype(np.uint8))


def resized(pair: Pair, factor: float) -> Pair:
    """Images and label at `factor` times the resolution."""
    height, width = pair.before.shape[:2]
    size = round(width * factor), round(height * factor)
    images = [
        np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
        for image in (pair.before, pair.after)
    ]
    assert pair.label is not None
    buildings = Image.fromarray(np.uint8(255) * (pair.label == BUILDING)).resize(
        size, Image.Resampling.BILINEAR
    )
    label = np.where(np.asarray(buildings) > 127, np.uint8(BUILDING), np.uint8(0))
    return replace(pair, before=images[0], after=images[1], label=label)


ALTERATIONS: dict[str, tuple[Callable[[Pair], Pair], int]] = {
    "unaltered": (lambda pair: pair, 1),
    "dates exchanged": (exchanged, 1),
    **{f"earlier date shifted by {n} px": (partial(shifted, pixels=n), 1) for n in (1, 2, 4)},
    **{f"later date with gamma {gamma}": (partial(lit, gamma=gamma), 1) for gamma in (0.7, 1.4)},
    "0.5x": (partial(resized, factor=0.5), 1),
    "0.25x": (partial(resized, factor=0.25), 1),
    "2x": (partial(resized, factor=2), 3),
}
"""Row -> alteration, and how many times fewer pairs it reads."""


def building_scores(model: SemanticCC, pairs: Iterable[Pair]) -> str:
    """F1, precision and recall of building pixels, in per cent, and the number of pairs."""
    count = both = found = true = 0
    for pair in pairs:
        assert pair.label is not None
        count += 1
        classes = model.predict_masks(pair.before[None], pair.after[None]).class_probabilities[0].argmax(0)
        mask, label = classes == model.num_classes - 1, pair.label == BUILDING
        both, found, true = both + int((mask & label).sum()), found + int(mask.sum()), true + int(label.sum())
    f1, precision, recall = (100 * both / max(n, 1) for n in ((found + true) / 2, found, true))
    return f"{count} pairs, F1 {f1:.1f} (precision {precision:.1f}, recall {recall:.1f})"


def main() -> None:
    """Reads the command line and prints a line per alteration."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--split", default="test")
    parser.add_argument("--every", type=int, default=3)
    parser.add_argument("--other")
    given = parser.parse_args()
    model = SemanticCC.from_pretrained(given.model, runtime="torch")
    data = open_dataset(given.data, given.split)
    order = sorted((item.name, index) for index, item in enumerate(data.items))
    for name, (alter, fewer) in ALTERATIONS.items():
        chosen = order[:: given.every * fewer]
        print(f"{name}:", building_scores(model, (alter(data[index]) for _, index in chosen)), flush=True)
    if given.other:
        other = open_dataset(given.other, "train")
        print(f"{given.other}:", building_scores(model, (other[index] for index in range(len(other)))))


if __name__ == "__main__":
    main()

"""Describes real pairs and draws their masks, each with its sentence and references.

    python runs/real_pairs.py MODEL LEVIR_MCI [--split test] [--pairs 9] [--figure docs/real-pairs.png]

LEVIR_MCI is a dataset with masks and sentences. Of its changed pairs every n-th by name is taken, so that nobody picks
the good ones. The figure has our masks and sentences only: photographs and labels are not ours to hand on.
"""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from semantic_cc import SemanticCC
from semantic_cc.data.items import ChangeDataset
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.figures.colours import CLASS_COLOURS
from semantic_cc.types import BUILDING, Pair

SIDE = 512  # twice a crop, because small letters run into each other
GAP = 24
TEXT = 21
COLUMNS = 3


def chosen(data: ChangeDataset, count: int) -> list[Pair]:
    """Every n-th of the changed pairs by name, `count` of them."""
    changed = sorted((item.name, index) for index, item in enumerate(data.items) if item.changed)
    return [data[changed[place * len(changed) // count][1]] for place in range(count)]


def f1(found: np.ndarray, truth: np.ndarray) -> float | None:
    """Of the building pixels; None where there is nothing to find and nothing found."""
    both, either = int((found & truth).sum()), int(found.sum() + truth.sum())
    return 2 * both / either if either else None


def coloured(mask: np.ndarray) -> Image.Image:
    """A mask of label values on grey."""
    picture = np.full((*mask.shape, 3), 235, np.uint8)
    for value, colour in CLASS_COLOURS.items():
        picture[mask == value] = colour
    return Image.fromarray(picture)


def panel(pair: Pair, model: SemanticCC) -> tuple[Image.Image, str]:
    """Mask and text of a pair; the text is printed, too."""
    found = model.describe(pair.before, pair.after)
    assert pair.label is not None
    score = f1(found.mask == BUILDING, pair.label == BUILDING)
    shown = "no building" if score is None else f"building F1 {score:.2f}"
    flag = "" if found.change_probability is None else f", change {found.change_probability:.2f}"
    lines = [f"{pair.name.removesuffix('.png')}: {shown}{flag}", f"model: {found.sentence}"]
    lines += [f"true: {sentence}" for sentence in pair.sentences[:2]]
    print("\n".join(lines), end="\n\n")
    return coloured(found.mask), "\n".join(part for line in lines for part in textwrap.wrap(line, 44))


def draw(panels: list[tuple[Image.Image, str]]) -> Image.Image:
    """The masks with their texts below them."""
    width, height = SIDE + 2 * GAP, SIDE + 14 * TEXT
    sheet = Image.new("RGB", (COLUMNS * width, height * -(-len(panels) // COLUMNS)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(TEXT)
    for index, (mask, text) in enumerate(panels):
        left, top = index % COLUMNS * width + GAP, index // COLUMNS * height + GAP
        sheet.paste(mask.resize((SIDE, SIDE), Image.Resampling.NEAREST), (left, top))
        pen.text((left, top + SIDE + 12), text, fill="black", font=font)
    return sheet


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--figure", type=Path)
    given = parser.parse_args()
    model = SemanticCC.from_pretrained(given.model)
    panels = [panel(pair, model) for pair in chosen(open_dataset(given.data, given.split), given.pairs)]
    if given.figure:
        draw(panels).save(given.figure)


if __name__ == "__main__":
    main()

"""What a model says of real pairs: masks against LEVIR-CD's, sentences beside LEVIR-CC's.

    python runs/real_pairs.py MODEL LEVIR_CD LEVIR_CC [--figure docs/real-pairs.png]

LEVIR_CD is a folder of crops with A, B, label and list.txt; LEVIR_CC one with captions.json and images/SPLIT/{A,B}, of
which those pairs are described whose images are there. The figure shows our masks and sentences only: photographs and
labels are for research alone and are not ours to hand on.
"""

from __future__ import annotations

import argparse
import json
import textwrap
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from semantic_cc import SemanticCC
from semantic_cc.figures.colours import CLASS_COLOURS
from semantic_cc.types import BUILDING

NOT_SCORED = "train_386_0512_0768.png"
"""Its label is empty although a house is new: only its false change is told."""
SIDE = 256
GAP = 12


def scores(found: np.ndarray, truth: np.ndarray) -> tuple[int, int, int]:
    """Building pixels that are right, wrong and missed."""
    return int((found & truth).sum()), int((found & ~truth).sum()), int((~found & truth).sum())


def f1(right: int, wrong: int, missed: int) -> float:
    """Of one class; 1 where there is nothing to find and nothing found."""
    return 2 * right / (2 * right + wrong + missed) if right + wrong + missed else 1.0


def coloured(mask: np.ndarray) -> Image.Image:
    """A mask of label values on grey."""
    picture = np.full((*mask.shape, 3), 235, np.uint8)
    for value, colour in CLASS_COLOURS.items():
        picture[mask == value] = colour
    return Image.fromarray(picture)


def crops(model: SemanticCC, root: Path) -> list[tuple[str, Image.Image]]:
    """Prints the scores of every crop and of all, and gives a title and our mask of each."""
    total, shown = np.zeros(3, int), []
    for name in (root / "list.txt").read_text().split():
        said = model.describe(root / "A" / name, root / "B" / name)
        label = np.asarray(Image.open(root / "label" / name))
        counts = scores(said.mask == BUILDING, label == BUILDING)
        flag = "-" if said.change_probability is None else f"{said.change_probability:.2f}"
        start = f"{name}: change {flag}, {(said.mask == BUILDING).mean():.1%} of it buildings"
        if name == NOT_SCORED:
            told = "not scored"
        else:
            total += counts
            told = f"F1 {f1(*counts):.2f}"
            start += (
                f", F1 {f1(*counts):.3f} (right {counts[0]}, wrong {counts[1]}, missed {counts[2]} pixels)"
            )
        print(f"{start}: {said.sentence}")
        shown.append((f"{name[:-4]}, {told}: {said.sentence}", coloured(said.mask)))
    print(f"building F1 over all scored crops: {f1(*total.tolist()):.3f}")
    return shown


def sentences(model: SemanticCC, root: Path) -> None:
    """Prints sentence and references of every pair whose images are there."""
    for entry in json.loads((root / "captions.json").read_text())["images"]:
        folder = root / "images" / entry["filepath"]
        before, after = folder / "A" / entry["filename"], folder / "B" / entry["filename"]
        if before.is_file() and after.is_file():
            said = model.describe(before, after)
            print(f"{entry['filename']}: change {said.change_probability:.2f}: {said.sentence}")
            for reference in entry["sentences"]:
                print(f"    reference: {reference['raw'].strip()}")


def draw(shown: list[tuple[str, Image.Image]]) -> Image.Image:
    """The masks, three a row, what is to be said of each below it."""
    cell = SIDE + 2 * GAP, SIDE + 56
    sheet = Image.new("RGB", (3 * cell[0], cell[1] * -(-len(shown) // 3)), "white")
    pen = ImageDraw.Draw(sheet)
    for index, (title, mask) in enumerate(shown):
        left, top = index % 3 * cell[0] + GAP, index // 3 * cell[1] + 6
        sheet.paste(mask, (left, top))
        lines = [line for part in title.split(": ", 1) for line in textwrap.wrap(part, 44)]
        pen.text((left, top + SIDE + 6), "\n".join(lines), fill="black")
    return sheet


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("levir_cd", type=Path)
    parser.add_argument("levir_cc", type=Path)
    parser.add_argument("--figure", type=Path)
    given = parser.parse_args()
    model = SemanticCC.from_pretrained(given.model)
    shown = crops(model, given.levir_cd)
    sentences(model, given.levir_cc)
    if given.figure:
        draw(shown).save(given.figure)


if __name__ == "__main__":
    main()

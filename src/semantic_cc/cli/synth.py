"""Make a dataset in LEVIR-MCI's layout: same seed, same bytes.

From the synthetic world; or, with a recipe, from single-date images with building masks (docs/data.md).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from semantic_cc.cli.console import positive, progress_bar, say
from semantic_cc.errors import InputError

NAME = "synth"
HELP = "make a dataset from the synthetic world, or from images of your own"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("out", metavar="OUT", help="new or empty folder to make the dataset in")
    parser.add_argument(
        "--recipe", metavar="FILE.yaml", help="what to mix, such as runs/real.yaml [the world alone]"
    )
    parser.add_argument(
        "--pairs", metavar="N", type=positive, help="number of pairs, all splits together [the recipe's]"
    )
    parser.add_argument("--seed", metavar="S", type=int, help="seed of the pairs, 0 or more [the recipe's]")
    parser.add_argument("--workers", metavar="N", type=positive, help="processes [one for each core]")


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from semantic_cc.files import check_folder

    out, pairs, seed = check_folder(arguments.out), arguments.pairs, arguments.seed
    if arguments.recipe is not None:
        from semantic_cc.data.engine import write_mixture

        with progress_bar("pairs") as advance:
            pairs, seed = write_mixture(out, Path(arguments.recipe), pairs, seed, arguments.workers, advance)
        say(f"{pairs} pairs of the recipe {arguments.recipe}, seed {seed}, in {out}")
        return
    from semantic_cc.data.world import write_dataset

    if pairs is None or seed is None:
        raise InputError("synth: --pairs and --seed are required without --recipe; give both")
    with progress_bar("pairs") as advance:
        write_dataset(out, pairs, seed, workers=arguments.workers, progress=lambda done: advance(done, pairs))
    say(f"{pairs} pairs of the world {seed} in {out}")

"""Give a Q-Former without pretraining its first knowledge: which words a pair's sentences use.

With --reading the LLM then learns to read what the Q-Former tells.

Writes a model folder that training goes on from: --train.init DIR. Every field of the configuration is a
flag too; --train.init or --model.encoder.weights say what it starts from.
"""

from __future__ import annotations

import argparse

from semantic_cc.cli.config_flags import parse_flags
from semantic_cc.cli.console import add_data, mean_of_last, positive, say, stdout_for_us

NAME = "align"
HELP = "pretrain a Q-Former on the sentences' words"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments; the configuration's fields arrive as `config_flags`."""
    parser.add_argument("--config", metavar="FILE.yaml|PRESET", required=True, help="the model to build")
    add_data(parser, "a dataset with sentences, or several")
    parser.add_argument("--out", metavar="DIR", required=True, help="folder for the model")
    parser.add_argument("--epochs", metavar="N", type=positive, default=20, help="passes over the pairs [20]")
    parser.add_argument(
        "--reading", metavar="N", type=positive,
        help="then so many passes in which the LLM learns to read the Q-Former's tokens [none]",
    )  # fmt: skip
    parser.add_argument(
        "--places", metavar="N", type=positive,
        help="before --reading so many passes over the pairs that name a place, then half of its visits [none]",
    )  # fmt: skip
    parser.add_argument(
        "--pairs", metavar="N", type=positive, help="pairs to draw; all are held in memory [all]"
    )


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from semantic_cc.config import load_config
    from semantic_cc.errors import ConfigError
    from semantic_cc.files import check_folder

    if arguments.places and not arguments.reading:
        raise ConfigError("--places says what is read first; give --reading N too")
    config = load_config(arguments.config, parse_flags(arguments.config_flags) | {"data": arguments.data})
    out = check_folder(arguments.out)
    with stdout_for_us():
        from semantic_cc.training.pretraining.qformer import align

        losses = align(
            config, out, arguments.epochs,
            pairs=arguments.pairs, reading=arguments.reading or 0, places=arguments.places or 0,
        )  # fmt: skip
    say(f"{mean_of_last(losses)}; the model is in {out}")

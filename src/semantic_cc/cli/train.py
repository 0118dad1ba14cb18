"""Train a model from a configuration file or a preset.

Every field of the configuration is a flag too, for example --optim.lr 1e-4 --train.epochs 5; a flag wins
over the file, the file over the preset it names.
"""

from __future__ import annotations

import argparse
from typing import Any

from semantic_cc.cli.config_flags import flags_help, parse_flags
from semantic_cc.cli.console import add_data, positive, say, stdout_for_us
from semantic_cc.cli.estimate_table import show_plan

NAME = "train"
HELP = "train a model from a configuration"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments; the configuration's fields arrive as `config_flags`."""
    parser.epilog = flags_help().replace("%", "%%")
    parser.add_argument(
        "--config", metavar="FILE.yaml|PRESET", required=True, help="where the run is described"
    )
    add_data(parser, "the dataset, or several to be joined, the configuration's `data`", required=False)
    parser.add_argument("--out", metavar="DIR", help="folder of the run, the configuration's `out`")
    parser.add_argument(
        "--devices", metavar="N", type=positive, help="devices on each machine, `hardware.devices`"
    )
    parser.add_argument(
        "--strategy", metavar="ddp|fsdp", help="how they share the model, `hardware.strategy`"
    )
    parser.add_argument(
        "--plan", metavar="DEVICE", nargs="?", const="here",
        help="print parameters, memory, operations, steps and hours, and start nothing; alone: on this machine, "
        "by a few real steps; with a name (a100-80gb, h100-80gb, ...): reckoned for that device, without weights",
    )  # fmt: skip
    parser.add_argument(
        "--resume", choices=("auto", "never"), default="never",
        help="auto = go on from the run in the folder, if there is one; never = refuse such a folder [never]",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from semantic_cc.config import load_config, merge
    from semantic_cc.files import check_folder

    overrides = merge(parse_flags(arguments.config_flags), _own_flags(arguments))
    config = load_config(arguments.config, overrides)
    if arguments.plan is not None:
        show_plan(config, arguments.plan)
        return
    check_folder(config.out)
    with stdout_for_us():
        from semantic_cc.training.devices import first_process_speaks, is_first
        from semantic_cc.training.loop import train
        from semantic_cc.training.state import RunFolder

        with first_process_speaks():
            folder = train(config, resume=arguments.resume == "auto")
    if not is_first():
        return
    best = RunFolder(folder.parent).best
    if best.exists():
        say(f"the best model by validation is in {best}")
    say(f"the trained model is in {folder}; try: semantic-cc describe BEFORE AFTER --model {folder}")


def _own_flags(arguments: argparse.Namespace) -> dict[str, Any]:
    """The configuration's fields that have flags of their own, as far as they are given."""
    given = {name: getattr(arguments, name) for name in ("data", "out")}
    given["hardware"] = _without_none({name: getattr(arguments, name) for name in ("devices", "strategy")})
    return _without_none(given)


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}

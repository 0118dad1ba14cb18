"""Train a model: all phases of a configuration, from foundation weights to a calibrated model.

Every field of the configuration is also a flag, for example --optim.lr 1e-4 --phases.multitask.epochs 5. A flag
overrides the file, and the file overrides its preset. --phases.NAME null skips a phase.
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
        "--config", metavar="FILE.yaml|PRESET", default="small", help="configuration file or preset [small]"
    )
    add_data(parser, "dataset, or several to join; sets `data`", required=False)
    parser.add_argument("--out", metavar="DIR", help="folder for the run; sets `out`")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--phase", metavar="NAME", help="run only this phase")
    which.add_argument(
        "--from", metavar="NAME", dest="first",
        help="run this phase and all later ones, starting from the previous phase's model or from train.init",
    )  # fmt: skip
    parser.add_argument(
        "--devices", metavar="N", type=positive, help="devices on each machine; sets `hardware.devices`"
    )
    parser.add_argument(
        "--sharding", metavar="ddp|fsdp", help="how the devices share the model; sets `hardware.sharding`"
    )
    parser.add_argument(
        "--plan", metavar="DEVICE", nargs="?", const="here",
        help="print phases, parameters, memory, steps and hours, and train nothing; without a name, it times a few "
        "steps of each phase here; with one (a100-80gb, h100-80gb, ...), it computes them for that device, without "
        "weights",
    )  # fmt: skip
    parser.add_argument(
        "--resume", choices=("auto", "never"), default="never",
        help="auto = continue the run in the folder, if there is one; never = refuse a folder with a run [never]",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from semantic_cc.config import load_config, merge
    from semantic_cc.files import check_folder
    from semantic_cc.processes import reuse_freed_memory

    reuse_freed_memory()
    overrides = merge(parse_flags(arguments.config_flags), _own_flags(arguments))
    config = load_config(arguments.config, overrides)
    if arguments.plan is not None:
        show_plan(config, arguments.plan, arguments.phase, arguments.first)
        return
    check_folder(config.out)
    with stdout_for_us():
        from semantic_cc.training.devices import first_process_speaks, is_first
        from semantic_cc.training.pipeline import train

        with first_process_speaks():
            folder = train(
                config, resume=arguments.resume == "auto", phase=arguments.phase, first=arguments.first
            )
    if is_first():
        say(f"the trained model is in {folder}; try: semantic-cc describe BEFORE AFTER --model {folder}")


def _own_flags(arguments: argparse.Namespace) -> dict[str, Any]:
    """Configuration values given by this command's own options."""
    given = {name: getattr(arguments, name) for name in ("data", "out")}
    given["hardware"] = _without_none({name: getattr(arguments, name) for name in ("devices", "sharding")})
    return _without_none(given)


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}

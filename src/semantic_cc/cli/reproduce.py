"""Reproduce the paper's tables and figures: train and score what is missing, and print our numbers beside the paper's.

Runs are stored in --out by configuration, data and version: finished runs are not repeated, interrupted ones are
resumed, and tables share rows. Every configuration field is a flag that applies to all rows, for example
--phases.multitask.epochs 5. docs/reproduction.md lists what to check before comparing numbers.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semantic_cc.cli.caption_tables import add_meteor
from semantic_cc.cli.config_flags import parse_flags
from semantic_cc.cli.console import add_data, positive, say, stdout_for_us

if TYPE_CHECKING:
    from semantic_cc.reproduce.curve_types import CurveFigure
    from semantic_cc.reproduce.experiment_runs import ReproductionSetup

NAME = "reproduce"
HELP = "reproduce the paper's tables and figures"

_TABLES = tuple(f"table{number}" for number in range(1, 6))
_FIGURES = tuple(f"fig{number}" for number in range(6, 10))
_CURVES = ("fig-data", "fig-convergence")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments; the configuration's fields arrive as `config_flags`."""
    parser.add_argument(
        "what",
        choices=(*_TABLES, *_FIGURES, *_CURVES, "all"),
        help="table or figure; fig-data and fig-convergence are curves over training pairs and epochs; all = the five "
        "tables, one after another",
    )
    parser.add_argument(
        "--scale",
        choices=("paper", "levir-dev", "small", "tiny"),
        default="paper",
        help="size of model and runs [paper]",
    )
    add_data(parser, "training data; several datasets are joined", required=False)
    parser.add_argument(
        "--kept", metavar="FILE.json",
        help="print the finished table, or draw the finished curves, of this file, such as those in runs/results; "
        "trains nothing",
    )  # fmt: skip
    parser.add_argument(
        "--test", metavar="DIR", help="dataset whose test split is used to score sentences [--data]"
    )
    parser.add_argument(
        "--masks", metavar="DIR", help="dataset whose test split is used to score table5's masks [--test]"
    )
    parser.add_argument(
        "--scenes",
        metavar="DIR",
        help="dataset in the layout of LEVIR-CD: table5 also scores its whole test scenes, in windows of 256 px at "
        "steps of 128 px",
    )
    parser.add_argument(
        "--seeds", metavar="N", type=positive, default=1, help="runs of each row, seeds 0 to N-1 [1]"
    )
    parser.add_argument(
        "--out", metavar="DIR", default="runs/out/reproduce", help="folder for all runs [%(default)s]"
    )
    parser.add_argument(
        "--format", choices=("text", "markdown", "latex", "json"), default="text",
        help="format to print; all formats are written to --out [text]",
    )  # fmt: skip
    parser.add_argument(
        "--devices", metavar="N", type=positive, help="devices of each run; sets `hardware.devices`"
    )
    parser.add_argument(
        "--sharding", metavar="ddp|fsdp", help="how the devices share the model; sets `hardware.sharding`"
    )
    parser.add_argument(
        "--plan", metavar="DEVICE",
        help="print the estimated hours and memory of every run on that device (a100-80gb, ...), and train nothing",
    )  # fmt: skip
    add_meteor(parser)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from semantic_cc.config import merge
    from semantic_cc.errors import ConfigError, InputError
    from semantic_cc.files import check_folder
    from semantic_cc.processes import reuse_freed_memory

    if arguments.kept is not None:
        say(_kept_curves(arguments) if arguments.what in _CURVES else _kept_table(arguments))
        return
    if arguments.data is None:
        raise InputError(
            "reproduce needs training data: --data DIR, or --kept FILE.json to print a finished table"
        )
    reuse_freed_memory()
    out = check_folder(arguments.out)
    flags = parse_flags(arguments.config_flags)
    if "seed" in flags.get("train", {}):
        raise ConfigError("--train.seed: reproduce sets the seeds; give --seeds N instead")
    hardware = {name: value for name in ("devices", "sharding") if (value := getattr(arguments, name))}
    flags = merge(flags, {"hardware": hardware} if hardware else {})
    with stdout_for_us():
        from semantic_cc.reproduce.experiment_runs import ReproductionSetup

        data = _datasets(arguments.data)
        test = _datasets(arguments.test) or data
        setup = ReproductionSetup(
            scale=arguments.scale,
            data=data,
            test=test,
            masks=_datasets(arguments.masks) or test,
            scenes=_datasets(arguments.scenes),
            out=out,
            flags=flags,
            meteor=arguments.meteor,
            say=lambda line: print(line, file=sys.stderr),
        )
        names = _TABLES if arguments.what == "all" else (arguments.what,)
        if arguments.plan is not None and arguments.what in _CURVES:
            raise InputError(
                "--plan covers only tables and figures 6 to 9; fig-data takes 4 runs of the full model, "
                "fig-convergence the runs of table4"
            )
        if arguments.plan is not None:
            from semantic_cc.reproduce.planned_hours import planned

            lines = planned(names, setup, arguments.seeds, arguments.plan)
        elif arguments.what in _CURVES:
            from semantic_cc.reproduce.paper_curves import reproduce_curves

            lines = [_drawn(reproduce_curves(arguments.what, setup, arguments.seeds), out)]
        elif arguments.what in _FIGURES:
            from semantic_cc.reproduce.paper_figures import draw

            lines = [str(path) for path in draw(arguments.what, setup)]
        else:
            lines = [_table(name, setup, arguments.seeds, arguments.format) for name in names]
    for line in lines:
        say(line)


def _kept_curves(arguments: argparse.Namespace) -> str:
    from semantic_cc.errors import InputError
    from semantic_cc.files import check_folder
    from semantic_cc.reproduce.curve_types import read_curves

    _require_only_kept(arguments)
    curves = read_curves(Path(arguments.kept))
    if curves.figure != arguments.what:
        raise InputError(f"{arguments.kept} holds {curves.figure}, not {arguments.what}; give another file")
    return _drawn(curves, check_folder(arguments.out))


def _drawn(curves: CurveFigure, out: Path) -> str:
    """Writes the figure and its numbers; returns the paths, a line each."""
    from semantic_cc.files import write_files
    from semantic_cc.reproduce.curve_drawing import draw_curves

    files = {**draw_curves(curves), "json": curves.to_json().encode()}
    named = {f"{curves.figure}-{curves.scale}.{ending}": content for ending, content in files.items()}
    return "\n".join(map(str, write_files(out, named)))


def _require_only_kept(arguments: argparse.Namespace) -> None:
    from semantic_cc.errors import InputError

    if arguments.data is not None or arguments.config_flags:
        raise InputError(
            "--kept reads a finished table or figure: give neither --data nor configuration flags with it"
        )


def _kept_table(arguments: argparse.Namespace) -> str:
    from semantic_cc.errors import InputError
    from semantic_cc.reproduce.table_format import format_table
    from semantic_cc.reproduce.table_types import read_table

    _require_only_kept(arguments)
    table = read_table(Path(arguments.kept))
    if table.table != arguments.what:
        raise InputError(f"{arguments.kept} holds {table.table}, not {arguments.what}; give another file")
    return format_table(table, arguments.format).rstrip("\n")


def _table(name: str, setup: ReproductionSetup, seeds: int, form: str) -> str:
    from semantic_cc.files import write_files
    from semantic_cc.reproduce.table_format import FORMATS, format_table
    from semantic_cc.reproduce.table_results import reproduce_table

    result = reproduce_table(name, setup, seeds)
    texts = {form: format_table(result, form) for form in FORMATS}
    write_files(
        setup.out, {f"{name}-{setup.scale}.{FORMATS[form]}": text.encode() for form, text in texts.items()}
    )
    return texts[form].rstrip("\n")


def _datasets(given: Any) -> tuple[str, ...]:
    if given is None:
        return ()
    return (str(given),) if isinstance(given, str | Path) else tuple(map(str, given))

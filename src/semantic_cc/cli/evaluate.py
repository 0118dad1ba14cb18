"""Score a model on one split of a dataset, or of several joined.

Gives the change flag's accuracy, precision, recall, F1, IoU and OA of the mask over all pixels, and caption
scores on all and on changed pairs, with the protocol and with answers that look at no image beside them.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from semantic_cc.cli.console import add_data, add_mismatch, positive, progress_bar, say, show, stdout_for_us
from semantic_cc.types import SPLITS

if TYPE_CHECKING:
    from rich.table import Table

NAME = "evaluate"
HELP = "score a model on a dataset"

_ROWS = {
    "always_same": "always 'the same as before'",
    "true_flag": "true flag, one fixed sentence",
    "best_constant": "best single sentence",
    "best_true_flag": "true flag, best single sentence",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--model", metavar="NAME|DIR", required=True, help="a shipped model or a folder")
    add_data(parser, "the dataset, or several to be joined")
    parser.add_argument("--split", choices=SPLITS, default="test", help="which part [test]")
    parser.add_argument(
        "--limit", metavar="N", type=positive, help="score only so many pairs, drawn with seed 0"
    )
    parser.add_argument("--batch", metavar="N", type=positive, default=8, help="pairs predicted at once [8]")
    parser.add_argument("--out", metavar="FILE.json", help="also write all figures there")
    add_mismatch(parser)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from semantic_cc.files import check_file, write_files

    out = None if arguments.out is None else check_file(arguments.out)
    with stdout_for_us():
        from semantic_cc.training.evaluate import evaluate

        with progress_bar("pairs") as advance:
            report = evaluate(
                arguments.model, arguments.data, arguments.split, arguments.limit, arguments.batch, advance,
                allow_foundation_mismatch=arguments.allow_foundation_mismatch,
            )  # fmt: skip
    if out is not None:
        write_files(out.parent, {out.name: (json.dumps(report, indent=2) + "\n").encode()})
    _print(report)


def _print(report: dict[str, Any]) -> None:
    model = report["model"]
    say(f"{model['name']} (sha256 {model['digest'][:12]}) on {report['pairs']} pairs of {report['data']}, "
        f"split {report['split']}, images {report['tiles']}, {report['seconds_per_pair']:.2f} s a pair")  # fmt: skip
    if report["change"] is not None:
        say(f"mask, percent, {report['change']['pixels']:,} pixels in one confusion matrix:")
        show(_change_table(report["change"]))
    if report["captions"] is not None:
        say(f"change flag accuracy {report['captions']['flag_accuracy']:.1f} %")
        say(f"sentences, protocol '{report['captions']['protocol']}', {report['decoding']} decoding:")
        show(_caption_table(report["captions"]))
    for note in report["notes"]:
        say(f"note: {note}")


def _change_table(change: dict[str, Any]) -> Table:
    table = _table()
    classes = [name for name in ("building", "road", "change") if name in change]
    columns = list(change[classes[0]])
    for column in ("class", *("OA" if name == "accuracy" else name for name in columns)):
        table.add_column(column, no_wrap=True)
    for name in classes:
        table.add_row(name, *(f"{change[name][column]:.1f}" for column in columns))
    return table


def _caption_table(captions: dict[str, Any]) -> Table:
    metrics = [name for name, value in captions["all"].items() if isinstance(value, float)]
    table = _table()
    for column in ("pairs", "answer", *metrics, "CIDEr 95 %"):
        table.add_column(column, no_wrap=True)
    answers = {
        "the model": captions,
        **{_ROWS.get(key, key): part for key, part in captions["baselines"].items()},
    }
    for pairs in ("all", "changed"):
        for answer, part in answers.items():
            if part[pairs].get("count", 1):
                table.add_row(f"{pairs} {captions[pairs]['count']}", answer, *_cells(part[pairs], metrics))
        table.add_section()
    return table


def _cells(scores: dict[str, Any], metrics: list[str]) -> list[str]:
    interval = scores.get("CIDEr_interval")
    shown = [f"{scores[name]:.1f}" if name in scores else "" for name in metrics]
    return [*shown, f"{interval[0]:.1f}..{interval[1]:.1f}" if interval else ""]


def _table() -> Table:
    from rich.box import SIMPLE
    from rich.table import Table

    return Table(box=SIMPLE)

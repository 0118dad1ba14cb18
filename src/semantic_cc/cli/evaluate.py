"""Score a model on one split of a dataset, or of several joined.

Gives the change flag's accuracy, precision, recall, F1, IoU and OA of the mask over all pixels and the buildings
found, missed and false by size, how far sentences and masks fit together, and caption scores on all and on changed
pairs, with the protocol and with answers that look at no image beside them.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from semantic_cc.cli.caption_tables import add_meteor, print_captions
from semantic_cc.cli.console import add_data, add_mismatch, positive, progress_bar, say, show, stdout_for_us
from semantic_cc.types import SPLITS

if TYPE_CHECKING:
    from rich.table import Table

NAME = "evaluate"
HELP = "score a model on a dataset"
_WORST = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--model", metavar="NAME|DIR", required=True, help="a shipped model or a folder")
    add_data(parser, "the dataset, or several to be joined")
    parser.add_argument("--split", choices=SPLITS, default="test", help="which part [test]")
    parser.add_argument(
        "--limit", metavar="N", type=positive, help="score only so many pairs, drawn with seed 0"
    )
    parser.add_argument("--batch", metavar="N", type=positive, default=8, help="pairs predicted at once [8]")
    add_meteor(parser)
    parser.add_argument("--out", metavar="FILE.json", help="also write all figures there")
    parser.add_argument(
        "--worst",
        metavar="PAGE.html",
        help=f"also write the {_WORST} pairs with the worst masks there, side by side",
    )
    parser.add_argument(
        "--reliability",
        metavar="FILE.png",
        help="also draw there how far the change probability can be taken at its word (semantic-cc[figures])",
    )
    add_mismatch(parser)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from semantic_cc.files import check_file, write_files

    out = None if arguments.out is None else check_file(arguments.out)
    page = None if arguments.worst is None else check_file(arguments.worst)
    diagram = None if arguments.reliability is None else check_file(arguments.reliability)
    with stdout_for_us():
        from semantic_cc.evaluation.diagnostics import Study
        from semantic_cc.evaluation.evaluate import evaluate
        from semantic_cc.figures.reliability_diagram import draw_reliability
        from semantic_cc.figures.worst_cases import worst_page
        from semantic_cc.metrics.calibration_error import Calibration

        study = Study(worst=0 if page is None else _WORST)
        with progress_bar("pairs") as advance:
            report = evaluate(
                arguments.model, arguments.data, arguments.split, arguments.limit, arguments.batch, advance,
                study=study, meteor=arguments.meteor,
                allow_foundation_mismatch=arguments.allow_foundation_mismatch,
            )  # fmt: skip
    if out is not None:
        write_files(out.parent, {out.name: (json.dumps(report, indent=2) + "\n").encode()})
    if page is not None and not study.worst:
        report["notes"].append(f"{page} is not written: no pair has both a true and a predicted mask")
    elif page is not None:
        write_files(page.parent, {page.name: worst_page(study.worst, _title(report))})
    if diagram is not None and report["calibration"] is None:
        report["notes"].append(
            f"{diagram} is not written: the model gives no probability, or the dataset no flags"
        )
    elif diagram is not None:
        found = Calibration(**report["calibration"])
        write_files(diagram.parent, {diagram.name: draw_reliability(found, _title(report))})
    _print(report)


def _title(report: dict[str, Any]) -> str:
    return f"{report['model']['name']} on {report['data']}, split {report['split']}"


def _print(report: dict[str, Any]) -> None:
    model = report["model"]
    say(f"{model['name']} (sha256 {model['digest'][:12]}) on {report['pairs']} pairs of {report['data']}, "
        f"split {report['split']}, images {report['tiles']}, {report['seconds_per_pair']:.2f} s a pair")  # fmt: skip
    if report["change"] is not None:
        say(f"mask, percent, {report['change']['pixels']:,} pixels in one confusion matrix:")
        show(_change_table(report["change"]))
        _print_mean_iou(report["change"])
    if report["objects"] is not None:
        _print_objects(report["objects"], report["curve"])
    if report["consistency"] is not None:
        _print_consistency(report["consistency"], report["reference_consistency"])
    if report["captions"] is not None:
        print_captions(report["captions"], f"the model, {report['decoding']} decoding")
    if report["calibration"] is not None:
        found = report["calibration"]
        say(
            f"change probability: expected calibration error {found['ece']:.1f} %, Brier score {found['brier']:.3f}"
        )
    for note in report["notes"]:
        say(f"note: {note}")


def _print_mean_iou(change: dict[str, Any]) -> None:
    if "mean_iou" in change:
        say(f"mean IoU of none, road and building {change['mean_iou']:.1f} %")


def _print_objects(objects: dict[str, Any], curve: dict[str, Any]) -> None:
    say(f"buildings over all thresholds: average precision {curve['average_precision']:.1f} %, "
        f"best F1 {curve['best_f1']:.1f} % from probability {curve['best_threshold']:.2f} on")  # fmt: skip
    say(f"buildings as objects: precision {objects['precision']:.1f}, recall {objects['recall']:.1f}, "
        f"F1 {objects['f1']:.1f} % (found or right from half of its pixels on)")  # fmt: skip
    counts = ("found", "missed", "right", "false")
    table = _table()
    for column in ("pixels", *counts):
        table.add_column(column, no_wrap=True)
    for row in (*objects["by_size"], {"pixels": "all", **objects}):
        table.add_row(row["pixels"], *(str(row[name]) for name in counts))
    show(table)


def _print_consistency(ours: dict[str, Any], reference: dict[str, Any] | None) -> None:
    for whose, part in (("its sentences and masks", ours), ("the dataset's own", reference)):
        if part is not None:
            kinds = [f"{name} {kind['agree']} of {kind['checked']}" for name, kind in part["by_kind"].items()]
            say(f"consistency of {whose}: {part['score']:.1f} % of {part['pairs'] - part['unchecked']} that can be "
                f"checked, of {part['pairs']} ({', '.join(kinds)})")  # fmt: skip


def _change_table(change: dict[str, Any]) -> Table:
    table = _table()
    classes = [name for name in ("building", "road", "change") if name in change]
    columns = list(change[classes[0]])
    for column in ("class", *("OA" if name == "accuracy" else name for name in columns)):
        table.add_column(column, no_wrap=True)
    for name in classes:
        table.add_row(name, *(f"{change[name][column]:.1f}" for column in columns))
    return table


def _table() -> Table:
    from rich.box import SIMPLE
    from rich.table import Table

    return Table(box=SIMPLE)

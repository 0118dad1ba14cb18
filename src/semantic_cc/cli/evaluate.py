"""Score a model on one split of a dataset, or of several datasets together.

Prints the accuracy of the change flag; precision, recall, F1, IoU and OA of the mask over all pixels; found, missed and
false buildings by size; the agreement of sentences and masks; and caption scores on all and on changed pairs, with the
protocol and the scores of baselines that use no image. The labels are checked first. With --out, an interrupted
evaluation continues where it stopped.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from typing import TYPE_CHECKING

from semantic_cc.cli.caption_tables import add_meteor, print_captions
from semantic_cc.cli.console import add_data, add_mismatch, add_runtime, positive, say, show, stdout_for_us
from semantic_cc.types import SPLITS

if TYPE_CHECKING:
    from rich.table import Table

    from semantic_cc.evaluation.diagnostics import Diagnostics
    from semantic_cc.evaluation.evaluation_report import EvaluationReport
    from semantic_cc.metrics.change import BuildingScore, ChangeScore
    from semantic_cc.metrics.consistency import Consistency

NAME = "evaluate"
HELP = "score a model on a dataset"
_WORST = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "--model", metavar="NAME|DIR", required=True, help="a shipped model, a folder or a hub id"
    )
    add_data(parser, "dataset, or several to join")
    parser.add_argument("--split", choices=SPLITS, default="test", help="split to score [test]")
    parser.add_argument("--limit", metavar="N", type=positive, help="score only N pairs, drawn with seed 0")
    parser.add_argument("--batch", metavar="N", type=positive, default=8, help="pairs predicted at once [8]")
    parser.add_argument(
        "--no-sentences", action="store_true", help="score masks only, without writing sentences"
    )
    add_meteor(parser)
    parser.add_argument(
        "--out",
        metavar="FILE.json",
        help="also write all scores to this file; an interrupted evaluation can then continue",
    )
    parser.add_argument(
        "--worst",
        metavar="PAGE.html",
        help=f"also write a page with the {_WORST} worst masks beside the images",
    )
    parser.add_argument(
        "--reliability",
        metavar="FILE.png",
        help="also draw the calibration of the change probability (semantic-cc[figures])",
    )
    add_runtime(parser)
    add_mismatch(parser)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from semantic_cc.errors import InputError
    from semantic_cc.files import check_file, write_files

    if arguments.reliability is not None and arguments.no_sentences:
        raise InputError(
            "--reliability: leave out --no-sentences; the change probability comes with the sentence"
        )
    out = None if arguments.out is None else check_file(arguments.out)
    page = None if arguments.worst is None else check_file(arguments.worst)
    diagram = None if arguments.reliability is None else check_file(arguments.reliability)
    with stdout_for_us():
        from semantic_cc.evaluation.evaluate import evaluate
        from semantic_cc.figures.reliability_diagram import draw_reliability
        from semantic_cc.figures.worst_cases import worst_page
        from semantic_cc.progress import progress_of_steps

        with progress_of_steps() as advance:
            report = evaluate(
                arguments.model,
                arguments.data,
                arguments.split,
                limit=arguments.limit,
                batch=arguments.batch,
                sentences=not arguments.no_sentences,
                meteor=arguments.meteor,
                worst=0 if page is None else _WORST,
                runtime=arguments.runtime,
                allow_foundation_mismatch=arguments.allow_foundation_mismatch,
                state=None if out is None else out.with_name(f".{out.name}.state"),
                checking=partial(advance, "files checked"),
                progress=partial(advance, "pairs"),
            )
    notes = list(report.scores.notes)
    if out is not None:
        write_files(out.parent, {out.name: (json.dumps(report.to_json(), indent=2) + "\n").encode()})
    if page is not None and not report.worst:
        notes.append(f"{page} is not written: no pair has both a true and a predicted mask")
    elif page is not None:
        write_files(page.parent, {page.name: worst_page(report.worst, _title(report))})
    if diagram is not None and report.scores.calibration is None:
        notes.append(f"{diagram} is not written: the model gives no probability, or the dataset no flags")
    elif diagram is not None and report.scores.calibration is not None:
        write_files(
            diagram.parent, {diagram.name: draw_reliability(report.scores.calibration, _title(report))}
        )
    _print(report)
    for note in notes:
        say(f"note: {note}")


def _title(report: EvaluationReport) -> str:
    return f"{report.model} on {report.data}, split {report.split}"


def _print(report: EvaluationReport) -> None:
    scores = report.scores
    say(f"{report.model} (sha256 {report.digest[:12]}) on {report.pairs} pairs of {report.data}, split {report.split}, "
        f"images {' '.join(report.sizes)}, {report.seconds_per_pair:.2f} s a pair with {report.runtime}")  # fmt: skip
    if report.classes:
        say(f"labelled classes: {', '.join(report.classes)}")
    if scores.change is not None:
        say(f"mask, percent, {scores.change.pixels:,} pixels in one confusion matrix:")
        show(_change_table(scores.change))
    _print_diagnostics(scores.diagnostics)
    if scores.captions is not None:
        print_captions(scores.captions, f"the model, {report.decoding} decoding")
    if scores.calibration is not None:
        say(f"change probability: expected calibration error {scores.calibration.ece:.1f} %, Brier score "
            f"{scores.calibration.brier:.3f}")  # fmt: skip


def _print_diagnostics(diagnostics: Diagnostics) -> None:
    if diagnostics.curve is not None:
        curve = diagnostics.curve
        say(f"buildings over all thresholds: average precision {curve.average_precision:.1f} %, "
            f"best F1 {curve.best_f1:.1f} % from probability {curve.best_threshold:.2f} on")  # fmt: skip
    if diagnostics.objects is not None:
        objects = diagnostics.objects
        say(f"buildings as objects: precision {objects.precision:.1f}, recall {objects.recall:.1f}, "
            f"F1 {objects.f1:.1f} % (found or right from half of its pixels on)")  # fmt: skip
        table = _table("pixels", "found", "missed", "right", "false")
        for row in objects.by_size:
            table.add_row(row.pixels, *map(str, (row.found, row.missed, row.right, row.false)))
        table.add_row("all", *map(str, (objects.found, objects.missed, objects.right, objects.false)))
        show(table)
    _print_consistency("its sentences and masks", diagnostics.consistency)
    if diagnostics.consistency is not None:
        _print_consistency("the dataset's own", diagnostics.reference_consistency)


def _print_consistency(whose: str, found: Consistency | None) -> None:
    if found is not None:
        kinds = [f"{name} {kind.agree} of {kind.checked}" for name, kind in found.by_kind.items()]
        say(f"consistency of {whose}: {found.score:.1f} % of {found.pairs - found.unchecked} that can be checked, of "
            f"{found.pairs} ({', '.join(kinds)})")  # fmt: skip


def _change_table(change: ChangeScore | BuildingScore) -> Table:
    names = {"precision": "precision", "recall": "recall", "f1": "f1", "iou": "iou", "accuracy": "OA"}
    table = _table("class", *names.values())
    for label in ("building", "road", "change"):
        score = getattr(change, label, None)
        if score is not None:
            table.add_row(label, *(f"{getattr(score, name):.1f}" for name in names))
    if hasattr(change, "mean_iou"):
        table.caption = f"mean IoU of none, road and building {change.mean_iou:.1f} %"
    return table


def _table(*columns: str) -> Table:
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE)
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table

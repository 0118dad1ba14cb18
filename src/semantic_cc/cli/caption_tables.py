"""Prints caption scores: tables for the terminal, and a row for a paper."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from semantic_cc.cli.console import say, show
from semantic_cc.metrics.coco_scorer import METRICS

if TYPE_CHECKING:
    from rich.table import Table

    from semantic_cc.metrics.caption_report import BaselineScores, CaptionReport, PartScores

ROWS = ("markdown", "latex")

_BASELINES = {
    "always_same": "always 'the same as before'",
    "true_flag": "true flag, one fixed sentence",
    "train_frequent": "most frequent training sentence",
    "best_constant": "best single sentence",
    "best_true_flag": "true flag, best single sentence",
}


def add_meteor(parser: argparse.ArgumentParser) -> None:
    """Declares ``--no-meteor``."""
    parser.add_argument(
        "--no-meteor",
        dest="meteor",
        action="store_false",
        help="leave out METEOR, which takes most of the time",
    )


def print_captions(report: CaptionReport, answer: str) -> None:
    """Prints caption scores; `answer` names the scored sentences."""
    say(f"change flag accuracy {report.flag_accuracy:.1f} %; true flags: {report.flag_truth}; predicted flags: "
        f"{report.flag_rule}")  # fmt: skip
    say(f"sentences, percent, protocol '{report.protocol}': {report.protocol_note}")
    show(_scores(report, answer))
    say("95 % intervals over the images:")
    show(_intervals(report))
    shared = ", ".join(
        f"{name} {part.cider_frequencies_of_all:.1f}"
        for name, part in report.parts.items()
        if part.cider_frequencies_of_all is not None
    )
    say("CIDEr is pycocoevalcap's, that is CIDEr-D. Each part has its own document frequencies, so a part that shares "
        f"its references has 0; with the frequencies of all pairs it is {shared}")  # fmt: skip
    if report.meteor != "run":
        say(f"METEOR {report.meteor}")
    for name, line in report.baselines.items():
        if line is None:
            missing = "training sentences" if name == "train_frequent" else "changed pairs"
            say(f"{_BASELINES[name]}: not available, there are no {missing}")
        else:
            sentences = dict.fromkeys((line.unchanged_sentence, line.changed_sentence))  # unique, in order
            say(f"{_BASELINES[name]}: " + " / ".join(f'"{sentence}"' for sentence in sentences))
    parts = [
        f"{kind} {found.share:.1f} % of {found.pairs}"
        for kind, found in (("count", report.counts), ("place", report.places))
        if found.share is not None
    ]
    if parts:
        say(f"count and location accuracy, of the pairs whose references have one: {', '.join(parts)}")
    for whose, texts in (
        ("predictions", report.prediction_statistics),
        ("references", report.reference_statistics),
    ):
        unknown = "" if texts.unknown_words is None else f", {texts.unknown_words} of them in no reference"
        say(f"{whose}: {texts.sentences:,} sentences, {texts.distinct_sentences:,} distinct, {texts.empty} "
            f"empty, {texts.words_per_sentence:.1f} words each ({texts.shortest} to {texts.longest}), "
            f"{texts.distinct_words:,} distinct words{unknown}")  # fmt: skip


def paper_row(report: CaptionReport, name: str, form: str) -> str:
    """The scores on all pairs as a row of a paper's table, under a header that names the protocol."""
    cells = [name, *(_number(report.all.scores[metric]) for metric in METRICS)]
    head = [f"protocol {report.protocol}", *METRICS]
    if form == "latex":
        cells[0] = "".join(f"\\{letter}" if letter in "_%&#${}" else letter for letter in cells[0])
        return f"% {' & '.join(head)}\n{' & '.join(cells)} \\\\"
    cells[0] = cells[0].replace("|", "\\|")
    rule = ["---", *("---:" for _ in METRICS)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, cells))


def _scores(report: CaptionReport, answer: str) -> Table:
    table = _table("pairs", "answer", "flag", *METRICS)
    answers: dict[str, CaptionReport | BaselineScores] = {answer: report}
    answers |= {_BASELINES[name]: line for name, line in report.baselines.items() if line is not None}
    for part, own in report.parts.items():
        if own.count:
            for name, line in answers.items():
                scores: PartScores = getattr(line, part)
                cells = (scores.flag_accuracy, *(scores.scores[metric] for metric in METRICS))
                table.add_row(f"{part} {own.count}", name, *map(_number, cells))
            table.add_section()
    return table


def _intervals(report: CaptionReport) -> Table:
    table = _table("pairs", "flag", *METRICS)
    for name, part in report.parts.items():
        if part.intervals is not None:
            bounds = (part.intervals.get(metric) for metric in ("flag_accuracy", *METRICS))
            table.add_row(
                name, *("-" if both is None else f"{both[0]:.1f}..{both[1]:.1f}" for both in bounds)
            )
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _table(*columns: str) -> Table:
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE)
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table

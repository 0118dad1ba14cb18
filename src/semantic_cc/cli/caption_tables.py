"""How caption scores are shown: tables for people, and a row for a paper."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from semantic_cc.cli.console import say, show
from semantic_cc.metrics.coco_scorer import METRICS

if TYPE_CHECKING:
    from rich.table import Table

PARTS = ("all", "changed", "unchanged")
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
        help="leave METEOR out, which takes most of the time",
    )


def print_captions(report: dict[str, Any], answer: str) -> None:
    """Prints a report of `semantic_cc.metrics.report`; `answer` names what was scored."""
    say(f"change flag accuracy {report['flag_accuracy']:.1f} %; true flags: {report['flag_truth']}; predicted flags: "
        f"{report['flag_rule']}")  # fmt: skip
    say(f"sentences, percent, protocol '{report['protocol']}': {report['protocol_note']}")
    show(_scores(report, answer))
    say("95 % intervals over the images:")
    show(_intervals(report))
    shared = ", ".join(
        f"{part} {report[part]['CIDEr_frequencies_of_all']:.1f}" for part in PARTS if report[part]["count"]
    )
    say("CIDEr is pycocoevalcap's, that is CIDEr-D. Each part has its own document frequencies, so a part that shares "
        f"its references has 0; with the frequencies of all pairs it is {shared}")  # fmt: skip
    if report["meteor"] != "run":
        say(f"METEOR {report['meteor']}")
    for name, line in report["baselines"].items():
        if line is None:
            missing = "training sentences" if name == "train_frequent" else "changed pairs"
            say(f"{_BASELINES[name]}: not available, there are no {missing}")
        else:
            said = dict.fromkeys(line["sentences"].values())  # in order, each once
            say(f"{_BASELINES[name]}: " + " / ".join(f'"{sentence}"' for sentence in said))
    parts = [
        f"{kind} {found['share']:.1f} % of {found['pairs']}"
        for kind, found in report["told"].items()
        if found["pairs"]
    ]
    if parts:
        say(f"told as in a reference, of the pairs whose references tell it: {', '.join(parts)}")
    for whose, facts in report["statistics"].items():
        unknown = f", {facts['unknown_words']} of them in no reference" if "unknown_words" in facts else ""
        say(f"{whose}: {facts['sentences']:,} sentences, {facts['distinct_sentences']:,} distinct, {facts['empty']} "
            f"empty, {facts['words_per_sentence']:.1f} words each ({facts['shortest']} to {facts['longest']}), "
            f"{facts['distinct_words']:,} distinct words{unknown}")  # fmt: skip


def paper_row(report: dict[str, Any], name: str, form: str) -> str:
    """The scores on all pairs as a row of a paper's table, under a head that names the protocol."""
    cells = [name, *(_number(report["all"][metric]) for metric in METRICS)]
    head = [f"protocol {report['protocol']}", *METRICS]
    if form == "latex":
        cells[0] = "".join(f"\\{letter}" if letter in "_%&#${}" else letter for letter in cells[0])
        return f"% {' & '.join(head)}\n{' & '.join(cells)} \\\\"
    cells[0] = cells[0].replace("|", "\\|")
    rule = ["---", *("---:" for _ in METRICS)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, cells))


def _scores(report: dict[str, Any], answer: str) -> Table:
    table = _table("pairs", "answer", "flag", *METRICS)
    answers = {answer: report}
    answers |= {_BASELINES[name]: line for name, line in report["baselines"].items() if line is not None}
    for part in PARTS:
        if report[part]["count"]:
            for name, line in answers.items():
                scores = [line[part]["flag_accuracy"], *(line[part][metric] for metric in METRICS)]
                table.add_row(f"{part} {report[part]['count']}", name, *map(_number, scores))
            table.add_section()
    return table


def _intervals(report: dict[str, Any]) -> Table:
    table = _table("pairs", "flag", *METRICS)
    for part in PARTS:
        if report[part]["count"]:
            names = ("flag_accuracy", *METRICS)
            table.add_row(part, *(_bounds(report[part], name).strip(" ()") or "-" for name in names))
    return table


def _bounds(scores: dict[str, Any], name: str) -> str:
    if name not in scores["intervals"]:
        return ""
    low, high = scores["intervals"][name]
    return f" ({low:.1f}..{high:.1f})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _table(*columns: str) -> Table:
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE)
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table

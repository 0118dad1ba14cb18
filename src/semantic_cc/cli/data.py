"""Count a dataset, convert it, match captioned pairs with change detection tiles, and find leaks and errors.

docs/data.md lists the layouts; every command detects them.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from semantic_cc.cli.console import progress_bar, say, show

if TYPE_CHECKING:
    from rich.table import Table

    from semantic_cc.data.audit import AuditReport
    from semantic_cc.data.statistics import SplitStatistics

NAME = "data"
HELP = "count, convert, match and audit datasets"

_SHOWN = 5  # findings of each kind in the terminal; the file has all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    actions = parser.add_subparsers(metavar="WHAT", required=True)

    stats = actions.add_parser(
        "stats", help="count items, masks, sentences, sizes, words", allow_abbrev=False
    )
    stats.add_argument("folders", metavar="DIR", nargs="+", help="a dataset")
    stats.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    stats.set_defaults(action=_stats)

    convert = actions.add_parser("convert", help="write a dataset in another layout", allow_abbrev=False)
    convert.add_argument("source", metavar="SRC", help="a dataset, or a file that `data match` wrote")
    convert.add_argument("out", metavar="DST", help="new or empty folder")
    convert.add_argument(
        "--to",
        choices=("levir-mci", "list"),
        required=True,
        help="levir-mci keeps everything; list has A, B, label (buildings only) and list/SPLIT.txt",
    )
    convert.set_defaults(action=_convert)

    match = actions.add_parser(
        "match", help="find LEVIR-CC's pairs among LEVIR-CD's tiles, by content", allow_abbrev=False
    )
    match.add_argument("captions", metavar="CC_DIR", help="a dataset with captions")
    match.add_argument("masks", metavar="CD_DIR", help="a dataset with masks")
    match.add_argument(
        "--out", metavar="FILE", required=True, help="file for the matches, itself a dataset (.json)"
    )
    match.set_defaults(action=_match)

    audit = actions.add_parser(
        "audit",
        help="find locations in two splits, faulty items and contradictions; exit code 1 for a leak",
        allow_abbrev=False,
    )
    audit.add_argument(
        "folders", metavar="DIR", nargs="+", help="a dataset; several are compared with each other"
    )
    audit.add_argument("--out", metavar="FILE.json", help="also write all findings to this file")
    audit.set_defaults(action=_audit)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    arguments.action(arguments)


def _stats(arguments: argparse.Namespace) -> None:
    from semantic_cc.data.statistics import dataset_statistics

    with progress_bar("items") as advance:
        reports = [dataset_statistics(folder, advance) for folder in arguments.folders]
    if arguments.json:
        say(json.dumps({"datasets": [report.to_json() for report in reports]}))
        return
    for report in reports:
        say(f"{report.data}: {report.layout}")
        show(_table(report.splits))


def _convert(arguments: argparse.Namespace) -> None:
    from semantic_cc.data.convert_layout import convert

    with progress_bar("items") as advance:
        left_out = convert(arguments.source, arguments.out, arguments.to, advance)
    say(f"wrote {arguments.source} to {arguments.out} in the layout {arguments.to}")
    for what in left_out:
        say(f"note: left out: {what}")


def _match(arguments: argparse.Namespace) -> None:
    from semantic_cc.data.content_match import find_matches
    from semantic_cc.data.match_file import dump
    from semantic_cc.errors import DataError
    from semantic_cc.files import check_file, write_files

    out, captions, masks = check_file(arguments.out), Path(arguments.captions), Path(arguments.masks)
    with progress_bar("images") as advance:
        matches = find_matches(captions, masks, advance)
    if not matches:
        raise DataError(f"{captions}: no pair shows what a tile of {masks} shows; check both folders")
    write_files(out.parent, {out.name: dump(captions, masks, matches, out)})
    lowest = min(match.correlation for match in matches)
    say(f"{len(matches)} captioned pairs found, lowest correlation of the pixels {lowest:.3f}; in {out}")


def _audit(arguments: argparse.Namespace) -> None:
    from semantic_cc.data.audit import audit
    from semantic_cc.errors import SemanticCCError
    from semantic_cc.files import check_file, write_files
    from semantic_cc.progress import progress_of_steps

    out = None if arguments.out is None else check_file(arguments.out)
    with progress_of_steps() as advance:
        report = audit(arguments.folders, partial(advance, "items read"), partial(advance, "images compared"))
    if out is not None:
        write_files(
            out.parent,
            {out.name: (json.dumps(report.to_json(), indent=2, ensure_ascii=False) + "\n").encode()},
        )
    _print_audit(report)
    if report.leaks:
        raise SemanticCCError(
            f"leaks found: {len(report.leaks)}; items of different splits show one location, keep it in one split"
        )


def _print_audit(report: AuditReport) -> None:
    say(f"{report.items} items, {report.pictures} images, {report.flat} of them too flat to compare")
    for places, meaning in (
        (report.leaks, "in different splits"),
        (report.repeats, "in one split of two datasets"),
    ):
        say(f"{len(places)} pairs of items {meaning} show one location")
        for place in places[:_SHOWN]:
            first, second = (" ".join(vars(side).values()) for side in (place.first, place.second))
            say(f"  {first} = {second} (likeness {place.likeness:.2f})")
    kinds = Counter(problem.kind for problem in report.problems)
    for kind, count in kinds.items():
        contradiction = kind == "contradiction"
        say(f"{count} {'contradictions of flag, sentences and mask' if contradiction else f'faults: {kind}'}")
        for problem in [problem for problem in report.problems if problem.kind == kind][:_SHOWN]:
            say(f"  {problem.where}: {problem.what}")
    if not kinds:
        say("no faults in images, masks and captions")


def _table(splits: Mapping[str, SplitStatistics]) -> Table:
    from rich.box import SIMPLE
    from rich.table import Table

    rows: dict[str, Callable[[SplitStatistics], object]] = {
        "items": lambda part: part.items,
        "with a mask": lambda part: part.masks,
        "with sentences": lambda part: part.captioned,
        "with both": lambda part: part.both,
        "sentences": lambda part: part.sentences,
        "distinct words": lambda part: part.words,
        "words a sentence": lambda part: _number(part.words_per_sentence, ".1f"),
        "with a change flag": lambda part: part.flags,
        "of these changed": lambda part: _number(part.changed, ".1%"),
        "labelled classes": lambda part: ", ".join(part.classes) or "-",
        "changed building, of labelled pixels": lambda part: _number(part.building, ".2%"),
        "changed road, where roads are labelled": lambda part: _number(part.road, ".2%"),
        "not labelled, of all mask pixels": lambda part: _number(part.unknown, ".2%"),
        "sizes": lambda part: _sizes(part.sizes.items()),
    }
    table = Table(box=SIMPLE)
    table.add_column("")
    for split in splits:
        table.add_column(split, justify="right")
    for name, cell in rows.items():
        table.add_row(name, *(str(cell(part)) for part in splits.values()))
    return table


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _sizes(sizes: Iterable[tuple[str, int]]) -> str:
    """The three most frequent sizes, and the number of others."""
    known = list(sizes)
    shown = [size if len(known) == 1 else f"{size} ({count})" for size, count in known[:3]]
    return ", ".join(shown) + (f" and {len(known) - 3} more" if len(known) > 3 else "")

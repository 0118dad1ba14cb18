"""Look at a dataset, write it in another layout, find captioned pairs among change-detection tiles, and leaks.

docs/data.md names the layouts that are read; every command recognises them.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semantic_cc.cli.console import progress_bar, say, show

if TYPE_CHECKING:
    from rich.table import Table

NAME = "data"
HELP = "count, convert, match and audit datasets"

_SHOWN = 5  # findings of a kind in the terminal; the file has all


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
        help="levir-mci keeps everything; list has A, B, label (buildings alone) and list/SPLIT.txt",
    )
    convert.set_defaults(action=_convert)

    match = actions.add_parser(
        "match", help="find LEVIR-CC's pairs among LEVIR-CD's tiles, by content", allow_abbrev=False
    )
    match.add_argument("captions", metavar="CC_DIR", help="a dataset with sentences")
    match.add_argument("masks", metavar="CD_DIR", help="a dataset with masks")
    match.add_argument("--out", metavar="FILE", required=True, help="the matches, itself a dataset (.json)")
    match.set_defaults(action=_match)

    audit = actions.add_parser(
        "audit",
        help="find places that are in two splits, and faulty items; exit code 1 for a leak",
        allow_abbrev=False,
    )
    audit.add_argument(
        "folders", metavar="DIR", nargs="+", help="a dataset; several are held against each other"
    )
    audit.add_argument("--out", metavar="FILE.json", help="also write everything that was found there")
    audit.set_defaults(action=_audit)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    arguments.action(arguments)


def _stats(arguments: argparse.Namespace) -> None:
    from semantic_cc.data.statistics import dataset_stats

    with progress_bar("items") as advance:
        reports = [dataset_stats(folder, advance) for folder in arguments.folders]
    if arguments.json:
        say(json.dumps({"datasets": reports}))
        return
    for report in reports:
        say(f"{report['data']}: {report['layout']}")
        show(_table(report["splits"]))


def _convert(arguments: argparse.Namespace) -> None:
    from semantic_cc.data.convert_layout import convert

    with progress_bar("items") as advance:
        left_out = convert(arguments.source, arguments.out, arguments.to, advance)
    say(f"{arguments.source} is in {arguments.out} in the layout {arguments.to}")
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

    out = None if arguments.out is None else check_file(arguments.out)
    with progress_bar("items read") as reading, progress_bar("pictures compared") as comparing:
        report = audit(arguments.folders, reading, comparing)
    if out is not None:
        write_files(
            out.parent, {out.name: (json.dumps(report, indent=2, ensure_ascii=False) + "\n").encode()}
        )
    _print_audit(report)
    if report["leaks"]:
        raise SemanticCCError(
            f"leaks found: {len(report['leaks'])}; items of different splits show one place, keep it in one of them"
        )


def _print_audit(report: dict[str, Any]) -> None:
    say(
        f"{report['items']} items, {report['pictures']} pictures, {report['flat']} of them too flat to compare"
    )
    for kind, meaning in (("leaks", "in different splits"), ("repeats", "in one split of two datasets")):
        say(f"{len(report[kind])} pairs of items {meaning} show one place")
        for pair in report[kind][:_SHOWN]:
            sides = [" ".join(pair[side].values()) for side in ("first", "second")]
            say(f"  {sides[0]} = {sides[1]} (likeness {pair['likeness']:.2f})")
    kinds = Counter(problem["kind"] for problem in report["problems"])
    for kind, count in kinds.items():
        say(f"{count} faults: {kind}")
        for problem in [problem for problem in report["problems"] if problem["kind"] == kind][:_SHOWN]:
            say(f"  {problem['where']}: {problem['what']}")
    if not kinds:
        say("no faults in images, masks and captions")


def _table(splits: dict[str, dict[str, Any]]) -> Table:
    from rich.box import SIMPLE
    from rich.table import Table

    rows = {
        "items": lambda part: part["items"],
        "with a mask": lambda part: part["masks"],
        "with sentences": lambda part: part["captioned"],
        "with both": lambda part: part["both"],
        "sentences": lambda part: part["sentences"],
        "distinct words": lambda part: part["words"],
        "words a sentence": lambda part: _number(part["words_per_sentence"], ".1f"),
        "with a change flag": lambda part: part["flags"],
        "of these changed": lambda part: _number(part["changed"], ".1%"),
        "changed building, of all known mask pixels": lambda part: _number(part["building"], ".2%"),
        "changed road, where roads are labelled": lambda part: _number(part["road"], ".2%"),
        "not known, of all mask pixels": lambda part: _number(part["unknown"], ".2%"),
        "sizes": lambda part: _sizes(part["sizes"].items()),
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
    """The three most frequent sizes, and how many there are besides."""
    known = list(sizes)
    shown = [size if len(known) == 1 else f"{size} ({count})" for size, count in known[:3]]
    return ", ".join(shown) + (f" and {len(known) - 3} more" if len(known) > 3 else "")

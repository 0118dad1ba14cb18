"""The paper's layout, ours beside it: as text, Markdown, LaTeX."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from semantic_cc.reproduce.table_results import BASELINES

FORMATS = {"text": "txt", "markdown": "md", "latex": "tex", "json": "json"}
"""Format -> ending of its file."""
_PARTS = {"all": "here", "changed": "here, changed pairs"}


@dataclass(frozen=True)
class Sheet:
    """A table of words.

    Attributes:
        title: above it.
        head: names of the columns.
        groups: lines that belong together, each a list of cells as long as `head`.
        notes: below it.
        left: how many columns, from the first, are words.
    """

    title: str
    head: list[str]
    groups: list[list[list[str]]]
    notes: list[str]
    left: int


def written(result: dict[str, Any], form: str) -> str:
    """What `gather` returned, in one of `FORMATS`; ends with a line break."""
    if form == "json":
        return json.dumps(result, indent=2, ensure_ascii=False) + "\n"
    sheet = sheet_of(result)
    return {"text": _text, "markdown": _markdown, "latex": _latex}[form](sheet)


def sheet_of(result: dict[str, Any]) -> Sheet:
    """Lays out what `gather` returned: a row is the paper's line, then ours of all pairs, then of changed ones."""
    columns, heads = result["columns"], len(result["heads"])
    groups = []
    for row in result["rows"]:
        known = any(value is not None for value in row["paper"].values())
        lines = [["paper", *(_number(row["paper"].get(column), 2) for column in columns)]] if known else []
        if row["here"] is None:
            lines[0][0] = "paper; not here"
        for part, scores in (row["here"] or {}).items():
            if scores:
                lines.append([_PARTS[part], *(_measured(scores[column]) for column in columns)])
        groups.append(
            [[*(row["cells"] if not place else [""] * heads), *line] for place, line in enumerate(lines)]
        )
    for name, parts in result["baselines"].items():
        lines = [[_PARTS[part], *(_number(scores[c]) for c in columns)] for part, scores in parts.items()]
        words = [BASELINES[name], *[""] * (heads - 1)]
        groups.append([[*(words if not place else [""] * heads), *line] for place, line in enumerate(lines)])
    return Sheet(result["title"], [*result["heads"], "", *columns], groups, result["notes"], heads + 1)


def _number(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _measured(score: dict[str, Any]) -> str:
    spread = "" if score["spread"] is None else f" ± {score['spread']:.1f}"
    return _number(score["mean"]) + spread


def _text(sheet: Sheet) -> str:
    lines = [sheet.head, *(line for group in sheet.groups for line in group)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]

    def row(cells: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if place < sheet.left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join(padded).rstrip()

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    parts = [sheet.title, "", row(sheet.head), rule]
    for group in sheet.groups:
        parts += [*map(row, group), ""]
    return "\n".join([*parts, *(f"- {note}" for note in sheet.notes)]) + "\n"


def _markdown(sheet: Sheet) -> str:
    def row(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

    rule = ["---" if place < sheet.left else "---:" for place in range(len(sheet.head))]
    lines = [row(line) for group in sheet.groups for line in group]
    notes = [f"- {note}" for note in sheet.notes]
    return "\n".join([f"**{sheet.title}**", "", row(sheet.head), row(rule), *lines, "", *notes]) + "\n"


_SPECIAL = {letter: f"\\{letter}" for letter in "_%&#${}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
}  # fmt: skip


def _latex(sheet: Sheet) -> str:
    """A `tabular` for booktabs; the notes are comments above it."""

    def row(cells: Sequence[str]) -> str:
        return " & ".join("".join(_SPECIAL.get(letter, letter) for letter in cell) for cell in cells) + r" \\"

    shape = "l" * sheet.left + "r" * (len(sheet.head) - sheet.left)
    comments = [f"% {line}" for line in (sheet.title, *sheet.notes)]
    parts = [*comments, rf"\begin{{tabular}}{{{shape}}}", r"\toprule", row(sheet.head), r"\midrule"]
    for place, group in enumerate(sheet.groups):
        parts += [*([r"\addlinespace"] if place else []), *map(row, group)]
    return "\n".join([*parts, r"\bottomrule", r"\end{tabular}"]) + "\n"

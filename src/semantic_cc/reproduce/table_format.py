"""Formats a table in the paper's layout, our rows below the paper's: text, Markdown, LaTeX or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from semantic_cc.reproduce.table_results import BASELINES
from semantic_cc.reproduce.table_types import PairSet, SeedScores, TableResult

FORMATS = {"text": "txt", "markdown": "md", "latex": "tex", "json": "json"}
"""Format -> file suffix."""

_PAIR_SETS: dict[PairSet, str] = {
    "all": "here", "changed": "here, changed pairs", "scenes": "here, whole scenes",
}  # fmt: skip


@dataclass(frozen=True)
class TextTable:
    """A table as text cells.

    Attributes:
        title: the line above it.
        head: names of the columns.
        groups: groups of rows; each row has as many cells as `head`.
        notes: lines below it.
        left: number of left-aligned columns, from the first.
    """

    title: str
    head: list[str]
    groups: list[list[list[str]]]
    notes: Sequence[str]
    left: int


def format_table(result: TableResult, form: str) -> str:
    """Formats the table in one of `FORMATS`; the text ends with a newline."""
    if form == "json":
        return result.to_json()
    return {"text": _text, "markdown": _markdown, "latex": _latex}[form](text_table(result))


def text_table(result: TableResult) -> TextTable:
    """The cells: for each row the paper's line, then ours on all pairs, then ours on changed pairs."""
    columns, heads = result.columns, len(result.heads)
    groups = []
    for row in result.rows:
        printed = any(value is not None for value in row.paper.values())
        label = "paper" if row.scores is not None else "paper; not here"
        lines = [[label, *(_number(row.paper.get(column), 2) for column in columns)]] if printed else []
        for pairs, scores in (row.scores or {}).items():
            if scores:
                lines.append([_PAIR_SETS[pairs], *(mean_and_spread(scores[column]) for column in columns)])
        groups.append(_group(row.cells, lines))
    for name, own in result.baselines.items():
        lines = [[_PAIR_SETS[pairs], *(_number(scores[c]) for c in columns)] for pairs, scores in own.items()]
        groups.append(_group([BASELINES[name], *[""] * (heads - 1)], lines))
    return TextTable(result.title, [*result.heads, "", *columns], groups, result.notes, heads + 1)


def _group(cells: Sequence[str], lines: Sequence[list[str]]) -> list[list[str]]:
    """Lines with the same first cells, which only the first line shows."""
    return [[*(cells if not number else [""] * len(cells)), *line] for number, line in enumerate(lines)]


def _number(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def mean_and_spread(score: SeedScores) -> str:
    """Mean ± sample standard deviation over the seeds, with one decimal; "-" if it was not measured."""
    return _number(score.mean) + ("" if score.spread is None else f" ± {score.spread:.1f}")


def _text(table: TextTable) -> str:
    lines = [table.head, *(line for group in table.groups for line in group)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]

    def row(cells: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if index < table.left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join(padded).rstrip()

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    parts = [table.title, "", row(table.head), rule]
    for group in table.groups:
        parts += [*map(row, group), ""]
    return "\n".join([*parts, *(f"- {note}" for note in table.notes)]) + "\n"


def _markdown(table: TextTable) -> str:
    def row(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

    rule = ["---" if index < table.left else "---:" for index in range(len(table.head))]
    lines = [row(line) for group in table.groups for line in group]
    notes = [f"- {note}" for note in table.notes]
    return "\n".join([f"**{table.title}**", "", row(table.head), row(rule), *lines, "", *notes]) + "\n"


_SPECIAL = {letter: f"\\{letter}" for letter in "_%&#${}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
}  # fmt: skip


def _latex(table: TextTable) -> str:
    """A `tabular` for booktabs, with the notes as comments above it."""

    def row(cells: Sequence[str]) -> str:
        return " & ".join("".join(_SPECIAL.get(letter, letter) for letter in cell) for cell in cells) + r" \\"

    shape = "l" * table.left + "r" * (len(table.head) - table.left)
    comments = [f"% {line}" for line in (table.title, *table.notes)]
    parts = [*comments, rf"\begin{{tabular}}{{{shape}}}", r"\toprule", row(table.head), r"\midrule"]
    for place, group in enumerate(table.groups):
        parts += [*([r"\addlinespace"] if place else []), *map(row, group)]
    return "\n".join([*parts, r"\bottomrule", r"\end{tabular}"]) + "\n"

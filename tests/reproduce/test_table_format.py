"""The paper's layout, ours beside it, in every format."""

from pathlib import Path

import pytest

from semantic_cc.reproduce.table_format import format_table, text_table
from semantic_cc.reproduce.table_types import (
    DataRecord,
    RowResult,
    RunRecord,
    SeedScores,
    TableResult,
    read_table,
)

RESULT = TableResult(
    table="table1",
    title="Table X: 50 % of a & b",
    heads=("method",),
    columns=("CIDEr", "flag"),
    scale="tiny",
    seeds=(0, 1),
    command="semantic-cc reproduce table1",
    train=DataRecord("data", "1" * 64),
    test=DataRecord("data", "2" * 64, 4),
    rows=(
        RowResult(("theirs",), {"CIDEr": 134.12}),
        RowResult(
            ("ours",),
            {"CIDEr": None},
            {"all": {"CIDEr": SeedScores((39.0, 41.08)), "flag": SeedScores((50.0,))}, "changed": {}},
            "random",
            (RunRecord("0f", "1f", "2f", "CPU", 12),),
        ),
    ),
    baselines={
        "always_same": {"all": {"CIDEr": 101.9, "flag": 50.0}, "changed": {"CIDEr": 1.0, "flag": None}}
    },
    notes=("protocol 'word'",),
)


def test_a_row_is_the_papers_line_and_then_ours() -> None:
    table = text_table(RESULT)
    assert table.head == ["method", "", "CIDEr", "flag"]
    assert table.groups == [
        [["theirs", "paper; not here", "134.12", "-"]],
        [["ours", "here", "40.0 ± 1.5", "50.0"]],  # no line for the paper, which has no number
        [
            ["always 'the scene is the same as before'", "here", "101.9", "50.0"],
            ["", "here, changed pairs", "1.0", "-"],
        ],
    ]


def test_text_has_columns_under_each_other() -> None:
    lines = format_table(RESULT, "text").splitlines()
    assert lines[0] == RESULT.title and lines[-1] == "- protocol 'word'"
    heads, ours = (next(line for line in lines if line.startswith(word)) for word in ("method", "ours"))
    assert ours.index("40.0 ± 1.5") + len("40.0 ± 1.5") == heads.index("CIDEr") + len("CIDEr")


def test_markdown_is_one_table() -> None:
    rows = [line for line in format_table(RESULT, "markdown").splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 4 and {row.count("|") for row in rows} == {5}
    assert rows[3] == "| ours | here | 40.0 ± 1.5 | 50.0 |"


def test_latex_escapes_and_aligns() -> None:
    text = format_table(RESULT, "latex")
    assert text.startswith("% Table X: 50 % of a & b\n")
    assert r"\begin{tabular}{llrr}" in text and r"ours & here & 40.0 $\pm$ 1.5 & 50.0 \\" in text
    assert text.count(r"\addlinespace") == 2


def test_json_is_everything(tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text(format_table(RESULT, "json"))
    assert read_table(tmp_path / "table.json") == RESULT


@pytest.mark.parametrize("form", ["text", "markdown", "latex"])
def test_every_format_names_the_protocol(form: str) -> None:
    assert "protocol 'word'" in format_table(RESULT, form)

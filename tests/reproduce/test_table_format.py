"""The paper's layout, ours beside it, in every format."""

import json

import pytest

from semantic_cc.reproduce.table_format import sheet_of, written

SCORE = {"mean": 40.04, "spread": 1.26, "values": [39.0, 41.08]}
RESULT = {
    "title": "Table X: 50 % of a & b",
    "heads": ["method"],
    "columns": ["CIDEr", "flag"],
    "rows": [
        {"cells": ["theirs"], "paper": {"CIDEr": 134.12}, "here": None},
        {
            "cells": ["ours"],
            "paper": {"CIDEr": None},
            "here": {
                "all": {"CIDEr": SCORE, "flag": {"mean": 50.0, "spread": None, "values": [50.0]}},
                "changed": {},
            },
        },
    ],
    "baselines": {
        "always_same": {"all": {"CIDEr": 101.9, "flag": 50.0}, "changed": {"CIDEr": 1.0, "flag": None}}
    },
    "notes": ["protocol 'word'"],
}


def test_a_row_is_the_papers_line_and_then_ours() -> None:
    sheet = sheet_of(RESULT)
    assert sheet.head == ["method", "", "CIDEr", "flag"]
    assert sheet.groups == [
        [["theirs", "paper; not here", "134.12", "-"]],
        [["ours", "here", "40.0 ± 1.3", "50.0"]],  # no line for the paper, which has no number
        [
            ["always 'the scene is the same as before'", "here", "101.9", "50.0"],
            ["", "here, changed pairs", "1.0", "-"],
        ],
    ]


def test_text_has_columns_under_each_other() -> None:
    lines = written(RESULT, "text").splitlines()
    assert lines[0] == RESULT["title"] and lines[-1] == "- protocol 'word'"
    heads, ours = (next(line for line in lines if line.startswith(word)) for word in ("method", "ours"))
    assert ours.index("40.0 ± 1.3") + len("40.0 ± 1.3") == heads.index("CIDEr") + len("CIDEr")


def test_markdown_is_one_table() -> None:
    rows = [line for line in written(RESULT, "markdown").splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 4 and {row.count("|") for row in rows} == {5}
    assert rows[3] == "| ours | here | 40.0 ± 1.3 | 50.0 |"


def test_latex_escapes_and_aligns() -> None:
    text = written(RESULT, "latex")
    assert text.startswith("% Table X: 50 % of a & b\n")
    assert r"\begin{tabular}{llrr}" in text and r"ours & here & 40.0 $\pm$ 1.3 & 50.0 \\" in text
    assert text.count(r"\addlinespace") == 2


def test_json_is_everything() -> None:
    assert json.loads(written(RESULT, "json")) == RESULT


@pytest.mark.parametrize("form", ["text", "markdown", "latex"])
def test_every_format_names_the_protocol(form: str) -> None:
    assert "protocol 'word'" in written(RESULT, form)

"""What is said below a table of its rows: their order, and who is ahead."""

from dataclasses import replace

import pytest

from semantic_cc.reproduce import table_results
from semantic_cc.reproduce.paper_tables import TABLES


def scored(*values: float) -> dict:
    return {"mean": sum(values) / len(values), "spread": None, "values": list(values)}


def rows(name: str, **here: tuple[float, ...]) -> list[dict]:
    """The rows of a table of masks, those named in `here` with these F1 by seed."""
    return [
        {
            "cells": list(row.cells),
            "paper": dict(zip(TABLES[name].columns, row.paper, strict=True)),
            "here": {"all": {"F1": scored(*here[key])}}
            if (key := row.cells[0].split()[-1].strip("()")) in here
            else None,
        }
        for row in TABLES[name].rows
    ]


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [
        ((81.0, 82.0), "ahead with every seed"),
        ((79.0, 85.0), "not apart"),
        ((1.0, 2.0), "behind with every seed"),
    ],
)
def test_who_is_ahead_is_said_by_all_seeds(ours: tuple[float, ...], verdict: str) -> None:
    found = table_results._lead(
        TABLES["table5"], rows("table5", IDET=(50.0, 60.0), TTP=(78.0, 80.0), alone=(99.0,), ours=ours)
    )
    assert found == [f"F1, Semantic-CC (ours) {sum(ours) / 2:.1f} and TTP 79.0: {verdict}"]


def test_nobody_is_ahead_among_variants_of_one_method() -> None:
    two = replace(TABLES["table5"], heads=("BCSF", "enhancer"))
    assert table_results._lead(two, rows("table5", TTP=(1.0,), ours=(2.0,))) == []


def test_another_order_than_the_papers_is_said() -> None:
    same = table_results._order(TABLES["table5"], rows("table5", IDET=(1.0,), TTP=(2.0,), ours=(3.0,)))
    assert same == ["order of the rows by F1: as in the paper"]
    (other,) = table_results._order(TABLES["table5"], rows("table5", IDET=(1.0,), TTP=(3.0,), ours=(2.0,)))
    assert "best first: TTP; Semantic-CC (ours); IDET. In the paper: Semantic-CC (ours); TTP; IDET" in other


def test_the_spread_is_that_of_a_sample() -> None:
    assert table_results._spread([{"F1": 1.0}, {"F1": 3.0}])["F1"] == {
        "mean": 2.0,
        "spread": 2**0.5,
        "values": [1.0, 3.0],
    }
    assert table_results._spread([{"F1": 1.0}])["F1"]["spread"] is None
    assert table_results._spread([{"METEOR": None}])["METEOR"] == {"mean": None, "spread": None, "values": []}

"""The notes below a table: the order of its rows, and whether ours are ahead."""

from dataclasses import replace

import pytest

from semantic_cc.reproduce.paper_tables import TABLES
from semantic_cc.reproduce.table_notes import below_floors, comparison, row_order, undecided
from semantic_cc.reproduce.table_types import RowResult, SeedScores


def rows(name: str, **here: tuple[float, ...]) -> list[RowResult]:
    """The rows of a table of masks; those named in `here` have these F1 scores by seed."""
    result = []
    for row in TABLES[name].rows:
        key = row.cells[0].split()[-1].strip("()")
        scores = {"all": {"F1": SeedScores(here[key])}} if key in here else None
        result.append(RowResult(row.cells, dict(zip(TABLES[name].columns, row.paper, strict=True)), scores))
    return result


@pytest.mark.parametrize(
    ("ours", "ranking"),
    [
        ((81.0, 82.0), "ahead with every seed"),
        ((79.0, 85.0), "neither ahead with every seed"),
        ((1.0, 2.0), "behind with every seed"),
    ],
)
def test_methods_are_compared_over_all_seeds(ours: tuple[float, ...], ranking: str) -> None:
    found = comparison(
        TABLES["table5"], rows("table5", IDET=(50.0, 60.0), TTP=(78.0, 80.0), only=(99.0,), ours=ours)
    )
    assert found == [f"F1: Semantic-CC (ours) {sum(ours) / 2:.1f}, TTP 79.0, {ranking}"]


def test_variants_of_one_method_are_not_compared() -> None:
    two = replace(TABLES["table5"], heads=("BCSF", "enhancer"))
    assert comparison(two, rows("table5", TTP=(1.0,), ours=(2.0,))) == []


def test_another_order_than_the_papers_is_noted() -> None:
    same = row_order(TABLES["table5"], rows("table5", IDET=(1.0,), TTP=(2.0,), ours=(3.0,)))
    assert same == ["order of the rows by F1: as in the paper"]
    (other,) = row_order(TABLES["table5"], rows("table5", IDET=(1.0,), TTP=(3.0,), ours=(2.0,)))
    assert "best first: TTP; Semantic-CC (ours); IDET. Paper: Semantic-CC (ours); TTP; IDET" in other


def test_rows_that_the_seeds_do_not_tell_apart_are_named_with_what_it_would_take() -> None:
    table = TABLES["table5"]
    (note,) = undecided(
        table, rows("table5", IDET=(50.0, 52.0), TTP=(50.5, 54.5), ours=(80.0, 81.0)), visits=960
    )
    # s^2 = (2 + 8) / 2, d = 1.5: 2 * 2.8^2 * 5 / 2.25 = 34.8
    assert note.startswith(
        "by F1, the seeds do not tell apart: IDET and TTP (difference 1.5: 35 seeds, 33,600 visits). Seeds n"
    )
    assert "ours" not in note
    (close,) = undecided(table, rows("table5", IDET=(50.0, 52.0), TTP=(50.01, 52.01)), visits=960)
    assert "more than 1,000 seeds" in close
    (equal,) = undecided(table, rows("table5", IDET=(50.0, 52.0), TTP=(50.0, 52.0)), visits=960)
    assert "IDET and TTP (difference 0.0)" in equal
    (apart,) = undecided(table, rows("table5", IDET=(50.0, 52.0), TTP=(60.0, 62.0)), visits=960)
    assert apart == "by F1, one row of every two is ahead with every seed"
    (single,) = undecided(table, rows("table5", IDET=(50.0,), TTP=(60.0,)), visits=960)
    assert single.startswith("one seed has no spread, so it orders no two rows by F1")


def test_rows_of_a_table_of_variants_have_the_papers_numbers() -> None:
    table = replace(TABLES["table5"], heads=("BCSF", "enhancer"))
    (note,) = undecided(table, rows("table5", IDET=(50.0, 52.0), TTP=(51.0, 53.0)), visits=1)
    assert "row 1 and row 5 (" in note  # the floor, which the paper does not print, has no number


def test_rows_that_do_not_beat_a_floor_are_named() -> None:
    table = TABLES["table1"]
    cider = {
        "PSNet": ((90.0, 110.0), (30.0,)),
        "PromptCC": ((120.0,), (20.0,)),
        "Chg2Cap": ((99.0,), (50.0,)),
    }
    results = [
        RowResult(
            row.cells,
            {},
            {
                pairs: {"CIDEr": SeedScores(values)}
                for pairs, values in zip(("all", "changed"), cider[row.cells[0]], strict=True)
            },
        )
        for row in table.rows
        if row.cells[0] in cider
    ]
    floors = {"fixed": {"all": {"CIDEr": 99.5}, "changed": {"CIDEr": 25.0}}, "none": {"all": {"CIDEr": 1.0}}}
    assert below_floors(table, results, floors) == [
        "floor 'fixed', CIDEr of all and of changed pairs: not beaten by PromptCC, Chg2Cap",
        "floor 'none', CIDEr of all and of changed pairs: beaten by every row",
    ]
    assert below_floors(TABLES["table2"], results, floors) == []

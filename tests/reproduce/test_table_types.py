"""Tables as JSON files: the round trip, the kept ones, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from semantic_cc.errors import InputError
from semantic_cc.reproduce.paper_tables import TABLES
from semantic_cc.reproduce.scales import SCALES
from semantic_cc.reproduce.table_format import format_table
from semantic_cc.reproduce.table_types import SeedScores, TableResult, read_table

ROOT = Path(__file__).parents[2]
KEPT = sorted((ROOT / "runs" / "results").glob("table*.json"))


def test_the_spread_is_that_of_a_sample() -> None:
    assert SeedScores((1.0, 3.0)).mean == 2.0 and SeedScores((1.0, 3.0)).spread == 2**0.5
    assert SeedScores((1.0,)).spread is None
    assert SeedScores(()).mean is None and SeedScores(()).spread is None


def test_results_are_kept() -> None:
    names = {path.name for path in KEPT}
    assert names >= {f"table{number}-small.json" for number in (1, 2, 4, 5)}
    assert names >= {f"table{number}-levir-dev.json" for number in range(1, 6)}
    assert names <= {f"table{number}-{scale}.json" for number in range(1, 6) for scale in SCALES}
    for path in KEPT:
        result = read_table(path)
        assert path.stem == f"{result.table}-{result.scale}"
        assert not any(Path(own.data).is_absolute() for own in (result.train, result.test))
    files = [path for path in (ROOT / "runs" / "results").rglob("*") if path.is_file()]
    assert {path.name for path in files if path.suffix != ".json"} == {"levir-dev-runs.tar.xz"}
    assert sum(path.stat().st_size for path in files) < 1_000_000


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_a_kept_table_is_complete_and_small(path: Path) -> None:
    result, table = read_table(path), TABLES[path.stem.split("-")[0]]
    assert path.read_text() == result.to_json() and len(result.to_json()) < 20_000
    declared = {row.cells: row.paper for row in table.rows}  # rows may have been added since
    assert [row.cells for row in result.rows] == [cells for cells in declared if cells in _cells(result)]
    for row in result.rows:
        assert tuple(row.paper.values()) == declared[row.cells]
        assert len(row.runs) == (0 if row.scores is None else len(result.seeds))
        for columns in (row.scores or {}).values():
            assert tuple(columns) == result.columns
            assert all(len(score.values) == len(result.seeds) for score in columns.values())


def _cells(result: TableResult) -> set[tuple[str, ...]]:
    return {row.cells for row in result.rows}


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_the_guide_has_the_numbers_of_the_kept_tables(path: Path) -> None:
    guide = (ROOT / "docs" / "reproduction.md").read_text().splitlines()
    result = read_table(path)
    assert any(result.command in line for line in guide)
    for line in format_table(result, "markdown").splitlines():
        if line.startswith("|"):
            assert line in guide


def test_the_command_prints_a_kept_table(cli: Callable) -> None:
    path = ROOT / "runs" / "results" / "table5-small.json"
    done = cli("reproduce", "table5", "--kept", path, "--format", "markdown")
    assert done.code == 0 and done.stdout == format_table(read_table(path), "markdown")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["table1", "--kept", "no.json"], "cannot read the table no.json: No such file or directory"),
        (["table1", "--kept", "{broken}"], "is not a table that 'semantic-cc reproduce' wrote"),
        (["table1", "--kept", "{table5}"], "table5-small.json holds table5, not table1"),
        (["table5", "--kept", "{table5}", "--data", "x"], "give neither --data nor configuration flags"),
        (["table5", "--kept", "{table5}", "--train.epochs", "2"], "give neither --data nor"),
        (["table5"], "needs training data: --data DIR, or --kept FILE.json"),
    ],
)
def test_a_wrong_command_line_is_refused(
    arguments: list[str], message: str, cli: Callable, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"rows": [{}]}')
    table5 = ROOT / "runs" / "results" / "table5-small.json"
    done = cli("reproduce", *(word.format(broken=broken, table5=table5) for word in arguments))
    assert done.code == 2 and message in done.stderr and not done.stdout


def test_another_content_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(InputError, match="is not a table"):
        read_table(tmp_path / "list.json")

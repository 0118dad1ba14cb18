"""A reproduced table as typed values, and as a compact JSON file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Literal

from semantic_cc.errors import InputError

PairSet = Literal["all", "changed", "scenes"]
"""The set of test pairs of a score; scenes = whole scenes, with overlapping windows."""

PAIR_SETS: tuple[PairSet, ...] = ("all", "changed")
"""The sets of pairs that sentences are scored on."""


@dataclass(frozen=True)
class SeedScores:
    """One score of one method.

    Attributes:
        values: the score of each seed, in the order of the table's seeds; empty if it was not measured.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float | None:
        """The mean over seeds; None without values."""
        return mean(self.values) if self.values else None

    @property
    def spread(self) -> float | None:
        """The sample standard deviation over seeds; None for fewer than two."""
        return stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True)
class RunRecord:
    """The origin of the scores of one seed.

    Attributes:
        run: digest of the run's configuration and training data; the name of its folder below ``--out``.
        model: sha256 of its weights.
        code: digest of the package's code that trained it.
        device: the training device.
        pairs_visited: pairs that its stages visited.
    """

    run: str
    model: str
    code: str
    device: str
    pairs_visited: int


@dataclass(frozen=True)
class RowResult:
    """A row of a reproduced table.

    Attributes:
        cells: the cells before the numbers.
        paper: column -> the paper's number, None if it gives none.
        scores: set of pairs -> column -> our scores; None for a method that the package does not implement. A set
            without pairs has no columns.
        llm: name of the language model; None without one, and in a table of masks.
        runs: one for each seed.
    """

    cells: tuple[str, ...]
    paper: dict[str, float | None]
    scores: dict[PairSet, dict[str, SeedScores]] | None = None
    llm: str | None = None
    runs: tuple[RunRecord, ...] = ()


@dataclass(frozen=True)
class DataRecord:
    """A dataset.

    Attributes:
        data: its folders, as they were given.
        digest: sha256 over its images, masks, sentences and flags.
        pairs: number of its pairs that were scored; None for training data.
    """

    data: str
    digest: str
    pairs: int | None = None


@dataclass(frozen=True)
class TableResult:
    """A reproduced table.

    Attributes:
        table: table1 to table5.
        title: the paper's title.
        heads: names of the columns before the numbers.
        columns: names of the columns of numbers.
        scale: name of the scale.
        seeds: the seeds of each row.
        command: the command line that creates the table.
        train: the training dataset.
        test: the dataset whose test split was scored.
        rows: in the paper's order.
        baselines: name of a baseline that uses no image -> set of pairs -> column -> score.
        notes: lines below the table.
    """

    table: str
    title: str
    heads: tuple[str, ...]
    columns: tuple[str, ...]
    scale: str
    seeds: tuple[int, ...]
    command: str
    train: DataRecord
    test: DataRecord
    rows: tuple[RowResult, ...]
    baselines: dict[str, dict[PairSet, dict[str, float | None]]]
    notes: tuple[str, ...]

    def to_json(self) -> str:
        """JSON text for `read_table`, with one line per field, row, baseline and note."""
        content = asdict(self)
        for row, own in zip(content["rows"], self.rows, strict=True):
            if own.scores is not None:
                row["scores"] = {
                    pairs: {column: score.values for column, score in columns.items()}
                    for pairs, columns in own.scores.items()
                }
        return compact_json(content)


def compact_json(content: Mapping[str, Any]) -> str:
    """JSON text with one line per field, and per item of a field that is a long tuple of objects or texts."""
    lines = [f" {json.dumps(key)}: {_lines(value)}" for key, value in content.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _lines(value: Any) -> str:
    """JSON with one line per item of a list of objects or texts."""
    if isinstance(value, tuple) and value and isinstance(value[0], dict | str) and len(str(value)) > 100:
        items = ",\n  ".join(json.dumps(item, ensure_ascii=False) for item in value)
        return f"[\n  {items}\n ]"
    return json.dumps(value, ensure_ascii=False)


def read_table(path: Path) -> TableResult:
    """Reads a table from a JSON file that `TableResult.to_json` wrote.

    Raises:
        InputError: the file is missing, or is not a table.
    """
    with reading_kept(path, "table", "is not a table"):
        content = json.loads(path.read_text())
        rows = tuple(map(_read_row, content["rows"]))
        tuples = {key: tuple(content[key]) for key in ("heads", "columns", "seeds", "notes")}
        return TableResult(**{**content, **tuples, **read_data(content), "rows": rows})


@contextmanager
def reading_kept(path: Path, kind: str, wrong: str) -> Iterator[None]:
    """Turns the errors of reading a kept file into one line.

    Args:
        path: the file.
        kind: what it should hold, for a file that cannot be read.
        wrong: what a file is that does not hold it.

    Raises:
        InputError: the file cannot be read, or holds something else.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot read the {kind} {path}: {error.strerror}; check the path") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} {wrong} that 'semantic-cc reproduce' wrote ({error})") from error


def read_data(content: Mapping[str, Any]) -> dict[str, DataRecord]:
    """The fields "train" and "test" of a kept file."""
    return {key: DataRecord(**content[key]) for key in ("train", "test")}


def _read_row(content: dict[str, Any]) -> RowResult:
    scores = content["scores"]
    if scores is not None:
        scores = {
            pairs: {column: SeedScores(tuple(values)) for column, values in columns.items()}
            for pairs, columns in scores.items()
        }
    runs = tuple(RunRecord(**run) for run in content["runs"])
    return RowResult(tuple(content["cells"]), content["paper"], scores, content["llm"], runs)

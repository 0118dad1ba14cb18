"""A reproduced curve as typed values, and as a compact JSON file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from semantic_cc.reproduce.table_types import DataRecord, SeedScores, compact_json, read_data, reading_kept


@dataclass(frozen=True)
class CurvePoint:
    """The scores at one value of the x axis.

    Attributes:
        x: the value, in the unit of `CurveFigure.axis`.
        scores: column -> score over seeds.
        runs: for each seed, the name of the run's folder below ``--out``.
    """

    x: float
    scores: dict[str, SeedScores]
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Curve:
    """One line of a figure: its name, and its points in the order of x."""

    name: str
    points: tuple[CurvePoint, ...]


@dataclass(frozen=True)
class CurveFigure:
    """A figure of curves.

    Attributes:
        figure: fig-data or fig-convergence.
        title: what it shows.
        axis: name and unit of the x axis.
        columns: names of the scores, each a panel.
        scale: name of the scale.
        seeds: the seeds of each point.
        command: the command line that creates the figure.
        train: the training dataset.
        test: the dataset whose test split was scored.
        curves: the lines.
        notes: conditions of the scores.
    """

    figure: str
    title: str
    axis: str
    columns: tuple[str, ...]
    scale: str
    seeds: tuple[int, ...]
    command: str
    train: DataRecord
    test: DataRecord
    curves: tuple[Curve, ...]
    notes: tuple[str, ...]

    def to_json(self) -> str:
        """JSON text for `read_curves`, with one line per field, curve and note."""
        content = asdict(self)
        for curve in content["curves"]:
            for point in curve["points"]:
                point["scores"] = {column: score["values"] for column, score in point["scores"].items()}
        return compact_json(content)


def read_curves(path: Path) -> CurveFigure:
    """Reads curves from a JSON file that `CurveFigure.to_json` wrote.

    Raises:
        InputError: the file is missing, or contains no curves.
    """
    with reading_kept(path, "curves", "contains no curves"):
        content = json.loads(path.read_text())
        tuples = {key: tuple(content[key]) for key in ("columns", "seeds", "notes")}
        curves = tuple(
            Curve(own["name"], tuple(map(_read_point, own["points"]))) for own in content["curves"]
        )
        return CurveFigure(**{**content, **tuples, **read_data(content), "curves": curves})


def _read_point(content: dict[str, Any]) -> CurvePoint:
    scores = {column: SeedScores(tuple(values)) for column, values in content["scores"].items()}
    return CurvePoint(content["x"], scores, tuple(content["runs"]))

"""A table of the paper: runs what is missing and collects the scores over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from semantic_cc.reproduce.experiment_runs import FinishedRun, Workshop, scored, trained
from semantic_cc.reproduce.paper_tables import TABLES, PaperTable, Row
from semantic_cc.reproduce.table_notes import comparison, row_order, run_notes
from semantic_cc.reproduce.table_types import (
    PAIR_SETS,
    DataRecord,
    PairSet,
    RowResult,
    RunRecord,
    SeedScores,
    TableResult,
)
from semantic_cc.training.state import leaves

BASELINES = {
    "always_same": "always 'the scene is the same as before'",
    "true_flag": "true flag, one fixed sentence",
}
"""Answers that read no image: key of `semantic_cc.metrics.report` -> name in the table."""


def reproduce_table(name: str, shop: Workshop, seeds: int) -> TableResult:
    """Trains and scores the runs of a table that are missing, and collects their scores.

    Args:
        name: a key of `TABLES`.
        shop: where the runs are kept.
        seeds: number of seeds: 0, 1, ...

    Raises:
        As `trained` and `scored`.
    """
    table = TABLES[name]
    shop.require_truth(table.kind)
    rows, reports, runs = [], [], []
    for row in table.rows:
        title = f"{name}, {' '.join(row.cells)}"
        own = [trained(shop, row, seed, f"{title}, seed {seed}") for seed in range(seeds) if row.here]
        scores = [scored(shop, run, table.kind, f"{title}, seed {seed}") for seed, run in enumerate(own)]
        rows.append(_row(table, row, own, scores))
        runs += own
        reports += scores
    first = reports[0]
    return TableResult(
        table=name,
        title=table.title,
        heads=table.heads,
        columns=(*table.columns, "flag") if table.kind == "captions" else tuple(table.columns),
        scale=shop.scale,
        seeds=tuple(range(seeds)),
        command=_command(name, shop, seeds),
        train=DataRecord(" ".join(shop.data), runs[0].facts["data"]),
        test=DataRecord(first["data"], first["data_digest"], first["pairs"]),
        rows=tuple(rows),
        baselines=_baselines(table, first) if table.kind == "captions" else {},
        notes=(*run_notes(table, shop, runs, reports), *row_order(table, rows), *comparison(table, rows)),
    )


def _command(name: str, shop: Workshop, seeds: int) -> str:
    words = [
        "semantic-cc reproduce",
        name,
        "--scale",
        shop.scale,
        "--seeds",
        str(seeds),
        "--data",
        *shop.data,
    ]
    if shop.test != shop.data:
        words += ["--test", *shop.test]
    if shop.masks != shop.test:
        words += ["--masks", *shop.masks]
    return " ".join([*words, *(f"--{key} {value}" for key, value in leaves(shop.flags))])


def _row(
    table: PaperTable, row: Row, runs: Sequence[FinishedRun], reports: Sequence[dict[str, Any]]
) -> RowResult:
    paper = dict(zip(table.columns, row.paper, strict=True))
    if not runs:
        return RowResult(row.cells, paper)
    model = runs[0].config.model
    pair_sets = PAIR_SETS if table.kind == "captions" else ("all",)
    return RowResult(
        row.cells,
        paper,
        scores={
            pairs: _over_seeds([_scores(table, report, pairs) for report in reports]) for pairs in pair_sets
        },
        llm=model.llm.name if table.kind == "captions" and model.has_llm else None,
        runs=tuple(
            RunRecord(
                run=run.folder.name,
                model=report["model"]["digest"],
                code=run.facts["code"],
                device=run.facts["device"],
                pairs_visited=run.facts["pairs"],
            )
            for run, report in zip(runs, reports, strict=True)
        ),
    )


def _scores(table: PaperTable, report: dict[str, Any], pairs: PairSet) -> dict[str, float | None]:
    """Column -> score of one evaluation; empty for a set without pairs."""
    if table.kind == "masks":
        return {column: report["change"]["building"][score] for column, score in table.columns.items()}
    scores = report["captions"][pairs]
    return _caption_columns(table, scores) if scores["count"] else {}


def _caption_columns(table: PaperTable, scores: dict[str, Any]) -> dict[str, float | None]:
    columns = {column: scores[score] for column, score in table.columns.items()}
    return {**columns, "flag": scores["flag_accuracy"]}


def _over_seeds(by_seed: Sequence[Mapping[str, float | None]]) -> dict[str, SeedScores]:
    return {
        column: SeedScores(tuple(value for scores in by_seed if (value := scores[column]) is not None))
        for column in by_seed[0]
    }


def _baselines(
    table: PaperTable, report: dict[str, Any]
) -> dict[str, dict[PairSet, dict[str, float | None]]]:
    baselines = {name: report["captions"]["baselines"][name] for name in BASELINES}
    return {
        name: {pairs: _caption_columns(table, own[pairs]) for pairs in PAIR_SETS if own[pairs]["count"]}
        for name, own in baselines.items()
        if own is not None
    }

"""Runs what a table of the paper needs and collects the scores over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.metrics.caption_report import PartScores
from semantic_cc.metrics.change import ClassScore
from semantic_cc.reproduce.experiment_runs import FinishedRun, ReproductionSetup, scored, trained
from semantic_cc.reproduce.kept_evaluation import KeptEvaluation
from semantic_cc.reproduce.paper_tables import TABLES, PaperTable, Row
from semantic_cc.reproduce.retrieval_floor import retrieval_floor
from semantic_cc.reproduce.scales import SCALES
from semantic_cc.reproduce.scene_masks import scene_scores, scenes_of
from semantic_cc.reproduce.table_notes import below_floors, comparison, row_order, run_notes, undecided
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
    "best_true_flag": "true flag, the best fixed sentence",
    "retrieval": "retrieval",
}
"""Floors below a table: key -> name. All but `retrieval` use no image, and are keys of a `CaptionReport`."""
FLOORS = ("best_true_flag", "retrieval")
"""Floors that the rows of Table I are compared with."""


def reproduce_table(name: str, setup: ReproductionSetup, seeds: int) -> TableResult:
    """Trains and scores the missing runs of a table, and collects their scores.

    Args:
        name: a key of `TABLES`.
        setup: the settings that all runs share.
        seeds: number of seeds: 0, 1, ...

    Raises:
        As `trained` and `scored`.
    """
    table = TABLES[name]
    setup.require_truth(table.kind)
    if table.kind == "masks" and setup.scenes:
        next(scenes_of(open_dataset(setup.scenes, "test")))
    rows, evaluations, runs = [], [], []
    for row in table.rows:
        title = f"{name}, {' '.join(row.cells)}"
        own = [trained(setup, row, seed, f"{title}, seed {seed}") for seed in range(seeds)]
        own_evaluations = [
            scored(setup, run, table.kind, f"{title}, seed {seed}") for seed, run in enumerate(own)
        ]
        result = _row(table, row, own, own_evaluations)
        if table.kind == "masks" and setup.scenes:
            result = _with_scenes(table, result, [scene_scores(setup, run, title) for run in own])
        rows.append(result)
        runs += own
        evaluations += own_evaluations
    first = evaluations[0]
    baselines = _baselines(table, first)
    if name == "table1" and SCALES[setup.scale].frozen_encoder:
        floor = retrieval_floor(setup, runs[0])
        baselines["retrieval"] = {pairs: _caption_columns(table, part) for pairs, part in floor.items()}
    return TableResult(
        table=name,
        title=table.title,
        heads=table.heads,
        columns=(*table.columns, "flag") if table.kind == "captions" else tuple(table.columns),
        scale=setup.scale,
        seeds=tuple(range(seeds)),
        command=command_of(name, setup, seeds),
        train=DataRecord(" ".join(setup.data), runs[0].facts["data"]),
        test=DataRecord(" ".join(setup.scored_data(table.kind)), first.data_digest, first.pairs),
        rows=tuple(rows),
        baselines=baselines,
        notes=(
            *run_notes(table, setup, runs, evaluations),
            *row_order(table, rows),
            *undecided(table, rows, max(run.facts["pairs"] for run in runs)),
            *comparison(table, rows),
            *below_floors(
                table, rows, {BASELINES[key]: baselines[key] for key in FLOORS if key in baselines}
            ),
            table.shows,
        ),
    )


def command_of(name: str, setup: ReproductionSetup, seeds: int) -> str:
    """The command line that reproduces a table or a figure with these settings, but for `--out`."""
    words = [
        "semantic-cc reproduce",
        name,
        "--scale",
        setup.scale,
        "--seeds",
        str(seeds),
        "--data",
        *setup.data,
    ]
    if setup.test != setup.data:
        words += ["--test", *setup.test]
    if setup.masks != setup.test:
        words += ["--masks", *setup.masks]
    if setup.scenes:
        words += ["--scenes", *setup.scenes]
    return " ".join([*words, *(f"--{key} {value}" for key, value in leaves(setup.flags))])


def _row(
    table: PaperTable, row: Row, runs: Sequence[FinishedRun], evaluations: Sequence[KeptEvaluation]
) -> RowResult:
    model = runs[0].config.model
    pair_sets = PAIR_SETS if table.kind == "captions" else ("all",)
    return RowResult(
        row.cells,
        dict(zip(table.columns, row.paper, strict=True)),
        scores={
            pairs: _over_seeds([_scores(table, evaluation, pairs) for evaluation in evaluations])
            for pairs in pair_sets
        },
        llm=model.llm.name if table.kind == "captions" and model.has_llm else None,
        runs=tuple(
            RunRecord(
                run=run.folder.name,
                model=evaluation.model_digest,
                code=run.facts["code"],
                device=run.facts["device"],
                pairs_visited=run.facts["pairs"],
            )
            for run, evaluation in zip(runs, evaluations, strict=True)
        ),
    )


def _with_scenes(table: PaperTable, row: RowResult, by_seed: Sequence[ClassScore]) -> RowResult:
    """The row with its scores on whole scenes."""
    columns = [{column: getattr(score, name) for column, name in table.columns.items()} for score in by_seed]
    return replace(row, scores={**(row.scores or {}), "scenes": _over_seeds(columns)})


def _scores(table: PaperTable, evaluation: KeptEvaluation, pairs: PairSet) -> dict[str, float | None]:
    """Column -> score of one evaluation; empty for a set without pairs."""
    if table.kind == "masks":
        return {column: getattr(evaluation.building, score) for column, score in table.columns.items()}
    assert evaluation.captions is not None  # all rows of a caption table predict sentences
    return _caption_columns(table, evaluation.captions.scores[pairs])


def _caption_columns(table: PaperTable, part: PartScores) -> dict[str, float | None]:
    """Column -> score; empty for a set without pairs."""
    if not part.count:
        return {}
    columns = {column: part.scores[score] for column, score in table.columns.items()}
    return {**columns, "flag": part.flag_accuracy}


def _over_seeds(by_seed: Sequence[Mapping[str, float | None]]) -> dict[str, SeedScores]:
    return {
        column: SeedScores(tuple(value for scores in by_seed if (value := scores[column]) is not None))
        for column in by_seed[0]
    }


def _baselines(
    table: PaperTable, evaluation: KeptEvaluation
) -> dict[str, dict[PairSet, dict[str, float | None]]]:
    """Name -> set of pairs -> column -> score; empty for a table of masks."""
    if table.kind == "masks":
        return {}
    assert evaluation.captions is not None  # all rows of a caption table predict sentences
    baselines = {name: evaluation.captions.baselines.get(name) for name in BASELINES}
    return {
        name: {pairs: columns for pairs in PAIR_SETS if (columns := _caption_columns(table, own[pairs]))}
        for name, own in baselines.items()
        if own is not None
    }

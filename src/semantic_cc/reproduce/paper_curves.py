"""Curves of the full model: scores over the number of training pairs, and over the epochs of each training strategy.

    fig-data          10, 25, 50 and 100 % of the training pairs, with equal visits
    fig-convergence   checkpoints of one, two and three stages

The points at 100 % and after the last epoch are the runs of the tables. The paper argues with data efficiency and
convergence, but prints no curves of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from semantic_cc.config import Config, ConfigValues, merge
from semantic_cc.data import subset_file
from semantic_cc.errors import ConfigError
from semantic_cc.figures.matplotlib_figure import new_figure
from semantic_cc.files import write_files
from semantic_cc.reproduce.curve_types import Curve, CurveFigure, CurvePoint
from semantic_cc.reproduce.experiment_runs import FinishedRun, ReproductionSetup, scored, trained
from semantic_cc.reproduce.kept_evaluation import KeptEvaluation
from semantic_cc.reproduce.paper_tables import OURS, TABLES, Row
from semantic_cc.reproduce.scales import MAIN, SCALES, configured
from semantic_cc.reproduce.shared_encoder import on_shared_encoder
from semantic_cc.reproduce.table_results import command_of
from semantic_cc.reproduce.table_types import DataRecord, SeedScores

FRACTIONS = (0.1, 0.25, 0.5, 1.0)
"""Shares of the training pairs."""
CHECKPOINTS = 4
"""Points of a convergence curve, or as many as there are epochs."""


@dataclass(frozen=True)
class _Scored:
    run: FinishedRun
    evaluation: KeptEvaluation


def reproduce_curves(name: str, setup: ReproductionSetup, seeds: int) -> CurveFigure:
    """Trains and scores the missing runs of a figure of curves, and collects their scores.

    Args:
        name: fig-data or fig-convergence.
        setup: the settings that all runs share.
        seeds: number of seeds: 0, 1, ...

    Raises:
        ConfigError: fig-data with several training datasets; or matplotlib is not installed.
        As `trained` and `scored`.
    """
    new_figure(1, 1)  # refuses before any training if it cannot be drawn
    setup.require_truth("captions")
    by_curve = _over_pairs(setup, seeds) if name == "fig-data" else _over_epochs(setup, seeds)
    curves = tuple(
        Curve(curve, tuple(_point(x, own) for x, own in points.items())) for curve, points in by_curve.items()
    )
    every = [own for points in by_curve.values() for at in points.values() for own in at]
    full = list(next(iter(by_curve.values())).values())[-1][0]
    visits = sorted({own.run.facts["pairs"] for own in every})
    return CurveFigure(
        figure=name,
        title=_TITLES[name],
        axis="training pairs, %" if name == "fig-data" else "epochs of the stages",
        columns=tuple(curves[0].points[-1].scores),
        scale=setup.scale,
        seeds=tuple(range(seeds)),
        command=command_of(name, setup, seeds),
        train=DataRecord(" ".join(setup.data), full.run.facts["data"]),
        test=DataRecord(" ".join(setup.test), full.evaluation.data_digest, full.evaluation.pairs),
        curves=curves,
        notes=(
            f"scale {setup.scale}: {SCALES[setup.scale].description}",
            f"pairs visited by a run, all stages: {' to '.join(f'{n:,}' for n in sorted({visits[0], visits[-1]}))}",
            f"decoding: {full.evaluation.decoding}; trained on {full.run.facts['device']}",
            _CONDITIONS[name],
        ),
    )


_TITLES = {
    "fig-data": "Semantic-CC: scores over the number of training pairs, equal visits",
    "fig-convergence": "Semantic-CC: scores during training in one, two and three stages",
}
_CONDITIONS = {
    "fig-data": "the subsets of a seed are nested, drawn by seed among changed and among unchanged pairs; the image "
    "encoder is the same at each point",
    "fig-convergence": "the learning rate falls over all epochs, so an earlier point is not a shorter training",
}


def _over_pairs(setup: ReproductionSetup, seeds: int) -> dict[str, dict[float, list[_Scored]]]:
    """Curve -> per cent of the training pairs -> the runs of the seeds."""
    if len(setup.data) > 1:
        raise ConfigError("fig-data takes parts of one training dataset; give one --data")
    points: dict[float, list[_Scored]] = {}
    for fraction in FRACTIONS:
        points[100 * fraction] = []
        for seed in range(seeds):
            title = f"fig-data, {fraction:.0%} of the pairs, seed {seed}"
            own, row = setup, OURS
            if fraction < 1:
                own = replace(setup, data=(_subset(setup, fraction, seed),))
                config = configured(SCALES[setup.scale], OURS, setup.data, seed, setup.flags)
                same = merge(_equal_visits(config, fraction), same_encoder(setup, config))
                row = replace(OURS, overrides=same)
            run = trained(own, row, seed, title)
            points[100 * fraction].append(_Scored(run, scored(setup, run, "captions", title)))
    return {"Semantic-CC": points}


def same_encoder(setup: ReproductionSetup, config: Config) -> ConfigValues:
    """Values that give a run on a part of the pairs the frozen encoder of the run on all pairs.

    Args:
        setup: scale, data and folder of the run on all pairs.
        config: its configuration.

    Returns:
        Configuration values; empty at a scale that freezes no shared encoder.

    Raises:
        As `on_shared_encoder`.
    """
    if not SCALES[setup.scale].frozen_encoder:
        return {}
    full = on_shared_encoder(config, setup.out, setup.digest(setup.data, "train", "val"), setup.say)
    return {"model": {"encoder": {"weights": full.model.encoder.weights}}}


def _subset(setup: ReproductionSetup, fraction: float, seed: int) -> str:
    """The path of the dataset with that part of the training pairs; writes it if it is missing."""
    path = setup.out.resolve() / "subsets" / f"{Path(setup.data[0]).name}-{100 * fraction:g}-seed{seed}.json"
    content = subset_file.dump(Path(setup.data[0]).resolve(), path, fraction=fraction, seed=seed)
    if not path.exists() or path.read_bytes() != content:
        write_files(path.parent, {path.name: content})
    return str(path)


def _equal_visits(config: Config, fraction: float) -> dict[str, Any]:
    """Values with which a run on a part of the pairs visits as many as `config` does on all of them."""
    phases: dict[str, dict[str, Any]] = {}
    for name, phase in config.phases.items():
        if phase.kind == "encoder":  # shared by all points
            phases[name] = {"data": config.data}
        elif phase.stages and all(stage.items is not None for stage in phase.stages.values()):
            phases[name] = {"source_weights": [1.0]}  # pairs repeat within an epoch
        elif phase.kind != "calibration" and phase.items is None:
            phases[name] = {"epochs": math.ceil(phase.epochs / fraction)}
    return {"phases": phases}


def _over_epochs(setup: ReproductionSetup, seeds: int) -> dict[str, dict[float, list[_Scored]]]:
    """Strategy -> epoch -> the runs of the seeds."""
    curves: dict[str, dict[float, list[_Scored]]] = {}
    for row in TABLES["table4"].rows:
        if row.paper[-1] is None:  # the paper's strategies only
            continue
        epochs = configured(SCALES[setup.scale], row, setup.data, 0, setup.flags).phases[MAIN].epochs
        every = math.ceil(epochs / CHECKPOINTS)
        points: dict[float, list[_Scored]] = {epoch: [] for epoch in (*range(every, epochs, every), epochs)}
        for seed in range(seeds):
            title = f"fig-convergence, {row.cells[0]}, seed {seed}"
            kept = _with_checkpoints(setup, row, seed, title, every if epochs > every else None)
            for epoch in points:
                final = epoch == epochs
                run = trained(setup, row, seed, title) if final else kept
                where = f"{title}, epoch {epoch:g}"
                evaluation = scored(setup, run, "captions", where, epoch=None if final else int(epoch))
                points[epoch].append(_Scored(run, evaluation))
        curves[row.cells[0]] = points
    return curves


def _with_checkpoints(
    setup: ReproductionSetup, row: Row, seed: int, title: str, every: int | None
) -> FinishedRun:
    """The run of a row with its checkpoints; trains a repetition if a table's command trained it without them."""
    run = trained(setup, row, seed, title, keep_every=every)
    if every is None or run.checkpoint(every).is_dir():
        return run
    return trained(setup, row, seed, title, keep_every=every, suffix="-epochs")


def _point(x: float, own: Sequence[_Scored]) -> CurvePoint:
    by_seed = [_columns(one.evaluation) for one in own]
    scores = {column: SeedScores(tuple(values[column] for values in by_seed)) for column in by_seed[0]}
    return CurvePoint(x, scores, tuple(one.run.folder.name for one in own))


def _columns(evaluation: KeptEvaluation) -> Mapping[str, float]:
    """Column -> score; changed pairs and masks where there are any."""
    assert evaluation.captions is not None  # the full model writes sentences
    parts = evaluation.captions.scores
    columns = {
        "CIDEr": parts["all"].scores.get("CIDEr"),
        "CIDEr of changed pairs": parts["changed"].scores.get("CIDEr") if parts["changed"].count else None,
        "F1 of building masks": None if evaluation.building is None else evaluation.building.f1,
    }
    return {column: value for column, value in columns.items() if value is not None}

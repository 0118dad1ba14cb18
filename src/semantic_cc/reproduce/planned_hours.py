"""The estimated time of the runs of a table or a figure on a device."""

from __future__ import annotations

from collections.abc import Sequence

from semantic_cc.reproduce.experiment_runs import ReproductionSetup
from semantic_cc.reproduce.paper_tables import OURS, TABLES, WITHOUT_CHANGE_TASK, Row
from semantic_cc.reproduce.run_digests import run_digest
from semantic_cc.reproduce.scales import SCALES, configured
from semantic_cc.training.run_estimate import GIB, RunEstimate, estimate_run


def planned(names: Sequence[str], setup: ReproductionSetup, seeds: int, device: str) -> list[str]:
    """One line for each run of one seed, and the total of all seeds; writes nothing.

    A run that several of the tables share is counted once. Finished runs are included; pretraining and evaluations are
    not.

    Args:
        names: of tables or figures.
        setup: scale, data and flags.
        seeds: number of seeds.
        device: a name that `estimate_run` knows.

    Raises:
        As `estimate_run`.
    """
    lines: dict[str, str] = {}
    total = 0.0
    for row in (row for name in names for row in rows_of(name)):
        config = configured(SCALES[setup.scale], row, setup.data, 0, setup.flags)
        digest = run_digest(config, "")
        if digest not in lines:
            plan = estimate_run(config, device)
            total += plan.hours
            lines[digest] = f"{' '.join(row.cells)}: {_described(plan)}"
    many = f"{seeds} seeds" if seeds > 1 else "one seed"
    return [*lines.values(), f"{many} of all rows: {seeds * total:,.1f} hours of runs; {plan.device}"]


def rows_of(name: str) -> list[Row]:
    """The rows whose runs a table or a figure needs."""
    rows = {
        "fig6": TABLES["table1"].rows,
        "fig7": (WITHOUT_CHANGE_TASK, OURS),
        "fig8": (WITHOUT_CHANGE_TASK, OURS),
        "fig9": (OURS,),
    }
    return list(rows[name] if name in rows else TABLES[name].rows)


def _described(plan: RunEstimate) -> str:
    steps = ", ".join(
        f"{row.stage} {row.steps:,} of {row.operations / 1e9:,.0f} GFLOP and {(row.memory or 0) / GIB:.1f} GiB"
        for row in plan.phases
        if row.operations is not None
    )
    return f"{plan.hours:,.1f} hours, {plan.memory / GIB:.1f} GiB at the peak; {steps} a step"

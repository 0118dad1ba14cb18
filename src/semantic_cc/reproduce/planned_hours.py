"""The estimated time of the runs of a table or a figure on a device."""

from __future__ import annotations

from semantic_cc.reproduce.experiment_runs import ReproductionSetup
from semantic_cc.reproduce.paper_tables import OURS, TABLES, WITHOUT_CHANGE_TASK, Row
from semantic_cc.reproduce.scales import SCALES, configured
from semantic_cc.training.run_estimate import GIB, RunEstimate, estimate_run


def planned(name: str, setup: ReproductionSetup, device: str) -> list[str]:
    """One line for each run of one seed, and their total; writes nothing.

    Finished runs are included; pretraining and evaluations are not.

    Args:
        name: of a table or a figure.
        setup: scale, data and flags.
        device: a name that `estimate_run` knows.

    Raises:
        As `estimate_run`.
    """
    lines, total = [], 0.0
    for row in rows_of(name):
        plan = estimate_run(configured(SCALES[setup.scale], row, setup.data, 0, setup.flags), device)
        total += plan.hours
        lines.append(f"{' '.join(row.cells)}: {_described(plan)}")
    return [*lines, f"one seed of all rows: {total:,.1f} hours of runs; {plan.device}"]


def rows_of(name: str) -> list[Row]:
    """The rows whose runs a table or a figure needs."""
    rows = {
        "fig6": TABLES["table1"].rows,
        "fig7": (WITHOUT_CHANGE_TASK, OURS),
        "fig8": (WITHOUT_CHANGE_TASK, OURS),
        "fig9": (OURS,),
    }
    return [row for row in (rows[name] if name in rows else TABLES[name].rows) if row.here]


def _described(plan: RunEstimate) -> str:
    steps = ", ".join(
        f"{row.stage} {row.steps:,} of {row.operations / 1e9:,.0f} GFLOP and {(row.memory or 0) / GIB:.1f} GiB"
        for row in plan.phases
        if row.operations is not None
    )
    return f"{plan.hours:,.1f} hours, {plan.memory / GIB:.1f} GiB at the peak; {steps} a step"

"""What a table's or a figure's runs will take on a device, before anything starts."""

from __future__ import annotations

from semantic_cc.reproduce.experiment_runs import Workshop
from semantic_cc.reproduce.paper_tables import OURS, TABLES, WITHOUT_CHANGE_TASK, Row
from semantic_cc.reproduce.scales import SCALES, configured
from semantic_cc.training.run_estimate import GIB, RunEstimate, estimate_run


def planned(name: str, shop: Workshop, device: str) -> list[str]:
    """A line for each run of one seed, and their sum; nothing is written.

    Pretrainings and evaluations are not in it, and finished runs are.

    Args:
        name: of a table or a figure.
        shop: scale, data and flags.
        device: a name that `estimate_run` knows.

    Raises:
        As `estimate_run`.
    """
    lines, total = [], 0.0
    for row in rows_of(name):
        plan = estimate_run(configured(SCALES[shop.scale], row, shop.data, 0, shop.flags), device)
        total += plan.hours
        lines.append(f"{' '.join(row.cells)}: {_told(plan)}")
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


def _told(plan: RunEstimate) -> str:
    steps = ", ".join(
        f"{stage.name} {stage.steps:,} of {stage.operations / 1e9:,.0f} GFLOP and {stage.memory / GIB:.1f} GiB"
        for stage in plan.stages
    )
    return f"{plan.hours:,.1f} hours, {plan.memory / GIB:.1f} GiB at the peak; {plan.epochs} epochs of {steps} a step"

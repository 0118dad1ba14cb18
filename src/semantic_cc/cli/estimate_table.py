"""Prints what a training run will take (`train --plan`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from semantic_cc.cli.console import say, show, sizes_table, stdout_for_us

if TYPE_CHECKING:
    from rich.table import Table

    from semantic_cc.config import Config
    from semantic_cc.training.run_estimate import RunEstimate


def show_plan(config: Config, device: str) -> None:
    """Tables of parts and stages, and the sums.

    Args:
        config: the run.
        device: a name that `estimate_run` knows, or here.

    Raises:
        As `estimate_run`.
    """
    with stdout_for_us():
        from semantic_cc.training.run_estimate import DEVICES, GIB, estimate_run

        plan = estimate_run(config, None if device == "here" else device)
    show(sizes_table(plan.parts))
    show(_stages(plan))
    devices = config.hardware.devices * config.hardware.nodes
    say(f"{plan.epochs} epochs, {plan.steps:,} steps, {plan.hours:.1f} hours on {devices} x {plan.device}")
    say(
        f"memory of each device: {plan.memory / GIB:.1f} GiB, of which {plan.held / GIB:.1f} for weights, AdamW and "
        "average; a step's own is counted in float32, and an allocator takes some more"
    )
    if plan.cached:
        say(f"features kept in memory: {plan.cached / GIB:.1f} GiB at most")
    if device != "here" and plan.memory > DEVICES[device].memory * GIB:
        say(
            f"{device} has {DEVICES[device].memory} GiB: try train.gradient_checkpointing, train.accumulate, or "
            "hardware.strategy fsdp on several devices"
        )


def _stages(plan: RunEstimate) -> Table:
    from rich.box import SIMPLE
    from rich.table import Table

    from semantic_cc.training.run_estimate import GIB

    table = Table("stage, each epoch", box=SIMPLE)
    for name in ("items", "visits", "steps", "GFLOP a step", "GiB a step", "seconds a step"):
        table.add_column(name, justify="right")
    for stage in plan.stages:
        table.add_row(
            stage.name, f"{stage.items:,}", f"{stage.visits:,}", f"{stage.steps:,}", f"{stage.operations / 1e9:,.0f}",
            f"{stage.memory / GIB:.2f}", f"{stage.seconds:.3f}",
        )  # fmt: skip
    return table

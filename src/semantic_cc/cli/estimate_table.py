"""Prints the estimated cost of a training run (`train --plan`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from semantic_cc.cli.console import say, show, sizes_table, stdout_for_us

if TYPE_CHECKING:
    from rich.table import Table

    from semantic_cc.config import Config
    from semantic_cc.training.run_estimate import RunEstimate


def show_plan(config: Config, device: str, phase: str | None = None, first: str | None = None) -> None:
    """Prints tables of the model's parts and of the phases, with totals.

    Args:
        config: the run.
        device: a name that `estimate_run` knows, or here.
        phase, first: which phases, as in `train`.

    Raises:
        As `estimate_run`.
    """
    with stdout_for_us():
        from semantic_cc.training.known_devices import DEVICES
        from semantic_cc.training.run_estimate import GIB, estimate_run

        plan = estimate_run(config, None if device == "here" else device, phase, first)
    show(sizes_table(plan.parts))
    show(_phases(plan))
    for name, why in plan.left_out.items():
        say(f"phase {name} is left out: {why}")
    devices = config.hardware.devices * config.hardware.nodes
    unknown = dict.fromkeys(row.phase for row in plan.phases if row.hours is None)
    without = f", without {', '.join(unknown)} (time these with --plan on the machine)" if unknown else ""
    say(f"{plan.steps:,} steps, {plan.hours:.2f} hours on {devices} x {plan.device}{without}")
    say(
        f"memory of each device: {plan.memory / GIB:.1f} GiB, of which {plan.held / GIB:.1f} for weights, AdamW and "
        "average; a step's own is counted in float32, and an allocator takes some more"
    )
    if plan.cached:
        say(f"features kept in memory: {plan.cached / GIB:.1f} GiB at most")
    if device != "here" and plan.memory > DEVICES[device].memory * GIB:
        say(
            f"{device} has {DEVICES[device].memory} GiB: try train.gradient_checkpointing, train.accumulate, or "
            "hardware.sharding fsdp on several devices"
        )


def _phases(plan: RunEstimate) -> Table:
    from rich.box import SIMPLE
    from rich.table import Table

    from semantic_cc.training.run_estimate import GIB

    def number(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    table = Table("phase", "stage", box=SIMPLE)
    for name in ("items an epoch", "steps", "GFLOP a step", "GiB a step", "seconds a step", "hours"):
        table.add_column(name, justify="right")
    for row in plan.phases:
        table.add_row(
            row.phase, row.stage, f"{row.items:,}", f"{row.steps:,}",
            number(None if row.operations is None else row.operations / 1e9, ",.0f"),
            number(None if row.memory is None else row.memory / GIB, ".2f"),
            number(row.seconds, ".3f"), number(row.hours, ".2f"),
        )  # fmt: skip
    return table

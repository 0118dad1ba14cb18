"""The throughput of a batch, and the time left."""

from __future__ import annotations

from datetime import timedelta

from semantic_cc.batch.batch_run import BatchProgress


def throughput_line(progress: BatchProgress, seconds: float) -> str:
    """For example "37 of 500 pairs, 2 failed, 41.2 pairs/min, ETA 0:11:14".

    Args:
        progress: of the batch.
        seconds: since this run began its work; pairs that earlier runs finished do not count.
    """
    parts = [f"{progress.before + progress.worked} of {progress.pairs} pairs"]
    if progress.failed:
        parts.append(f"{progress.failed} failed")
    if progress.worked and seconds > 0:
        rate = progress.worked / seconds
        left = progress.pairs - progress.before - progress.worked
        parts += [f"{60 * rate:.3g} pairs/min", f"ETA {timedelta(seconds=round(left / rate))}"]
    return ", ".join(parts)

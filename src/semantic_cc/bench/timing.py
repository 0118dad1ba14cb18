"""Times of alternatives that take turns, so that a busy minute of the machine hits all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from semantic_cc.data.progress_callback import Progress


@dataclass(frozen=True)
class Timing:
    """Times of one piece of work.

    Attributes:
        median, p95: seconds; p95 is the 95th percentile by nearest rank.
        runs: number of runs.
    """

    median: float
    p95: float
    runs: int

    @classmethod
    def of(cls, seconds: list[float]) -> Timing:
        """Summarises the seconds of each run."""
        ordered = sorted(seconds)
        rank = max(0, -(-95 * len(ordered) // 100) - 1)
        return cls(statistics.median(ordered), ordered[rank], len(ordered))


def time_in_turns(
    work: Mapping[str, Callable[[], object]], rounds: int, progress: Progress | None = None
) -> dict[str, Timing]:
    """Runs every piece of work once per round, after one run that is not counted.

    Args:
        work: name -> a call without arguments.
        rounds: number of counted rounds, at least 1.
        progress: called with the runs done and all runs.
    """
    seconds: dict[str, list[float]] = {name: [] for name in work}
    done, total = 0, (rounds + 1) * len(work)
    for number in range(rounds + 1):
        for name, call in work.items():
            start = time.perf_counter()
            call()
            if number:
                seconds[name].append(time.perf_counter() - start)
            done += 1
            if progress:
                progress(done, total)
    return {name: Timing.of(own) for name, own in seconds.items()}

"""Progress on stderr: a bar with the ETA in a terminal, otherwise a line every half minute."""

from __future__ import annotations

import sys
from datetime import timedelta
from time import monotonic
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

PLAIN_EVERY = 30.0
"""Minimum seconds between plain lines."""


class Reporter:
    """Shows stage, epoch, losses, seconds per item and ETA.

    Args:
        phase: name of the phase.
        total: steps of the phase.
        done: steps taken before this process.
    """

    def __init__(self, phase: str, total: int, done: int) -> None:
        self.phase, self.total, self.done, self._first = phase, total, done, done
        self._printed = monotonic()
        self._spent = 0.0
        console = Console(stderr=True)
        self._bar = (
            Progress(BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), console=console)
            if console.is_terminal
            else None
        )
        self._task = self._bar.add_task("", total=total, completed=done) if self._bar else None

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def say(self, line: str) -> None:
        """Prints a line above the bar."""
        if self._bar:
            self._bar.console.print(line, markup=False, highlight=False)
        else:
            sys.stderr.write(line + "\n")

    def step(
        self, stage: str, epoch: int, epochs: int, losses: dict[str, float], seconds: float, items: int
    ) -> None:
        """Reports one step: its losses, seconds and number of items. `epoch` counts from 1."""
        self.done += 1
        self._spent += seconds
        left = (self.total - self.done) * self._spent / (self.done - self._first)
        shown = " ".join(f"{name} {value:.4f}" for name, value in losses.items())
        line = (
            f"epoch {epoch}/{epochs} {stage}: {shown}{', ' if shown else ''}{seconds / items:.3f} s/item, "
            f"ETA {timedelta(seconds=round(left))}"
        )
        now = monotonic()
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=self.done, description=line)
        elif now - self._printed >= PLAIN_EVERY or self.done == self.total:
            self._printed = now
            sys.stderr.write(f"{self.phase}: step {self.done}/{self.total} {line}\n")
            sys.stderr.flush()

"""Progress of long work on stderr: bars on a terminal, elsewhere a line every half minute."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

LINE_SECONDS = 30.0
"""Seconds between two lines where stderr is no terminal."""

Advance = Callable[[str, int, int], None]
"""Called with the name of a step, how much of it is done, and of how much."""


@contextmanager
def progress_of_steps() -> Iterator[Advance]:
    """Shows the steps of a piece of work, each from its first report on.

    Yields:
        What to call with ``(step, done, of all)``.

    Example:
        with progress_of_steps() as advance:
            for number, path in enumerate(paths, 1):
                convert(path)
                advance("files", number, len(paths))
    """
    if sys.stderr.isatty():
        with _bars() as advance:
            yield advance
        return
    steps = _Steps()
    with lines_while_working(steps.line):
        yield steps.advance


@contextmanager
def lines_while_working(line: Callable[[], str]) -> Iterator[None]:
    """Writes `line()` to stderr every `LINE_SECONDS`, from a thread of its own, until the block ends."""
    ended = threading.Event()

    def write() -> None:
        while not ended.wait(LINE_SECONDS):
            sys.stderr.write(f"{line()}\n")
            sys.stderr.flush()

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class _Steps:
    """The latest report, as a line with the time left."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._last: tuple[str, int, int] | None = None
        self._first = 0

    def advance(self, step: str, done: int, total: int) -> None:
        if self._last is None or self._last[0] != step:
            self._start, self._first = time.monotonic(), done
        self._last = step, done, total

    def line(self) -> str:
        seconds = time.monotonic() - self._start
        if self._last is None:
            return f"working for {timedelta(seconds=round(seconds))}"
        step, done, total = self._last
        text = f"{step}: {done:,} of {total:,}"
        if done > self._first:
            left = seconds * (total - done) / (done - self._first)
            text += f", {timedelta(seconds=round(left))} left"
        return text


@contextmanager
def _bars() -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True)) as bars:

        def advance(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(step, total=total)
            bars.update(tasks[step], completed=done, total=total)

        yield advance

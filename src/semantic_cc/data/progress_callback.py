"""Telling how far a pass over a dataset is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with the number of items done and of all items."""


def counter(total: int, progress: Progress | None) -> Callable[[], None]:
    """What to call after each of `total` items."""
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, total)

    return advance

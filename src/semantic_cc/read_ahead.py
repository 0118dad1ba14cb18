"""Reads ahead: the next items of an iterator are made in a thread while the caller works on the present one."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar, cast

T = TypeVar("T")

_END = object()


def read_ahead(items: Iterable[T], ahead: int = 1) -> Generator[T]:
    """Yields `items` in their order; up to `ahead` more are made meanwhile, in one thread.

    The thread sees the caller's context variables. When the caller stops early, an item in the making is finished and
    no further one is begun.

    Args:
        items: made one after another, never two at once.
        ahead: most items that wait for the caller.

    Raises:
        What `items` raises, after all items before it.
    """
    iterator, context = iter(items), copy_context()

    def make() -> object:
        return context.run(next, iterator, _END)

    pool = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
    try:
        waiting = deque(pool.submit(make) for _ in range(ahead))
        while (item := waiting.popleft().result()) is not _END:
            waiting.append(pool.submit(make))
            yield cast("T", item)
    finally:
        pool.shutdown(cancel_futures=True)

"""Child processes."""

from __future__ import annotations

import multiprocessing
import os
import threading


def end_with_parent(_: object = None) -> None:
    """Makes a child process exit when its parent ends, even if killed.

    A PyTorch data worker whose parent was killed may block forever on a pipe, and keeps its parent's locks and pipes.
    For use as `DataLoader(worker_init_fn=)`; the argument is ignored.

    Raises:
        ValueError: this is not a child process.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        raise ValueError("this process has no parent of the multiprocessing module to end with")

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()

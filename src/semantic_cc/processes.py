"""Processes that work for another one."""

from __future__ import annotations

import multiprocessing
import os
import threading


def end_with_parent(_: object = None) -> None:
    """Called in a child process, ends it once its parent is gone, killed or not, whatever it waits for.

    A PyTorch data worker whose parent was killed may wait for ever to hand on what nobody reads, and holds its parent's
    locks and pipes all that time. Fits `DataLoader(worker_init_fn=)`, whose argument it does not need.

    Raises:
        ValueError: this is no child process.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        raise ValueError("this process has no parent of the multiprocessing module to end with")

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()

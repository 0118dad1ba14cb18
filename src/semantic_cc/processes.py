"""Child processes, and the memory of this one."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import sys
import threading

_M_MMAP_THRESHOLD = -3  # of glibc's malloc.h


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


def return_freed_memory() -> None:
    """Makes glibc return freed blocks of a mebibyte or more to the system at once; does nothing with another libc.

    glibc raises its own limit up to 32 MiB as a program frees larger blocks. Blocks of changing sizes, such as the
    keys and values of a language model, then leave holes in the heap: 100 MB of a scene's 1.2 GB.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, 1 << 20)

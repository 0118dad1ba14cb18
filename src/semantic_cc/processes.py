"""Child processes, and the memory of this one."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import sys
import threading
from collections.abc import Mapping

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -2, -3, -4  # of glibc's malloc.h


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
    _set_malloc({_M_MMAP_THRESHOLD: 1 << 20})


def reuse_freed_memory() -> None:
    """Makes glibc keep freed memory for later blocks; does nothing with another libc.

    Otherwise it returns the large blocks of a training step to the system, which hands them out again page by page:
    a seventh of a step's time on a CPU. Blocks of changing sizes leave holes that add up to many gigabytes: call
    `trim_freed_memory` now and then.
    """
    _set_malloc({_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: -1, _M_TOP_PAD: 256 << 20})


def trim_freed_memory() -> None:
    """Returns the memory that is free now to the system; does nothing with another libc than glibc."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


def _set_malloc(values: Mapping[int, int]) -> None:
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        for parameter, value in values.items():
            libc.mallopt(parameter, value)

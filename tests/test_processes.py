"""Processes that work for another one."""

import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import forked

from semantic_cc.processes import end_with_parent


def wait_until(true: Callable[[], object]) -> None:
    ends = time.monotonic() + 30
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.01)


@pytest.mark.parametrize("killed", [True, False])
def test_a_process_ends_with_its_parent(tmp_path: Path, killed: bool) -> None:
    child = tmp_path / "child"

    def work() -> None:
        end_with_parent()
        child.write_text(str(os.getpid()))
        time.sleep(60)

    def parent() -> None:
        forked(work)
        wait_until(lambda: child.exists() and child.read_text())
        if killed:
            time.sleep(60)

    process = forked(parent)
    wait_until(lambda: child.exists() and child.read_text())
    if killed:
        process.kill()
    process.join()
    wait_until(lambda: not alive(int(child.read_text())))


def alive(pid: int) -> bool:
    """Whether a process, which need not be a child of this one, runs: a zombie does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_who_is_nobodys_child_cannot_end_with_its_parent() -> None:
    with pytest.raises(ValueError, match="no parent of the multiprocessing module"):
        end_with_parent()


MAPPED_BLOCKS = """
import ctypes, sys
from semantic_cc.processes import return_freed_memory, reuse_freed_memory
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
libc.mallinfo2.restype = type("Info", (ctypes.Structure,), {
    "_fields_": [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks a b c d e f".split()]})
libc.free(libc.malloc(20 << 20))  # glibc raises its limit to this
if sys.argv[1] == "returned":
    return_freed_memory()
if sys.argv[1] == "reused":
    reuse_freed_memory()
before = libc.mallinfo2().hblks
libc.malloc(int(sys.argv[2]) << 20)
print(libc.mallinfo2().hblks - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="not glibc 2.33 or later")
@pytest.mark.parametrize(
    ("freed", "mebibytes", "mapped"),
    [("default", 2, 0), ("returned", 2, 1), ("default", 64, 1), ("reused", 64, 0)],
)
def test_which_blocks_are_mapped_by_themselves(freed: str, mebibytes: int, mapped: int) -> None:
    """A block that is mapped by itself goes back to the system when it is freed."""
    told = subprocess.run(
        [sys.executable, "-c", MAPPED_BLOCKS, freed, str(mebibytes)],
        capture_output=True,
        check=True,
        text=True,
    )
    assert int(told.stdout) == mapped


HOLES = """
import ctypes
from semantic_cc.processes import reuse_freed_memory, trim_freed_memory
reuse_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes, libc.memset.argtypes = ctypes.c_void_p, [ctypes.c_void_p], [
    ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
blocks = [libc.malloc(8 << 20) for _ in range(16)]
for block in blocks:
    libc.memset(block, 1, 8 << 20)
for block in blocks[:-1]:  # the last one holds the others in the heap
    libc.free(block)
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 >> 20
before = resident()
trim_freed_memory()
print(before - resident())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="not glibc 2.33 or later")
def test_free_memory_below_a_block_in_use_goes_back_to_the_system() -> None:
    told = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, check=True, text=True)
    assert int(told.stdout) >= 100  # of 120 MiB

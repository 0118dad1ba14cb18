"""Processes that work for another one."""

import os
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

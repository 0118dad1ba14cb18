"""Runs functions in forked processes, which need no second import of torch."""

import multiprocessing
import os
import random
import socket
import time
from collections.abc import Callable

from semantic_cc.errors import SemanticCCError

FORK = multiprocessing.get_context("fork")


def forked(work: Callable[[], object], variables: dict[str, str] | None = None) -> multiprocessing.Process:
    """A started process; its exit code is 0, 1 after one of our errors, whose text it prints, or a signal's."""

    def run() -> None:
        os.environ.update(variables or {})
        try:
            work()
        except SemanticCCError as error:
            print(f"refused: {error}", flush=True)
            os._exit(1)
        os._exit(0)  # not through pytest's exit handlers

    process = FORK.Process(target=run)
    process.start()
    return process


def survives_kills(run: Callable[[str], object], outcome: Callable[[str], object], kills: int = 20) -> object:
    """Kills `run`, which goes on where it was, at random moments, until it has been killed `kills` times.

    Every run that gets through must leave what an uninterrupted one leaves.

    Args:
        run: works under a name, a new one for each beginning.
        outcome: what it left under that name.

    Returns:
        The uninterrupted run's outcome.
    """
    started = time.monotonic()
    process = forked(lambda: run("whole"))
    process.join()
    assert process.exitcode == 0
    duration = time.monotonic() - started
    expected = outcome("whole")
    draw, killed, begun = random.Random(0), 0, 0
    while True:
        name = f"killed{begun}"
        process = forked(lambda name=name: run(name))
        if killed < kills:
            process.join(draw.uniform(0, duration))
            killed += process.is_alive()
            process.kill()
        process.join()
        if process.exitcode == 0:  # through; checked, and begun anew for the kills that are left
            assert outcome(name) == expected
            begun += 1
            if killed == kills:
                return expected


def together(works: list[Callable[[], object]]) -> list[int | None]:
    """Runs the processes of one distributed job as torchrun would; their exit codes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "test",
        "WORLD_SIZE": str(len(works)), "LOCAL_WORLD_SIZE": str(len(works)), "GROUP_RANK": "0",
    }  # fmt: skip
    processes = [
        forked(work, {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank, work in enumerate(works)
    ]
    for process in processes:
        process.join(120)
        process.kill()
    return [process.exitcode for process in processes]

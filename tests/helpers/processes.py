"""Runs functions in forked processes, which need no second import of torch."""

import multiprocessing
import os
import socket
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

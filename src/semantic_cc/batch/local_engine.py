"""Who does the work: this process, several processes of this machine, or Ray's (`ray_engine`)."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from multiprocessing.connection import Connection

from semantic_cc.batch.manifest import ManifestEntry
from semantic_cc.batch.pair_worker import TRIES, DescribedPair, PairOutcome, PairWorker, PlainImages, died
from semantic_cc.processes import end_with_parent

Make = Callable[[], PairWorker]
"""Makes a worker; can be sent to another process."""


def in_this_process(entries: Sequence[ManifestEntry], worker: PairWorker) -> Generator[PairOutcome]:
    """Outcomes in the order of `entries`.

    Consecutive pairs of plain images of one size are described together, as many as the model's `pair_batch` says. If
    that fails, each of them is described by itself.
    """
    for group in _groups(entries, worker):
        images = [pair for _, pair in group if pair is not None]
        described: Sequence[DescribedPair | None] = [None] * len(group)
        if images:
            with contextlib.suppress(Exception):  # the pairs one by one say what is wrong, and with which
                described = worker.describe_plain(images)
        for (entry, _), ready in zip(group, described, strict=True):
            yield worker(entry, ready)


def _groups(
    entries: Sequence[ManifestEntry], worker: PairWorker
) -> Iterator[list[tuple[ManifestEntry, PlainImages | None]]]:
    """Consecutive pairs of one size with their images, up to the model's `pair_batch`; each other pair by itself."""
    held: list[tuple[ManifestEntry, PlainImages | None]] = []
    size: tuple[int, ...] = ()
    for entry in entries:
        images = worker.read_plain(entry)
        own = images[0].shape[:2] if images else ()
        most = worker.model.pair_batch(*own) if own else 1
        if held and (own != size or len(held) >= most):
            yield held
            held = []
        held.append((entry, images))
        size = own
    if held:
        yield held


def in_processes(entries: Sequence[ManifestEntry], make: Make, workers: int) -> Generator[PairOutcome]:
    """Outcomes as they come, from `workers` processes that each load the model.

    A process that dies takes down nothing: its pair is begun again in a new one, `TRIES` times in all.
    """
    if not entries:
        return
    threads = max(1, (os.cpu_count() or 1) // workers)
    lanes = [_Lane(make, threads) for _ in range(workers)]
    idle: queue.SimpleQueue[_Lane] = queue.SimpleQueue()
    for lane in lanes:
        idle.put(lane)

    def work(entry: ManifestEntry) -> PairOutcome:
        lane = idle.get()
        try:
            return lane(entry)
        finally:
            idle.put(lane)

    pool = ThreadPoolExecutor(workers)
    try:
        for future in as_completed([pool.submit(work, entry) for entry in entries]):
            yield future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for lane in lanes:
            lane.stop()


class _Lane:
    """A process with a worker in it, and a new one where it has died."""

    def __init__(self, make: Make, threads: int) -> None:
        self._make, self._threads = make, threads
        self._process: multiprocessing.process.BaseProcess | None = None
        self._stopped = False

    def __call__(self, entry: ManifestEntry) -> PairOutcome:
        for _ in range(TRIES):
            try:
                if self._process is None:
                    self._start()
                self._pipe.send(entry)
                outcome: PairOutcome = self._pipe.recv()
                return outcome
            except (EOFError, ConnectionError):
                if self._stopped:
                    raise
                self._process = None
        return died(entry)

    def stop(self) -> None:
        """Ends the process, whatever it does."""
        self._stopped = True
        if self._process is not None:
            self._process.kill()
            self._process.join()

    def _start(self) -> None:
        # A new interpreter: a fork of one that runs threads may wait for a lock that nobody holds.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(self._make, theirs, self._threads), daemon=True)
        self._process.start()
        theirs.close()  # so that the pipe ends with the process
        if self._stopped:
            self._process.kill()


def _serve(make: Make, pipe: Connection, threads: int) -> None:
    """The life of a process: pairs in, outcomes out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    end_with_parent()
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # torch reads it when the model loads
    worker = make()
    while True:
        pipe.send(worker(pipe.recv()))

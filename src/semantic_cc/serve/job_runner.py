"""Runs the accepted jobs, those among them that another process left unfinished when it died."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import logging
import secrets
import threading
import time
from concurrent.futures import CancelledError
from pathlib import Path
from typing import IO

from semantic_cc.errors import SemanticCCError
from semantic_cc.figures.description_files import write_outputs
from semantic_cc.images import read_pair
from semantic_cc.scene.describe_scene import describe_scene
from semantic_cc.scene.gdal_files import use_drivers
from semantic_cc.serve.job_folder import JobFolder
from semantic_cc.serve.job_request import JobRequest
from semantic_cc.serve.job_store import Job, JobState, JobStore
from semantic_cc.serve.model_queue import ModelQueue, QueuedModel, QueueFullError
from semantic_cc.serve.serve_settings import ServeSettings
from semantic_cc.serve.uploads import DRIVERS
from semantic_cc.serve.view_files import read_report, write_pair_view, write_scene_view

POLL_SECONDS = 1.0
"""Time after which an idle runner looks for jobs that other processes accepted or left."""

WRITE_SECONDS = 0.5
"""Time between two writings of a job's progress."""

_log = logging.getLogger("semantic_cc.serve")


class _JobStoppedError(Exception):
    """The job was dismissed, the process ends, or the time is up."""


class Workers:
    """The processes that share a data folder; each holds a lock, which ends with it, however it ends.

    Args:
        folder: of the lock files; made if need be.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.own = secrets.token_hex(8)
        self._held: IO[str] = (folder / self.own).open("w")
        fcntl.flock(self._held, fcntl.LOCK_EX)

    def alive(self) -> list[str]:
        """The living processes, this one among them; the files of dead ones are removed."""
        found = [self.own]
        for path in self._folder.iterdir():
            if path.name == self.own:
                continue
            with contextlib.suppress(FileNotFoundError), path.open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    found.append(path.name)
                else:
                    path.unlink(missing_ok=True)
        return found

    def close(self) -> None:
        """Ends this process's membership."""
        (self._folder / self.own).unlink(missing_ok=True)
        self._held.close()


class JobRunner:
    """Threads that take jobs from the store.

    Args:
        store: the jobs.
        folders: parent of the jobs' folders.
        queue: of the model.
        workers: who else takes jobs.
        settings: number of threads and limits.
    """

    def __init__(
        self, *, store: JobStore, folders: Path, queue: ModelQueue, workers: Workers, settings: ServeSettings
    ) -> None:
        self._store, self._folders, self._queue, self._workers = store, folders, queue, workers
        self._settings = settings
        self._ended = threading.Event()
        self._wake = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name=f"job-{number}", daemon=True)
            for number in range(settings.job_workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def alive(self) -> bool:
        """Whether all threads run."""
        return all(thread.is_alive() for thread in self._threads)

    def wake(self) -> None:
        """Says that there is a new job."""
        self._wake.set()

    def stop(self) -> None:
        """Asks the threads to end; running jobs go back into the queue, and continue later where they were."""
        self._ended.set()
        self._wake.set()

    def join(self) -> None:
        """Waits for the end of all threads, after `stop`."""
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                job = self._store.claim(self._workers.own, self._workers.alive())
            except Exception:
                _log.exception("the job database cannot be used")
                job = None
            if job is None:
                self._wake.wait(POLL_SECONDS)
                self._wake.clear()
                continue
            self._run_job(job)

    def _run_job(self, job: Job) -> None:
        """Runs one job to its end, whatever it is."""
        folder = JobFolder(self._folders / job.folder)
        start = time.monotonic()
        state, message = JobState.SUCCESSFUL, ""
        try:
            if job.attempts > self._settings.job_attempts:
                raise SemanticCCError(
                    f"the service ended {self._settings.job_attempts} times while it ran this job"
                )
            with use_drivers(DRIVERS):
                self._describe(
                    job, folder, _Watch(self._store, job.id, self._ended, self._settings.job_seconds)
                )
        except (_JobStoppedError, CancelledError) as error:
            if not self._store.wanted(job.id):
                self._store.let_go(job.id)
                return
            if self._ended.is_set():
                self._store.release(job.id)
                return
            state, message = JobState.FAILED, str(error)
        except SemanticCCError as error:
            state, message = JobState.FAILED, folder.without_paths(" ".join(str(error).split()))
        except Exception:
            if self._ended.is_set():  # the model's thread has ended under it
                self._store.release(job.id)
                return
            _log.exception("job failed", extra={"job": job.folder})
            state, message = JobState.FAILED, "the service made an error; its log says which"
        if state is JobState.FAILED:
            folder.drop_results()
        size = folder.bytes()
        self._store.finish(job.id, state, message, size)
        folder.drop_uploads()
        seconds = round(time.monotonic() - start, 3)
        _log.info(
            "job ended", extra={"job": job.folder, "kind": job.kind, "state": state, "seconds": seconds}
        )

    def _describe(self, job: Job, folder: JobFolder, watch: _Watch) -> None:
        request = JobRequest.from_json(job.request)
        if job.kind == "pair":
            self._describe_pair(folder, request, watch)
            return
        options = request.options()
        if not folder.has_results:
            describe_scene(
                QueuedModel(self._queue, watch.check), folder.before, folder.after,
                out=folder.out, options=options, instruction=request.instruction, dates=request.dates,
                progress=watch.advance,
            )  # fmt: skip
        folder.use_clients_names()
        write_scene_view(
            folder.view,
            folder.before,
            folder.after,
            options,
            read_report(folder.out / "report.json"),
            lambda done, total: watch.advance("map", done, total),
        )

    def _describe_pair(self, folder: JobFolder, request: JobRequest, watch: _Watch) -> None:
        before, after, notes = read_pair(folder.before, folder.after, check=True)
        while True:
            watch.check()
            try:
                future = self._queue.describe(before, after, request.instruction)
                break
            except QueueFullError:
                time.sleep(0.1)
        found = future.result()
        renamed = tuple(folder.without_paths(note) for note in notes)
        found = dataclasses.replace(found, notes=renamed + found.notes)
        write_pair_view(folder.view, before, after, found)
        write_outputs(found, before, after, folder.out)


class _Watch:
    """Stops a running job that is dismissed or out of time, and stores its progress."""

    def __init__(self, store: JobStore, job_id: str, ended: threading.Event, seconds: int) -> None:
        self._store, self._job_id, self._ended = store, job_id, ended
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._next = 0.0
        self._last: tuple[str, int, int] | None = None

    def check(self) -> None:
        """Raises `_JobStoppedError` if the job is to stop."""
        if self._ended.is_set():
            raise _JobStoppedError
        if time.monotonic() > self._deadline:
            raise _JobStoppedError(
                f"took longer than {self._seconds:,} seconds; send a smaller scene, or a larger resolution"
            )
        if self._last is None and time.monotonic() >= self._next:
            self._next = time.monotonic() + WRITE_SECONDS
            if not self._store.wanted(self._job_id):
                raise _JobStoppedError

    def advance(self, step: str, done: int, total: int) -> None:
        """Takes a report of progress, as `semantic_cc.progress.Advance`."""
        self.check()
        new_step = self._last is None or self._last[0] != step
        self._last = step, done, total
        if new_step or done == total or time.monotonic() >= self._next:
            self._next = time.monotonic() + WRITE_SECONDS
            if not self._store.advance(self._job_id, step, done, total):
                raise _JobStoppedError

"""Removes dismissed jobs, finished ones that are too old or too large in all, and files that belong to no job."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from pathlib import Path

from semantic_cc.serve.job_folder import JobFolder
from semantic_cc.serve.job_runner import Workers
from semantic_cc.serve.job_store import Job, JobStore
from semantic_cc.serve.serve_settings import ServeSettings

PERIOD_SECONDS = 10.0
"""Time between two rounds."""

ORPHAN_SECONDS = 3600.0
"""Age at which a folder that belongs to no job is removed; a younger one may be about to get its job."""

_log = logging.getLogger("semantic_cc.serve")


class Housekeeping:
    """A thread that cleans up, from the start on.

    Args:
        store: the jobs.
        folders: parent of the jobs' folders.
        incoming: parent of the folders of uploads that are not yet a job; a name begins with the process's and a dash.
        workers: the processes that share the data folder.
        settings: what is kept.
    """

    def __init__(
        self, *, store: JobStore, folders: Path, incoming: Path, workers: Workers, settings: ServeSettings
    ) -> None:
        self._store, self._folders, self._incoming = store, folders, incoming
        self._workers, self._settings = workers, settings
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread."""
        self._ended.set()
        self._thread.join()

    def make_room(self, size: int) -> bool:
        """Removes the oldest finished jobs until `size` bytes fit below `ServeSettings.disk_bytes`.

        Removes none if they would not fit even then.

        Returns:
            Whether they fit, on the disk too.
        """
        waiting = self._store.finished()
        kept = self._store.total_bytes() - sum(job.bytes for job in waiting)
        if kept + size > self._settings.disk_bytes:
            return False
        while self._store.total_bytes() + size > self._settings.disk_bytes and waiting:
            self._remove(waiting.pop(0))
        fits = self._store.total_bytes() + size <= self._settings.disk_bytes
        return fits and shutil.disk_usage(self._folders).free > size

    def clean(self) -> None:
        """One round."""
        alive = self._workers.alive()
        for job in self._store.dismissed(alive):
            self._remove(job)
        for path in self._incoming.iterdir():
            if path.name.partition("-")[0] not in alive:
                JobFolder(path).remove()
        finished = self._store.finished()
        total = sum(job.bytes for job in finished)
        for job in finished:
            too_old = time.time() - (job.finished or job.updated) > self._settings.keep_seconds
            if too_old or total > self._settings.keep_bytes:
                self._remove(job)
                total -= job.bytes
        known = self._store.folders()
        for path in self._folders.iterdir():
            if path.name not in known and time.time() - path.stat().st_mtime > ORPHAN_SECONDS:
                JobFolder(path).remove()

    def _remove(self, job: Job) -> None:
        self._store.remove(job.id)
        JobFolder(self._folders / job.folder).remove()

    def _run(self) -> None:
        while True:
            try:
                self.clean()
            except Exception:
                _log.exception("housekeeping failed")
            if self._ended.wait(PERIOD_SECONDS):
                return

"""The jobs in an SQLite database; servers on one data folder share it, and its rows outlive them."""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from semantic_cc.types import Json

JobKind = Literal["pair", "scene"]


class JobState(StrEnum):
    """The states of OGC API - Processes."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    SUCCESSFUL = "successful"
    FAILED = "failed"
    DISMISSED = "dismissed"


UNFINISHED = (JobState.ACCEPTED, JobState.RUNNING)

ID_BYTES = 16
"""Random bytes of a job's id: anyone who has the id can read the job, so it cannot be guessed."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, state TEXT NOT NULL, client TEXT NOT NULL, request TEXT NOT NULL,
    folder TEXT NOT NULL, created REAL NOT NULL, started REAL, finished REAL, updated REAL NOT NULL,
    step TEXT NOT NULL DEFAULT '', done INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0,
    step_started REAL, step_first INTEGER NOT NULL DEFAULT 0,
    message TEXT NOT NULL DEFAULT '', worker TEXT NOT NULL DEFAULT '', attempts INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, created);
"""


@dataclass(frozen=True)
class Job:
    """One description to make, being made or made. Times are seconds since 1970.

    Attributes:
        id: random.
        kind: "pair" of plain images, or "scene".
        state: of `JobState`.
        client: digest of who sent it.
        request: options of the request, in plain JSON values.
        folder: name of its folder.
        created, started, finished, updated: when.
        step, done, total: the running step ("windows", "places", ...), and how much of it is done.
        step_started, step_first: when the step began in this server, and at which `done`.
        message: why it failed.
        worker: the process that runs it.
        attempts: starts without progress.
        bytes: size of its files.
    """

    id: str
    kind: JobKind
    state: JobState
    client: str
    request: dict[str, Json] = field(repr=False)
    folder: str
    created: float
    started: float | None
    finished: float | None
    updated: float
    step: str
    done: int
    total: int
    step_started: float | None
    step_first: int
    message: str
    worker: str
    attempts: int
    bytes: int

    @property
    def progress(self) -> int:
        """Percent of the running step, 0 to 100."""
        if self.state is JobState.SUCCESSFUL:
            return 100
        return min(99, 100 * self.done // self.total) if self.total else 0

    @property
    def eta_seconds(self) -> int | None:
        """Seconds that the running step still takes, as it went so far; None if that is not known."""
        if self.state is not JobState.RUNNING or self.step_started is None or self.done <= self.step_first:
            return None
        each = (self.updated - self.step_started) / (self.done - self.step_first)
        return round(each * (self.total - self.done))


class JobStore:
    """The table of jobs. Every method may be called by any thread.

    Args:
        path: the database file; made if need be.
    """

    def __init__(self, path: Path) -> None:
        self._base = sqlite3.connect(path, timeout=30, check_same_thread=False, isolation_level=None)
        self._base.row_factory = sqlite3.Row
        self._lock = threading.RLock()
        with self._lock:
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = FULL")  # an accepted job outlives a loss of power
            self._base.executescript(_SCHEMA)

    def close(self) -> None:
        """Closes the database."""
        with self._lock:
            self._base.close()

    def add(
        self, *, kind: JobKind, client: str, request: dict[str, Json], folder: str, size: int,
        most: int, most_of_client: int,
    ) -> Job | Literal["queue", "client"]:  # fmt: skip
        """Accepts a job, unless there are `most` unfinished ones, or `most_of_client` of its client.

        Returns:
            The job, or which of the two limits is reached.
        """
        job_id, now = secrets.token_urlsafe(ID_BYTES), time.time()
        with self._transaction():
            if self.unfinished() >= most:
                return "queue"
            if self.unfinished(client) >= most_of_client:
                return "client"
            self._base.execute(
                "INSERT INTO jobs (id, kind, state, client, request, folder, created, updated, bytes) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (job_id, kind, JobState.ACCEPTED, client, json.dumps(request), folder, now, now, size),
            )
            job = self.find(job_id)
        assert job is not None
        return job

    def find(self, job_id: str) -> Job | None:
        """The job with this id, unless it was dismissed."""
        rows = self._jobs("id = ? AND state != ?", job_id, JobState.DISMISSED)
        return rows[0] if rows else None

    def select(
        self, client: str | None, states: Collection[JobState], limit: int, offset: int = 0
    ) -> list[Job]:
        """Jobs in these states, the newest first; of one client unless None."""
        marks = ", ".join("?" * len(states))
        return self._jobs(
            f"state IN ({marks}) AND (? IS NULL OR client = ?) ORDER BY created DESC, id LIMIT ? OFFSET ?",
            *states, client, client, limit, offset,
        )  # fmt: skip

    def unfinished(self, client: str | None = None) -> int:
        """How many jobs are accepted or running; of one client unless None."""
        return self._number(
            "SELECT count(*) FROM jobs WHERE state IN (?, ?) AND (? IS NULL OR client = ?)",
            *UNFINISHED, client, client,
        )  # fmt: skip

    def claim(self, worker: str, alive: Collection[str]) -> Job | None:
        """Gives `worker` the job that waits longest: one that is accepted, or whose worker has died.

        Args:
            worker: the claiming process.
            alive: the processes that live.
        """
        marks = ", ".join("?" * len(alive))
        with self._transaction():
            rows = self._jobs(
                f"state = ? OR (state = ? AND worker NOT IN ({marks})) ORDER BY attempts, created LIMIT 1",
                JobState.ACCEPTED, JobState.RUNNING, *alive,
            )  # fmt: skip
            if not rows:
                return None
            self._base.execute(
                "UPDATE jobs SET state = ?, worker = ?, attempts = attempts + 1, updated = ?, step = '', done = 0, "
                "total = 0, step_started = NULL, started = coalesce(started, ?) WHERE id = ?",
                (JobState.RUNNING, worker, time.time(), time.time(), rows[0].id),
            )
            return self.find(rows[0].id)

    def advance(self, job_id: str, step: str, done: int, total: int) -> bool:
        """Keeps a running job's progress.

        Returns:
            Whether the job is still wanted.
        """
        now = time.time()
        with self._lock:
            changed = self._base.execute(
                "UPDATE jobs SET updated = ?, "
                "step_started = CASE WHEN step = ? THEN step_started ELSE ? END, "
                "step_first = CASE WHEN step = ? THEN step_first ELSE ? END, "
                "attempts = CASE WHEN step = ? AND ? > step_first THEN 0 ELSE attempts END, "
                "step = ?, done = ?, total = ? WHERE id = ? AND state = ?",
                (now, step, now, step, done, step, done, step, done, total, job_id, JobState.RUNNING),
            )
            return changed.rowcount == 1

    def wanted(self, job_id: str) -> bool:
        """Whether the job is running and was not dismissed."""
        return bool(self._jobs("id = ? AND state = ?", job_id, JobState.RUNNING))

    def finish(self, job_id: str, state: JobState, message: str = "", size: int = 0) -> None:
        """Ends a running job."""
        now = time.time()
        with self._lock:
            self._base.execute(
                "UPDATE jobs SET state = ?, message = ?, finished = ?, updated = ?, worker = '', bytes = ? "
                "WHERE id = ? AND state = ?",
                (state, message, now, now, size, job_id, JobState.RUNNING),
            )

    def release(self, job_id: str) -> None:
        """Puts a running job back into the queue, as if it had not been started."""
        with self._lock:
            self._base.execute(
                "UPDATE jobs SET state = ?, worker = '', attempts = 0 WHERE id = ? AND state = ?",
                (JobState.ACCEPTED, job_id, JobState.RUNNING),
            )

    def dismiss(self, job_id: str) -> None:
        """Hides a job; `remove` takes it away as soon as nobody works on it."""
        with self._lock:
            self._base.execute(
                "UPDATE jobs SET state = ?, updated = ? WHERE id = ?",
                (JobState.DISMISSED, time.time(), job_id),
            )

    def dismissed(self, alive: Collection[str]) -> list[Job]:
        """Dismissed jobs that no living process works on."""
        marks = ", ".join("?" * len(alive))
        return self._jobs(f"state = ? AND worker NOT IN ({marks})", JobState.DISMISSED, *alive)

    def let_go(self, job_id: str) -> None:
        """Says that no process works on the job any more."""
        with self._lock:
            self._base.execute("UPDATE jobs SET worker = '' WHERE id = ?", (job_id,))

    def finished(self) -> list[Job]:
        """Jobs that ended, the oldest first."""
        return self._jobs("state IN (?, ?) ORDER BY finished", JobState.SUCCESSFUL, JobState.FAILED)

    def folders(self) -> set[str]:
        """Names of the folders of all jobs."""
        with self._lock:
            return {row[0] for row in self._base.execute("SELECT folder FROM jobs")}

    def total_bytes(self) -> int:
        """Size of the files of all jobs, as last measured."""
        return self._number("SELECT coalesce(sum(bytes), 0) FROM jobs")

    def remove(self, job_id: str) -> None:
        """Takes a job out of the table."""
        with self._lock:
            self._base.execute("DELETE FROM jobs WHERE id = ?", (job_id,))

    def _jobs(self, where: str, *values: object) -> list[Job]:
        with self._lock:
            rows = self._base.execute(f"SELECT * FROM jobs WHERE {where}", values).fetchall()
        return [_job(dict(row)) for row in rows]

    def _number(self, query: str, *values: object) -> int:
        with self._lock:
            return int(self._base.execute(query, values).fetchone()[0])

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """A transaction that keeps out other threads and, for writing, other processes."""
        with self._lock:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._base.execute("ROLLBACK")
                raise
            self._base.execute("COMMIT")


def _job(row: dict[str, Any]) -> Job:
    return Job(**{**row, "state": JobState(row["state"]), "request": json.loads(row["request"])})

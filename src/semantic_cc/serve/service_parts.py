"""The running parts of the service, and the questions that every route asks of them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
import tempfile
from collections.abc import Sequence
from typing import IO, Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from semantic_cc.errors import ImageError, OutputError
from semantic_cc.scene.gdal_files import use_drivers
from semantic_cc.scene.geo_detection import is_scene
from semantic_cc.scene.scene_model import SceneModel
from semantic_cc.serve.housekeeping import Housekeeping
from semantic_cc.serve.job_folder import JobFolder
from semantic_cc.serve.job_request import JobRequest
from semantic_cc.serve.job_runner import JobRunner, Workers
from semantic_cc.serve.job_store import Job, JobKind, JobStore
from semantic_cc.serve.model_queue import ModelQueue
from semantic_cc.serve.problems import NO_SUCH_JOB, Problem
from semantic_cc.serve.serve_metrics import ServeMetrics
from semantic_cc.serve.serve_settings import ServeSettings
from semantic_cc.serve.uploads import DRIVERS, Upload, save_upload

PER_UPLOADED_BYTE = 3
"""Bytes on disk that a job needs at most, about, for each uploaded one: uploads, images for the viewer, results."""

_bearer = HTTPBearer(auto_error=False, description="Needed where the service was started with tokens.")

UploadSource = tuple[IO[bytes], str | None]
"""An uploaded file, and its name as sent."""


class ServiceParts:
    """Model, queue, jobs and threads of one service.

    Args:
        settings: of the service; the data folder is made if need be.
        model: the loaded model.
        metrics: of the service.
        instruction: asked where a request names none; None = the model's own.

    Raises:
        OutputError: the data folder or its job database cannot be used.
    """

    def __init__(
        self,
        settings: ServeSettings,
        model: SceneModel,
        metrics: ServeMetrics,
        instruction: str | None = None,
    ) -> None:
        self.settings, self.instruction = settings, instruction
        self.folders = settings.data / "jobs"
        self.incoming = settings.data / "incoming"
        try:
            for folder in (self.folders, self.incoming):
                folder.mkdir(parents=True, exist_ok=True)
            self.store = JobStore(settings.data / "jobs.sqlite3")
            self.workers = Workers(settings.data / "workers")
        except (OSError, sqlite3.Error) as error:
            place = settings.data.absolute()
            raise OutputError(f"{place}: cannot hold the jobs ({error}); choose another --data") from error
        self.metrics = metrics
        self.queue = ModelQueue(
            model, most_waiting=settings.pair_queue, most_seconds=settings.pair_seconds,
            most_batched=settings.pair_batch, on_batch=self.metrics.on_batch,
        )  # fmt: skip
        self.runner = JobRunner(
            store=self.store, folders=self.folders, queue=self.queue, workers=self.workers, settings=settings
        )
        self.housekeeping = Housekeeping(
            store=self.store, folders=self.folders, incoming=self.incoming, workers=self.workers,
            settings=settings,
        )  # fmt: skip
        self.metrics.watch("pairs_waiting", "Plain pairs that wait for the model", lambda: self.queue.waiting)
        self.metrics.watch("jobs_unfinished", "Jobs accepted or running", self.store.unfinished)
        self.metrics.watch("job_bytes", "Size of the files of all jobs", self.store.total_bytes)

    def close(self) -> None:
        """Ends all threads; unfinished jobs stay in the queue."""
        self.runner.stop()
        self.queue.close()
        self.runner.join()
        self.housekeeping.close()
        self.workers.close()
        self.store.close()

    def client_of(self, request: Request, credentials: HTTPAuthorizationCredentials | None) -> str:
        """A digest that stands for who sends a request: the token where tokens are set, else the address."""
        if self.settings.tokens:
            given = "" if credentials is None else credentials.credentials
            if not any(hmac.compare_digest(given.encode(), token.encode()) for token in self.settings.tokens):
                raise Problem(401, "this service needs a token; send the header Authorization: Bearer TOKEN")
            identity = f"token {given}"
        else:
            identity = f"address {request.client.host if request.client else ''}"
        return hashlib.sha256(identity.encode()).hexdigest()[:16]

    def save_pair(self, before: UploadSource, after: UploadSource) -> tuple[JobFolder, Upload, Upload]:
        """Saves both uploads in a new folder, checked; nothing stays if one is refused.

        Raises:
            ImageError: as `save_upload`.
            Problem: the disk is full.
        """
        folder = JobFolder(self.incoming / f"{self.workers.own}-{secrets.token_hex(8)}")
        try:
            one = save_upload(*before, "before", folder.root, self.settings)
            other = save_upload(*after, "after", folder.root, self.settings)
            if not self.housekeeping.make_room(PER_UPLOADED_BYTE * folder.bytes()):
                raise Problem(507, "the service's disk is full; try again later", retry_after=600)
        except OSError as error:
            folder.remove()
            if isinstance(error, ImageError):
                raise
            raise Problem(507, "the service's disk is full; try again later", retry_after=600) from error
        except BaseException:
            folder.remove()
            raise
        return folder, one, other

    def kind_of(self, uploads: Sequence[Upload]) -> JobKind:
        """Kind of a job: "scene" if an image is a raster of a scene or has more than `pair_pixels`, else "pair"."""
        with use_drivers(DRIVERS):
            large = any(upload.pixels > self.settings.pair_pixels for upload in uploads)
            return "scene" if large or any(is_scene(upload.path) for upload in uploads) else "pair"

    def accept(self, folder: JobFolder, kind: JobKind, request: JobRequest, client: str) -> Job:
        """Makes a job of a saved pair; the folder is removed if there are too many jobs.

        Raises:
            Problem: there are.
        """
        home = JobFolder(self.folders / secrets.token_hex(8))
        folder.root.replace(home.root)
        job = self.store.add(
            kind=kind, client=client, request=request.to_json(), folder=home.root.name,
            size=PER_UPLOADED_BYTE * home.bytes(), most=self.settings.job_queue,
            most_of_client=self.settings.client_jobs,
        )  # fmt: skip
        if job == "queue" or job == "client":
            home.remove()
            count = self.settings.job_queue if job == "queue" else self.settings.client_jobs
            whose = "the service has" if job == "queue" else "you have"
            raise Problem(429, f"{whose} {count} unfinished jobs; wait until one has ended", retry_after=30)
        self.runner.wake()
        return job

    def job(self, job_id: str) -> Job:
        """The job with this id.

        Raises:
            Problem: there is none.
        """
        job = self.store.find(job_id)
        if job is None:
            raise Problem(404, "there is no job with this id; it may have expired", kind=NO_SUCH_JOB)
        return job

    def folder(self, job: Job) -> JobFolder:
        """The folder of a job."""
        return JobFolder(self.folders / job.folder)

    def has_room(self) -> bool:
        """Whether the data folder can be written and its disk is not full."""
        try:
            with tempfile.TemporaryFile(dir=self.incoming) as file:
                file.write(b"\0")
        except OSError:
            return False
        return True


def get_parts(request: Request) -> ServiceParts:
    """The parts of the service that answers `request`."""
    parts: ServiceParts = request.app.state.parts
    return parts


def get_client(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> str:
    """Digest of who sends `request`; refuses one without a valid token where tokens are set."""
    return get_parts(request).client_of(request, credentials)


Parts = Annotated[ServiceParts, Depends(get_parts)]
Client = Annotated[str, Depends(get_client)]

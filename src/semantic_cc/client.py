"""A client of `semantic-cc serve`, with the methods `describe` and `describe_scene` of `SemanticCC`."""

from __future__ import annotations

import base64
import dataclasses
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from semantic_cc.errors import InputError, SemanticCCError
from semantic_cc.files import check_file, check_folder, new_file
from semantic_cc.progress import Advance
from semantic_cc.types import Json

POLL_SECONDS = 1.0
"""Seconds between two requests for the state of a job."""

TIMEOUT_SECONDS = 300.0
"""Seconds without an answer after which a request fails."""

MOST_RETRIES = 6
"""Number of times that a request is repeated if the service answers with Retry-After."""

_Sent = Mapping[str, str | int | float | bool | None]


class ServiceError(SemanticCCError):
    """The service cannot be reached, or failed; if it answered, the message is its own."""


@dataclass(frozen=True)
class ServedPair:
    """A service's description of a pair of plain images.

    Attributes:
        sentence, changed, change_probability, changed_share, notes: as in `semantic_cc.ChangeDescription`.
        class_shares: class name -> share of its pixels in the mask, in [0, 1]; None without a mask.
        mask_png: the mask as a PNG file of `LABEL_VALUES`; None without a mask.
        model: name of the model.
        milliseconds: time from the request's arrival at the service to its answer.
    """

    sentence: str
    changed: bool
    change_probability: float | None
    changed_share: float | None
    class_shares: Mapping[str, float] | None
    notes: tuple[str, ...]
    mask_png: bytes | None
    model: str
    milliseconds: float


@dataclass(frozen=True)
class ServedJob:
    """A job of a service.

    Attributes:
        id: id of the job.
        kind: "pair" or "scene".
        status: accepted, running, successful, failed or dismissed.
        message: why the job failed; empty otherwise.
        step: name of the running step.
        done, total: number of its finished parts, such as windows, and of all its parts.
        files: names of the result files.
        page: URL of the job's web page.
    """

    id: str
    kind: str
    status: str
    message: str
    step: str
    done: int
    total: int
    files: tuple[str, ...]
    page: str


class ServiceClient:
    """A client of one service.

    Args:
        address: URL of the service, for example ``http://127.0.0.1:8000``.
        token: bearer token, if the service needs one.

    Raises:
        InputError: `address` is not a URL.

    Example:
        with ServiceClient("http://127.0.0.1:8000") as service:
            print(service.describe("before.png", "after.png").sentence)
            job = service.describe_scene("before.tif", "after.tif", out="changes")
            print(job.page)
    """

    def __init__(self, address: str, token: str | None = None) -> None:
        import httpx2

        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            self._http = httpx2.Client(base_url=address, headers=headers, timeout=TIMEOUT_SECONDS)
        except (httpx2.InvalidURL, ValueError) as error:
            example = "http://127.0.0.1:8000"
            raise InputError(
                f"{address!r} is not the address of a service; give, for example, {example}"
            ) from error

    def __enter__(self) -> ServiceClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def describe(
        self, before: str | Path, after: str | Path, *, instruction: str | None = None
    ) -> ServedPair:
        """Describes a pair of plain images.

        Raises:
            InputError: the service refuses the images; the message is that of `SemanticCC.describe`.
            ServiceError: the service cannot be reached, or failed.
        """
        answer = self._send("v1/describe", before, after, {"instruction": instruction})
        mask, classes = answer["mask_png"], answer["classes"]
        return ServedPair(
            sentence=answer["sentence"],
            changed=answer["changed"],
            change_probability=answer["change_probability"],
            changed_share=answer["changed_share"],
            class_shares=None
            if classes is None
            else {name: found["share"] for name, found in classes.items()},
            notes=tuple(answer["notes"]),
            mask_png=None if mask is None else base64.b64decode(mask),
            model=answer["model"]["name"],
            milliseconds=answer["milliseconds"],
        )

    def submit(
        self, before: str | Path, after: str | Path, **options: str | float | bool | None
    ) -> ServedJob:
        """Sends two images and starts a job.

        Args:
            before, after: paths of the images.
            options: fields of `POST /v1/jobs`, for example ``resolution=0.5``.

        Raises:
            InputError, ServiceError: as in `describe`.
        """
        return _job(self._send("v1/jobs", before, after, options))

    def job(self, job_id: str) -> ServedJob:
        """The state of a job.

        Raises:
            InputError, ServiceError: as in `describe`.
        """
        return _job(self._ask("GET", f"v1/jobs/{job_id}"))

    def dismiss(self, job_id: str) -> None:
        """Stops a job and removes its files.

        Raises:
            InputError, ServiceError: as in `describe`.
        """
        self._ask("DELETE", f"v1/jobs/{job_id}")

    def wait(self, job_id: str, progress: Advance | None = None) -> ServedJob:
        """Waits until a job has ended.

        Args:
            job_id: id of the job.
            progress: called with (step, done, total) while the job runs.

        Raises:
            InputError: the job failed; the message is that of `semantic-cc describe`.
            ServiceError: as in `describe`.
        """
        while True:
            job = self.job(job_id)
            if progress is not None and job.total:
                progress(job.step or "map", job.done, job.total)
            if job.status == "failed":
                raise InputError(job.message)
            if job.status == "successful":
                return job
            time.sleep(POLL_SECONDS)

    def report(self, job_id: str) -> dict[str, Json]:
        """The content of a finished job's report.json.

        Raises:
            InputError, ServiceError: as in `describe`.
        """
        report: dict[str, Json] = self._ask("GET", f"v1/jobs/{job_id}/files/report.json")
        return report

    def fetch(self, job: ServedJob, out: str | Path) -> list[Path]:
        """Downloads all files of a finished job into the folder `out`, which is created if needed.

        Replaces files of the same names.

        Raises:
            OutputError: a file cannot be written.
            InputError, ServiceError: as in `describe`.
        """
        folder = check_folder(out)
        return [self._fetch(f"v1/jobs/{job.id}/files/{name}", folder / Path(name).name) for name in job.files]

    def describe_scene(
        self,
        before: str | Path,
        after: str | Path,
        *,
        out: str | Path | None = None,
        progress: Advance | None = None,
        **options: str | float | bool | None,
    ) -> ServedJob:
        """Describes a scene: `submit`, `wait` and, with `out`, `fetch`. If the wait is interrupted, dismisses the job.

        Raises:
            InputError, OutputError, ServiceError: as in these methods.
        """
        job = self.submit(before, after, **options)
        try:
            job = self.wait(job.id, progress)
        except KeyboardInterrupt:
            self.dismiss(job.id)
            raise
        if out is not None:
            self.fetch(job, out)
        return job

    def _send(self, address: str, before: str | Path, after: str | Path, options: _Sent) -> Any:
        fields = {name: str(value).lower() if isinstance(value, bool) else str(value)
                  for name, value in options.items() if value is not None}  # fmt: skip
        with ExitStack() as held:
            files = {
                role: held.enter_context(_open(path)) for role, path in (("before", before), ("after", after))
            }
            sent = {role: (Path(file.name).name, file) for role, file in files.items()}
            return self._ask("POST", address, files=sent, data=fields)

    def _ask(self, method: str, address: str, **content: Any) -> Any:
        """The JSON answer; repeats the request if the service says when to try again."""
        for attempt in range(MOST_RETRIES + 1):
            for _, file in content.get("files", {}).values():
                file.seek(0)
            with self._one_line_errors():
                answer = self._http.request(method, address, **content)
            wait = answer.headers.get("retry-after", "")
            if answer.status_code not in (429, 503) or not wait.isdigit() or attempt == MOST_RETRIES:
                break
            time.sleep(int(wait))
        if answer.is_success:
            try:
                return answer.json() if answer.content else None
            except ValueError as error:
                raise ServiceError(
                    f"{self._http.base_url}: answers, but not as semantic-cc serve does; check the address"
                ) from error
        raise _error(answer.status_code, answer.text, answer.headers.get("content-type", ""))

    def _fetch(self, address: str, path: Path) -> Path:
        check_file(path)
        with new_file(path) as work, self._one_line_errors(), self._http.stream("GET", address) as answer:
            if not answer.is_success:
                answer.read()
                raise _error(answer.status_code, answer.text, answer.headers.get("content-type", ""))
            with work.open("wb") as file:
                for block in answer.iter_bytes():
                    file.write(block)
        return path

    @contextmanager
    def _one_line_errors(self) -> Iterator[None]:
        import httpx2

        try:
            yield
        except httpx2.HTTPError as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ServiceError(
                f"{self._http.base_url}: the service does not answer ({reason}); check that it is running"
            ) from error


def _open(path: str | Path) -> IO[bytes]:
    try:
        return Path(path).open("rb")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read ({reason}); check the path") from error


def _error(status: int, text: str, media_type: str) -> SemanticCCError:
    """The error that a problem document describes."""
    import json

    detail = f"the service answered {status}"
    if media_type.startswith("application/problem+json"):
        detail = json.loads(text)["detail"]
    return InputError(detail) if status in (400, 401, 403, 404, 409, 413, 422) else ServiceError(detail)


def _job(status: Mapping[str, Any]) -> ServedJob:
    values = {part.name: status.get(part.name) for part in dataclasses.fields(ServedJob)}
    (page,) = [link["href"] for link in status["links"] if link["rel"] == "alternate"]
    return ServedJob(**{**values, "id": status["jobID"], "page": page, "files": tuple(status["files"])})

"""`/ogc`: OGC API - Processes (18-062r2) over the same jobs: core, job list and dismiss."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import Annotated, Literal

import anyio.to_thread
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from semantic_cc.errors import InputError
from semantic_cc.scene.stac_item import read_time
from semantic_cc.serve.job_api import LISTED, accept_pair, dismiss, done_folder
from semantic_cc.serve.job_status import link_to, media_type_of, status_of
from semantic_cc.serve.job_store import Job, JobState
from semantic_cc.serve.ogc_process import CONFORMANCE, OUTPUTS, PROCESS, describe_process, read_execute
from semantic_cc.serve.problems import NO_SUCH_PROCESS, RESULT_NOT_READY, Problem, responses
from semantic_cc.serve.service_parts import Client, Parts, ServiceParts
from semantic_cc.serve.view_files import read_report
from semantic_cc.types import Json

REL = "http://www.opengis.net/def/rel/ogc/1.0/"

MOST_LISTED = 1000

ogc_router = APIRouter(prefix="/ogc", tags=["OGC API - Processes"])


@ogc_router.get("", summary="Landing page")
def get_landing(request: Request) -> JSONResponse:
    """Returns links to all resources of this API."""
    links = [
        _link(link_to(request, "get_landing"), "self", "application/json", "This document"),
        _link(
            str(request.base_url) + "openapi.json", "service-desc", "application/vnd.oai.openapi+json;version=3.0",
            "OpenAPI document",
        ),
        _link(link_to(request, "get_docs"), "service-doc", "text/html", "Documentation of the API"),
        _link(link_to(request, "get_conformance"), "conformance", "application/json", "Conformance classes"),
        _link(link_to(request, "get_conformance"), REL + "conformance", "application/json", "Conformance classes"),
        _link(link_to(request, "list_processes"), REL + "processes", "application/json", "Processes"),
        _link(link_to(request, "list_ogc_jobs"), REL + "job-list", "application/json", "Jobs"),
    ]  # fmt: skip
    return JSONResponse(
        {"title": "Semantic-CC", "description": "Describes what changed between two images", "links": links}
    )


@ogc_router.get("/conformance", summary="Conformance classes")
def get_conformance() -> JSONResponse:
    """Returns the conformance classes that this service implements."""
    return JSONResponse({"conformsTo": list(CONFORMANCE)})


@ogc_router.get("/processes", summary="Processes")
def list_processes(
    request: Request, limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 100
) -> JSONResponse:
    """Lists the processes; there is only one."""
    summary = {k: v for k, v in describe_process().items() if k not in ("inputs", "outputs")}
    summary["links"] = [_process_link(request, "self")]
    links = [_link(link_to(request, "list_processes"), "self", "application/json", "This document")]
    return JSONResponse({"processes": [summary][:limit], "links": links})


@ogc_router.get("/processes/{process_id}", responses=responses(404), summary="A process")
def get_process(request: Request, process_id: str) -> JSONResponse:
    """Returns the inputs and outputs of a process."""
    _check_process(process_id)
    execute = link_to(request, "execute", process_id=PROCESS)
    links = [_process_link(request, "self"), _link(execute, REL + "execute", "application/json", "Execute")]
    return JSONResponse({**describe_process(), "links": links})


@ogc_router.post(
    "/processes/{process_id}/execution", status_code=201,
    responses=responses(400, 401, 404, 408, 413, 422, 429, 507), summary="Execute a process",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {
                "type": "object", "required": ["inputs"], "properties": {
                    "inputs": {"type": "object", "required": ["before", "after"]},
                    "outputs": {"type": "object"}, "response": {"enum": ["document", "raw"]}},
                "example": {"inputs": {"before": {"value": "SUkqAA...", "mediaType": "image/tiff"},
                                       "after": {"value": "SUkqAA...", "mediaType": "image/tiff"}}},
            }}},
        }
    },
)  # fmt: skip
async def execute(request: Request, parts: Parts, client: Client, process_id: str) -> JSONResponse:
    """Starts a job, always asynchronously. Give the images as base64 values."""
    _check_process(process_id)
    content = await request.body()
    return await anyio.to_thread.run_sync(_execute, request, parts, client, content)


def _execute(request: Request, parts: ServiceParts, client: str, content: bytes) -> JSONResponse:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Problem(400, "the request is no JSON document; see the process description") from error
    before, after, options = read_execute(body)
    job = accept_pair(parts, client, before, after, options)
    headers = {"Location": link_to(request, "get_ogc_job", job_id=job.id)}
    if "respond-async" in request.headers.get("prefer", ""):
        headers["Preference-Applied"] = "respond-async"
    return JSONResponse(_status(job, parts, request), 201, headers)


@ogc_router.get("/jobs", responses=responses(401, 422), summary="List your jobs")
def list_ogc_jobs(
    request: Request, parts: Parts, client: Client,
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 100,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    type: Annotated[list[Literal["process"]] | None, Query()] = None,
    processID: Annotated[list[str] | None, Query()] = None,
    status: Annotated[list[JobState] | None, Query()] = None,
    datetime: Annotated[
        str | None, Query(max_length=100, description="creation time of the job, or an interval a/b")
    ] = None,
    minDuration: Annotated[int | None, Query(ge=0)] = None,
    maxDuration: Annotated[int | None, Query(ge=0)] = None,
) -> JSONResponse:  # fmt: skip
    """Lists your own jobs, the newest first; the parameters filter the list."""
    states = [state for state in LISTED if status is None or state in status]
    first, last = (None, None) if datetime is None else _interval(datetime)
    found = []
    if processID is None or PROCESS in processID:
        for job in parts.store.select(client, states, MOST_LISTED):
            in_time = (first is None or job.created >= first) and (last is None or job.created <= last)
            if in_time and _lasts(job, minDuration, maxDuration):
                found.append(job)
    shown = found[offset : offset + limit]
    links = [_link(link_to(request, "list_ogc_jobs"), "self", "application/json", "This document")]
    if offset + limit < len(found):
        href = request.url.include_query_params(limit=limit, offset=offset + limit)
        links.append(_link(str(href), "next", "application/json", "The next jobs"))
    return JSONResponse({"jobs": [_status(job, parts, request) for job in shown], "links": links})


@ogc_router.get("/jobs/{job_id}", responses=responses(404), summary="State of a job")
def get_ogc_job(request: Request, parts: Parts, job_id: str) -> JSONResponse:
    """Returns the statusInfo of the standard."""
    return JSONResponse(_status(parts.job(job_id), parts, request))


@ogc_router.delete("/jobs/{job_id}", responses=responses(401, 403, 404), summary="Dismiss a job")
def dismiss_ogc_job(request: Request, parts: Parts, client: Client, job_id: str) -> JSONResponse:
    """Stops the work on the job and removes its files."""
    job = dismiss(parts, client, job_id)
    return JSONResponse(_status(dataclasses.replace(job, state=JobState.DISMISSED), parts, request))


@ogc_router.get("/jobs/{job_id}/results", responses=responses(404, 409), summary="Results of a job")
def get_results(request: Request, parts: Parts, job_id: str) -> JSONResponse:
    """Returns the outputs: sentence and report as values, the others by reference."""
    if parts.job(job_id).state in (JobState.ACCEPTED, JobState.RUNNING):
        raise Problem(404, "the job has not ended; ask for its state", kind=RESULT_NOT_READY)
    folder = done_folder(parts, job_id)
    report = read_report(folder.out / "report.json")
    results: dict[str, Json] = {
        "sentence": report["sentence"],
        "report": {"value": report, "mediaType": "application/json"},
    }
    for output, names in (
        ("mask", ("mask.tif", "mask.png")),
        ("changes", ("changes.geojson", "changes.gpkg")),
    ):
        for name in names:
            if folder.file(name) is not None:
                results[output] = {
                    "href": link_to(request, "get_file", job_id=job_id, name=name), "type": media_type_of(name),
                }  # fmt: skip
                break
    if "grid" in report and folder.file("changes.geojson") is not None:
        href = link_to(request, "get_places", job_id=job_id)
        results["places"] = {"href": href, "type": "application/geo+json"}
    assert set(results) <= set(OUTPUTS)
    return JSONResponse(results)


def _status(job: Job, parts: ServiceParts, request: Request) -> dict[str, Json]:
    """statusInfo: absent instead of null, and links to this interface."""
    status = status_of(job, parts.folder(job), request).model_dump(mode="json", exclude_none=True)
    status["links"][0] = _link(
        link_to(request, "get_ogc_job", job_id=job.id), "self", "application/json", "This job"
    )
    kept: dict[str, Json] = status
    return kept


def _link(href: str, rel: str, kind: str, title: str) -> Json:
    return {"href": href, "rel": rel, "type": kind, "title": title}


def _process_link(request: Request, rel: str) -> Json:
    href = link_to(request, "get_process", process_id=PROCESS)
    return _link(href, rel, "application/json", "Process description")


def _check_process(process_id: str) -> None:
    if process_id != PROCESS:
        raise Problem(404, f"there is no such process; this service has {PROCESS}", kind=NO_SUCH_PROCESS)


def _interval(text: str) -> tuple[float | None, float | None]:
    """Bounds of an RFC 3339 time or interval, in seconds since 1970."""
    first, slash, last = text.partition("/")
    try:
        ends = [
            None if part in ("..", "") else read_time(part).timestamp()
            for part in (first, last if slash else first)
        ]
    except InputError as error:
        raise InputError(f"datetime: {error}") from error
    return ends[0], ends[1]


def _lasts(job: Job, least: int | None, most: int | None) -> bool:
    """Whether a job's duration lies within bounds; a job that has not started has none."""
    if least is None and most is None:
        return True
    if job.started is None:
        return False
    seconds = (job.finished or datetime.now(UTC).timestamp()) - job.started
    return (least is None or seconds >= least) and (most is None or seconds <= most)

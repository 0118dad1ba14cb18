"""A job as the client sees it: its status, its files and its links."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import Request

from semantic_cc.scene.export_formats import FORMATS
from semantic_cc.serve.api_types import JobStatus, Link
from semantic_cc.serve.job_folder import JobFolder
from semantic_cc.serve.job_store import Job, JobState

MEDIA_TYPES = {
    "tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    "png": "image/png",
    "json": "application/json",
    "html": "text/html; charset=utf-8",
    **{suffix: kind.media_type for suffix, kind in FORMATS.items()},
}
"""Suffix of a result file -> its media type."""


def media_type_of(name: str) -> str:
    """The media type of a result file."""
    return MEDIA_TYPES.get(name.rsplit(".", 1)[-1], "application/octet-stream")


def status_of(job: Job, folder: JobFolder, request: Request) -> JobStatus:
    """The status of a job, for its client."""
    files = folder.names() if job.state is JobState.SUCCESSFUL else []
    return JobStatus(
        jobID=job.id,
        kind=job.kind,
        status=job.state,
        message=job.message,
        step=job.step if job.state is JobState.RUNNING else "",
        done=job.done,
        total=job.total,
        progress=job.progress,
        eta_seconds=job.eta_seconds,
        created=_time(job.created),
        started=None if job.started is None else _time(job.started),
        finished=None if job.finished is None else _time(job.finished),
        updated=_time(job.updated),
        files=files,
        links=list(_links(job, files, request)),
    )


def link_to(request: Request, route: str, /, **path: object) -> str:
    """The absolute address of a route, as this client reaches the service."""
    return str(request.url_for(route, **path))


def _links(job: Job, files: list[str], request: Request) -> list[Link]:
    job_id = job.id
    links = [
        Link(
            href=link_to(request, "get_job", job_id=job_id),
            rel="self",
            type="application/json",
            title="This job",
        ),
        Link(
            href=link_to(request, "job_page", job_id=job_id),
            rel="alternate",
            type="text/html",
            title="Web page of the job",
        ),
    ]
    if job.state is not JobState.SUCCESSFUL:
        return links
    links.append(
        Link(
            href=link_to(request, "get_results", job_id=job_id),
            rel="http://www.opengis.net/def/rel/ogc/1.0/results",
            type="application/json",
            title="Results in the format of OGC API - Processes",
        )
    )
    links += [
        Link(
            href=link_to(request, "get_file", job_id=job_id, name=name),
            rel="item",
            type=media_type_of(name),
            title=name,
        )
        for name in files
    ]
    return links


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

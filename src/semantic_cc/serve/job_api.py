"""`/v1/scenes`, `/v1/jobs` and the results of a job: files with range requests, report, places, tiles."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import FileResponse

from semantic_cc.errors import InputError
from semantic_cc.scene.viewer_data import pair_viewer_data, scene_viewer_data
from semantic_cc.serve.api_types import JobList, JobStatus, Link, TileJson
from semantic_cc.serve.http_guard import REPORT_POLICY
from semantic_cc.serve.job_folder import JobFolder
from semantic_cc.serve.job_request import JobRequest
from semantic_cc.serve.job_status import link_to, media_type_of, status_of
from semantic_cc.serve.job_store import Job, JobKind, JobState
from semantic_cc.serve.map_tiles import LAYERS, MAX_ZOOM, describe_tiles, read_tile
from semantic_cc.serve.problems import RESULT_NOT_READY, Problem, responses
from semantic_cc.serve.request_forms import After, Before, read_request
from semantic_cc.serve.service_parts import Client, Parts, ServiceParts, UploadSource
from semantic_cc.serve.view_files import places_geojson, read_report

Layer = Literal["before", "after", "mask", "probability"]

_CACHED = {"Cache-Control": "private, max-age=3600"}
"""A result never changes."""

LISTED = (JobState.ACCEPTED, JobState.RUNNING, JobState.SUCCESSFUL, JobState.FAILED)
"""States of jobs that have not been dismissed."""

job_router = APIRouter(prefix="/v1", tags=["jobs"])

_ACCEPT_PROBLEMS = responses(400, 401, 408, 413, 422, 429, 507)


@job_router.post("/scenes", status_code=201, responses=_ACCEPT_PROBLEMS, summary="Describe a scene")
def post_scene(
    request: Request, response: Response, parts: Parts, client: Client, before: Before, after: After,
    options: Annotated[JobRequest, Depends(read_request)],
) -> JobStatus:  # fmt: skip
    """Starts a job of kind "scene" for two rasters. The header Location is the address of the job."""
    return _accept(request, response, parts, client, (before.file, before.filename), (after.file, after.filename),
                   options, "scene")  # fmt: skip


@job_router.post("/jobs", status_code=201, responses=_ACCEPT_PROBLEMS, summary="Describe a pair or a scene")
def post_job(
    request: Request, response: Response, parts: Parts, client: Client, before: Before, after: After,
    options: Annotated[JobRequest, Depends(read_request)],
) -> JobStatus:  # fmt: skip
    """Starts a job for two images; the service decides, like the command, whether they are a pair or a scene."""
    return _accept(request, response, parts, client, (before.file, before.filename), (after.file, after.filename),
                   options, None)  # fmt: skip


def _accept(
    request: Request, response: Response, parts: ServiceParts, client: str, before: UploadSource, after: UploadSource,
    options: JobRequest, kind: JobKind | None,
) -> JobStatus:  # fmt: skip
    job = accept_pair(parts, client, before, after, options, kind)
    response.headers["Location"] = link_to(request, "get_job", job_id=job.id)
    return status_of(job, parts.folder(job), request)


def accept_pair(
    parts: ServiceParts, client: str, before: UploadSource, after: UploadSource, options: JobRequest,
    kind: JobKind | None = None,
) -> Job:  # fmt: skip
    """Makes a job of two uploads; without `kind` the images decide.

    Raises:
        ImageError, Problem: as `ServiceParts.save_pair` and `ServiceParts.accept`.
        InputError: the images are plain, and the options are for scenes.
    """
    options = dataclasses.replace(options, instruction=options.instruction or parts.instruction)
    folder, *uploads = parts.save_pair(before, after)
    try:
        kind = kind or parts.kind_of(uploads)
        given = options.given_scene_options
        if kind == "pair" and given:
            names = " and ".join(upload.name for upload in uploads)
            raise InputError(
                f"{', '.join(given)}: for georeferenced images only, and {names} are plain images; leave it out"
            )
    except BaseException:
        folder.remove()
        raise
    return parts.accept(folder, kind, options, client)


@job_router.get("/jobs", responses=responses(401, 422), summary="List your jobs")
def list_jobs(
    request: Request, parts: Parts, client: Client,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> JobList:  # fmt: skip
    """Lists your own jobs, the newest first: those sent with your token or, without tokens, from your address."""
    jobs = parts.store.select(client, LISTED, limit, offset)
    return JobList(
        jobs=[status_of(job, parts.folder(job), request) for job in jobs],
        links=[Link(href=link_to(request, "list_jobs"), rel="self", type="application/json")],
    )


@job_router.get("/jobs/{job_id}", responses=responses(404), summary="State, progress and files of a job")
def get_job(request: Request, parts: Parts, job_id: str) -> JobStatus:
    """Needs no token; anyone who has the id can read the job."""
    job = parts.job(job_id)
    return status_of(job, parts.folder(job), request)


@job_router.delete(
    "/jobs/{job_id}", status_code=204, responses=responses(401, 403, 404), summary="Stop and remove a job"
)
def delete_job(parts: Parts, client: Client, job_id: str) -> Response:
    """Stops the work on the job and removes its files."""
    dismiss(parts, client, job_id)
    return Response(status_code=204)


def dismiss(parts: ServiceParts, client: str, job_id: str) -> Job:
    """Stops and hides a job of `client`.

    Raises:
        Problem: there is no such job, or it is another client's and tokens are set.
    """
    job = parts.job(job_id)
    if parts.settings.tokens and job.client != client:
        raise Problem(403, "the job was sent with another token; use that one")
    parts.store.dismiss(job_id)
    return job


@job_router.head("/jobs/{job_id}/files/{name}", include_in_schema=False)
@job_router.get(
    "/jobs/{job_id}/files/{name}", responses=responses(404, 409, 416), response_class=FileResponse,
    summary="Download a result file",
)  # fmt: skip
def get_file(parts: Parts, job_id: str, name: str) -> FileResponse:
    """Supports range requests, so GDAL and QGIS can read parts of a COG: open /vsicurl/ followed by this address."""
    path = done_folder(parts, job_id).file(name)
    if path is None:
        raise Problem(404, "the job has no such file; its status lists them")
    headers = dict(_CACHED)
    if path.suffix == ".html":
        headers["Content-Security-Policy"] = REPORT_POLICY
    inline = "inline" if path.suffix in (".html", ".json", ".png") else "attachment"
    return FileResponse(
        path, media_type=media_type_of(name), filename=name, content_disposition_type=inline, headers=headers
    )


@job_router.get(
    "/jobs/{job_id}/report",
    responses=responses(404, 409),
    response_class=FileResponse,
    summary="The report of a job",
)
def get_report(
    parts: Parts, job_id: str, format: Annotated[Literal["html", "json"], Query()] = "html"
) -> FileResponse:
    """Returns report.html, one page that works offline; with format=json, and for pairs, report.json."""
    name = f"report.{format}"
    return get_file(parts, job_id, name if done_folder(parts, job_id).file(name) else "report.json")


@job_router.get("/jobs/{job_id}/viewer", responses=responses(404, 409), summary="Data for the web page")
def get_viewer_data(parts: Parts, job_id: str) -> Response:
    """Returns the sentence, figures, places and settings for the viewer of the page; made from report.json."""
    report = read_report(done_folder(parts, job_id).out / "report.json")
    scene = parts.job(job_id).kind == "scene"
    data = scene_viewer_data(report) if scene else pair_viewer_data(report)
    return Response(json.dumps(data, ensure_ascii=False), media_type="application/json", headers=_CACHED)


@job_router.get("/jobs/{job_id}/places", responses=responses(404, 409, 422), summary="The places of a scene")
def get_places(parts: Parts, job_id: str) -> Response:
    """Returns a GeoJSON feature collection (RFC 7946): sentence, change flag, classes and extent of each place."""
    folder = done_folder(parts, job_id)
    if parts.job(job_id).kind == "pair":
        raise Problem(422, "a pair of plain images has no places; see its report")
    collection = places_geojson(read_report(folder.out / "report.json"))
    if collection is None:
        raise Problem(
            422, "the images do not say where on Earth they lie; report.json has the places in pixels"
        )
    text = json.dumps(collection, ensure_ascii=False)
    return Response(text, media_type="application/geo+json", headers=_CACHED)


@job_router.get(
    "/jobs/{job_id}/images/{layer}.png", responses=responses(404, 409), response_class=FileResponse,
    summary="An image of a pair, or its mask as a coloured overlay",
)  # fmt: skip
def get_image(parts: Parts, job_id: str, layer: Literal["before", "after", "mask"]) -> FileResponse:
    """Returns a PNG of the same size as the model's input."""
    path = done_folder(parts, job_id).view / f"{layer}.png"
    if not path.is_file():
        raise Problem(404, "the job has no such image; scenes have tiles")
    return FileResponse(path, media_type="image/png", headers=_CACHED)


@job_router.get("/jobs/{job_id}/tiles/{layer}", responses=responses(404, 409), summary="TileJSON of a layer")
def get_tilejson(request: Request, parts: Parts, job_id: str, layer: Layer) -> TileJson:
    """Returns the bounds and zoom levels of a layer."""
    path = _layer_file(parts, job_id, layer)
    address = link_to(request, "get_tilejson", job_id=job_id, layer=layer) + "/{z}/{x}/{y}.png"
    return describe_tiles(path, address)


@job_router.get(
    "/jobs/{job_id}/tiles/{layer}/{z}/{x}/{y}.png", responses=responses(404, 409, 422), response_class=Response,
    summary="A map tile",
)  # fmt: skip
def get_tile(parts: Parts, job_id: str, layer: Layer, z: int, x: int, y: int) -> Response:
    """Returns a PNG of 256 x 256 pixels; outside the scene, status 204."""
    path = _layer_file(parts, job_id, layer)
    inside = 0 <= z <= MAX_ZOOM and 0 <= x < 2**z and 0 <= y < 2**z
    content = read_tile(path, layer, z, x, y) if inside else None
    if content is None:
        return Response(status_code=204, headers=_CACHED)
    return Response(content, media_type="image/png", headers=_CACHED)


def done_folder(parts: ServiceParts, job_id: str) -> JobFolder:
    """The folder of a successful job.

    Raises:
        Problem: there is no such job, it runs still, or it failed.
    """
    job = parts.job(job_id)
    if job.state is JobState.FAILED:
        raise Problem(409, f"the job failed: {job.message}")
    if job.state is not JobState.SUCCESSFUL:
        raise Problem(409, "the job has not ended; ask for its state", kind=RESULT_NOT_READY, retry_after=2)
    return parts.folder(job)


def _layer_file(parts: ServiceParts, job_id: str, layer: Layer) -> Path:
    room, name = LAYERS[layer]
    path = done_folder(parts, job_id).root / room / name
    if not path.is_file():
        raise Problem(404, "the job has no tiles; pairs have images")
    return path

"""Health, limits and metrics, and the API's documentation, without files from other hosts."""

from __future__ import annotations

from importlib import resources
from typing import Literal

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse, HTMLResponse
from pydantic import BaseModel

from semantic_cc import __version__
from semantic_cc.serve.api_types import ModelName
from semantic_cc.serve.http_guard import DOCS_POLICY
from semantic_cc.serve.problems import Problem, responses
from semantic_cc.serve.service_parts import Client, Parts

system_router = APIRouter(tags=["service"])

_DOCS = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Semantic-CC: API</title><link rel="stylesheet" href="docs/swagger-ui.css"></head>
<body><div id="api"></div><script src="docs/swagger-ui-bundle.js"></script><script src="docs/start.js"></script>
</body></html>
"""
_START = 'SwaggerUIBundle({url: "openapi.json", dom_id: "#api", deepLinking: true});\n'


class LimitValue(BaseModel):
    """A limit of the service."""

    value: int
    unit: str
    meaning: str


class ServiceLimits(BaseModel):
    """Version, model and limits of the service."""

    version: str
    model: ModelName
    token_needed: bool
    limits: dict[str, LimitValue]


class Health(BaseModel):
    """Health of the service."""

    status: Literal["ok"] = "ok"


@system_router.get("/healthz", summary="Check whether the process is alive")
def get_health() -> Health:
    """Always returns ok."""
    return Health()


@system_router.get("/readyz", responses=responses(503), summary="Check whether the service can accept work")
def get_ready(parts: Parts) -> Health:
    """Returns ok if the model is running, jobs are processed, and files can be written."""
    if not parts.queue.alive or not parts.runner.alive:
        raise Problem(503, "a thread of the service has ended; restart it", retry_after=10)
    if not parts.has_room():
        raise Problem(503, "the data folder cannot be written; free space", retry_after=10)
    return Health()


@system_router.get("/v1/limits", responses=responses(401), summary="List all limits")
def get_limits(parts: Parts) -> ServiceLimits:
    """Each limit is a flag of `semantic-cc serve` and an environment variable."""
    info = parts.queue.model.info
    limits = {name: LimitValue.model_validate(limit) for name, limit in parts.settings.limits().items()}
    return ServiceLimits(
        version=__version__,
        model=ModelName(name=info.name, digest=str(info.digest)),
        token_needed=bool(parts.settings.tokens),
        limits=limits,
    )


@system_router.get(
    "/metrics", responses=responses(401), response_class=Response, summary="Metrics for Prometheus"
)
def get_metrics(parts: Parts, client: Client) -> Response:
    """Returns metrics in the text format of Prometheus."""
    return Response(parts.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


@system_router.get("/docs", include_in_schema=False)
def get_docs() -> HTMLResponse:
    """The API's documentation in Swagger UI."""
    return HTMLResponse(_DOCS, headers={"Content-Security-Policy": DOCS_POLICY, "Cache-Control": "no-cache"})


@system_router.get("/docs/start.js", include_in_schema=False)
def get_docs_start() -> Response:
    """Starts Swagger UI."""
    return Response(_START, media_type="text/javascript")


@system_router.get("/docs/{name}", include_in_schema=False)
def get_docs_file(name: Literal["swagger-ui-bundle.js", "swagger-ui.css"]) -> FileResponse:
    """Files of Swagger UI, from the distribution fastapi-offline."""
    path = str(resources.files("fastapi_offline") / "static" / name)
    return FileResponse(path, headers={"Cache-Control": "public, max-age=86400"})

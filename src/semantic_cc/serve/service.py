"""Puts the service together: parts, routes, errors, and what surrounds every request."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from semantic_cc import __version__
from semantic_cc.errors import OutputError
from semantic_cc.scene.scene_model import SceneModel
from semantic_cc.serve.http_guard import HttpGuard, JsonLines
from semantic_cc.serve.job_api import job_router
from semantic_cc.serve.ogc_api import ogc_router
from semantic_cc.serve.page_routes import page_router
from semantic_cc.serve.pair_api import pair_router
from semantic_cc.serve.problems import add_handlers
from semantic_cc.serve.serve_metrics import ServeMetrics
from semantic_cc.serve.serve_settings import ServeSettings
from semantic_cc.serve.service_parts import ServiceParts
from semantic_cc.serve.system_api import system_router

_DESCRIPTION = """Describes what changed between two images of the same place: in one sentence, and in a change mask.

`POST /v1/describe` describes a pair of plain images at once. `POST /v1/scenes` starts a job for two rasters of any
size: request `GET /v1/jobs/{job_id}` for its state, and download its files when it is successful. Errors are problem
documents (RFC 9457). `GET /v1/limits` lists the limits of the service."""


def create_app(settings: ServeSettings, model: SceneModel, instruction: str | None = None) -> FastAPI:
    """The service as an ASGI application; its threads run from startup to shutdown.

    Args:
        settings: limits and places.
        model: the loaded model; used by one thread of the service.
        instruction: asked where a request names none; None = the model's own.

    Raises:
        OutputError: at startup, as `ServiceParts`; the application's `state.refusal` is it.
    """

    metrics = ServeMetrics()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            parts = ServiceParts(settings, model, metrics, instruction)
        except OutputError as error:
            app.state.refusal = error
            raise
        app.state.parts = parts
        try:
            yield
        finally:
            parts.close()

    app = FastAPI(
        title="Semantic-CC",
        version=__version__,
        description=_DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        root_path=settings.root_path,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    add_handlers(app)
    for router in (pair_router, job_router, ogc_router, system_router, page_router):
        app.include_router(router)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Range"],
            expose_headers=["Content-Range", "Location", "Retry-After"],
        )
    app.add_middleware(HttpGuard, settings=settings, metrics=metrics)
    return app


def log_json_lines(level: int = logging.INFO) -> None:
    """Writes the service's log to stderr, one JSON object a line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("semantic_cc.serve", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)

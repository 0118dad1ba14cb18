"""Errors as problem documents (RFC 9457): one line of text, the same as the command's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from semantic_cc.errors import InputError, SemanticCCError

MEDIA_TYPE = "application/problem+json"

_OGC = "http://www.opengis.net/def/exceptions/"
NO_SUCH_JOB = _OGC + "ogcapi-processes-1/1.0/no-such-job"
NO_SUCH_PROCESS = _OGC + "ogcapi-processes-1/1.0/no-such-process"
RESULT_NOT_READY = _OGC + "ogcapi-processes-1/1.0/result-not-ready"
"""Types of problems that OGC API - Processes (OGC 18-062r2) prescribes."""


OpenApiResponses = dict[int | str, dict[str, Any]]
"""What FastAPI takes as `responses`."""


class ProblemDocument(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = Field("about:blank", description="A URI that names the kind of problem.")
    title: str = Field(description="The HTTP status in words.", examples=["Unprocessable Content"])
    status: int = Field(description="The HTTP status.", examples=[422])
    detail: str = Field(
        description="One line: what is wrong, where, and what to do.",
        examples=["before.png: not an image in one of PNG, JPEG, TIFF, BMP, WEBP, GIF; save it as PNG"],
    )


class Problem(Exception):
    """An answer that is an error.

    Args:
        status: of HTTP.
        detail: one line.
        kind: the problem's type, a URI.
        retry_after: seconds after which the client may try again.
    """

    def __init__(
        self, status: int, detail: str, *, kind: str = "about:blank", retry_after: int | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.kind, self.retry_after = status, detail, kind, retry_after

    def response(self) -> Response:
        """The problem document as a response."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return problem_response(self.status, self.detail, kind=self.kind, headers=headers)


def problem_response(
    status: int, detail: str, *, kind: str = "about:blank", headers: Mapping[str, str] | None = None
) -> Response:
    """A problem document as a response."""
    body = ProblemDocument(
        type=kind, title=HTTPStatus(status).phrase, status=status, detail=" ".join(detail.split())
    )
    return Response(
        json.dumps(body.model_dump(), ensure_ascii=False), status, dict(headers or {}), media_type=MEDIA_TYPE
    )


def responses(*statuses: int) -> OpenApiResponses:
    """The OpenAPI description of the problems that a route can answer with."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "model": ProblemDocument,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
        }
        for status in statuses
    }


def add_handlers(app: FastAPI) -> None:
    """Turns every exception that is raised on purpose into a problem document."""

    @app.exception_handler(Problem)
    async def known(_: Request, error: Problem) -> Response:
        return error.response()

    @app.exception_handler(InputError)
    async def input_error(_: Request, error: InputError) -> Response:
        return problem_response(422, str(error))

    @app.exception_handler(SemanticCCError)
    async def failed(_: Request, error: SemanticCCError) -> Response:
        return problem_response(503, str(error), headers={"Retry-After": "10"})

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return problem_response(422, _validation_text(error))

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        detail = error.detail if error.detail != HTTPStatus(error.status_code).phrase else ""
        return problem_response(
            error.status_code, detail or _default_text(error.status_code), headers=error.headers
        )


def _validation_text(error: RequestValidationError) -> str:
    """The first of the errors that FastAPI found, in one line."""
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    name = ".".join(place[1:]) or place[0]
    return f"{name}: {first['msg'][:1].lower()}{first['msg'][1:]}; see /docs"


def _default_text(status: int) -> str:
    if status == 404:
        return "there is nothing at this address; see /docs"
    if status == 405:
        return "this address does not take that method; see /docs"
    return f"{HTTPStatus(status).phrase}; see /docs"

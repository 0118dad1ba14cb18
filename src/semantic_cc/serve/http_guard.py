"""What surrounds every request: limits on its body, security headers, one log line, and metrics."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from datetime import UTC, datetime

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from semantic_cc.serve.problems import problem_response
from semantic_cc.serve.serve_metrics import ServeMetrics
from semantic_cc.serve.serve_settings import ServeSettings

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'self'; frame-ancestors 'none'"
)
"""Of everything but the two documents that carry their own scripts."""

DOCS_POLICY = CONTENT_POLICY.replace(
    "style-src 'self'", "style-src 'self' 'unsafe-inline'"
)  # Swagger UI styles its elements
REPORT_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; sandbox allow-scripts allow-downloads"
)
"""Of a report and any other HTML file of a job: it may run its own script, in an origin of its own."""

HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "content-security-policy": CONTENT_POLICY,
    "cache-control": "no-store",
}
"""Of every answer that does not set them itself."""

_log = logging.getLogger("semantic_cc.serve")


class _BodyTooLargeError(Exception):
    """The body has more bytes than allowed."""


class HttpGuard:
    """ASGI middleware; the outermost, so that nothing passes it by.

    Args:
        app: what answers.
        settings: limits of the body.
        metrics: counts requests.
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings, metrics: ServeMetrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 499  # the client has gone before an answer
        request_id = secrets.token_hex(8)
        self._metrics.in_flight.inc()

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": _with_headers(message["headers"], request_id)}
            await send(message)

        try:
            await self._answer(scope, receive, send_guarded)
        finally:
            self._metrics.in_flight.dec()
            seconds = time.perf_counter() - start
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.requests.labels(scope["method"] if route != "other" else "any", route, status).inc()
            self._metrics.seconds.labels(route).observe(seconds)
            _log.info(
                "request",
                extra={
                    "request": request_id, "method": scope["method"], "route": route, "status": status,
                    "milliseconds": round(1000 * seconds, 1), "client": (scope.get("client") or ("",))[0],
                },
            )  # fmt: skip

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, its body bounded in bytes and time."""
        most = self._settings.upload_bytes
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        too_large = f"the request has more than {most:,} bytes; send smaller images"
        if not declared.isdigit() or int(declared) > most:
            await problem_response(413, too_large, headers={"Connection": "close"})(scope, receive, send)
            return
        received, deadline, ended = 0, time.monotonic() + self._settings.upload_seconds, False
        refusal: Response | None = None
        answered = False

        async def receive_bounded() -> Message:
            nonlocal received, ended, refusal
            if ended:
                return await receive()
            try:
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    message = await receive()
            except TimeoutError:
                seconds = self._settings.upload_seconds
                text = f"the request took longer than {seconds} seconds to arrive; send it again"
                refusal = problem_response(408, text, headers={"Connection": "close"})
                raise
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                ended = not message.get("more_body", False)
                if received > most:
                    refusal = problem_response(413, too_large, headers={"Connection": "close"})
                    raise _BodyTooLargeError
            return message

        async def send_unless_refused(message: Message) -> None:
            nonlocal answered
            if refusal is not None and not answered:
                answered = True
                await refusal(scope, receive, send)
            elif refusal is None:
                answered = True
                await send(message)

        try:
            await self._app(scope, receive_bounded, send_unless_refused)
        except ClientDisconnect:
            return
        except Exception as error:
            if refusal is None:
                _log.error("unforeseen error", exc_info=error)
                refusal = problem_response(500, "the service made an error; its log says which")
        if refusal is not None and not answered:
            await refusal(scope, receive, send)


def _with_headers(given: list[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
    names = {name.lower() for name, _ in given}
    added = {**HEADERS, "x-request-id": request_id}
    return [*given, *((n.encode(), v.encode()) for n, v in added.items() if n.encode() not in names)]


class JsonLines(logging.Formatter):
    """Log records as JSON objects, one a line: time, level, event, and what the record adds."""

    _USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}

    def format(self, record: logging.LogRecord) -> str:
        """A record as one line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in self._USUAL},
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)

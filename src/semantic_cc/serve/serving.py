"""Runs the application on uvicorn."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from semantic_cc.errors import InputError
from semantic_cc.serve.serve_settings import ServeSettings
from semantic_cc.serve.service import log_json_lines

BACKLOG = 512
"""Connections that the system holds until they are accepted."""

KEEP_ALIVE_SECONDS = 15


def serve_app(app: FastAPI, settings: ServeSettings, started: Callable[[str], None]) -> None:
    """Serves until the process gets SIGINT or SIGTERM.

    Args:
        app: of `create_app`.
        settings: address and port.
        started: called with the service's address as soon as it listens.

    Raises:
        InputError: the address or port cannot be used.
        OutputError: as `create_app`.
    """
    log_json_lines()
    listener = _listen(settings.host, settings.port)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{host}:{listener.getsockname()[1]}{settings.root_path}"

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            started(address)

    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=10, lifespan="on",
    )  # fmt: skip
    try:
        Server(config).run([listener])
    except SystemExit as error:  # of uvicorn, where the application does not start
        if not hasattr(app.state, "refusal"):
            raise
        raise app.state.refusal from error


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise InputError(
            f"cannot listen on {host}:{port} ({error.strerror}); choose another --port or --host"
        ) from error
    return listener

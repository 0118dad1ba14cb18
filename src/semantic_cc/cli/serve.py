"""Serve a web page and a REST service that describe pairs and scenes.

The page is at the printed address, and the API documentation at /docs below it. Jobs survive a restart: if you start
the service again on the same folder, it continues the unfinished scenes. Every setting of the service is also an
environment variable: SEMANTIC_CC_SERVE_ and its name in capitals, for example SEMANTIC_CC_SERVE_UPLOAD_BYTES.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec

from semantic_cc.cli.console import add_asked_model, load_asked_model, say, stdout_for_us

NAME = "serve"
HELP = "serve a web page and a REST service"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    from dataclasses import fields

    from semantic_cc.serve.serve_settings import ServeSettings, described_settings, flag_of

    add_asked_model(parser)
    group = parser.add_argument_group("settings of the service")
    described = described_settings()
    for part in fields(ServeSettings):
        default, setting = part.default, described[part.name]
        shown = ",".join(default) or "none" if isinstance(default, tuple) else default
        group.add_argument(
            flag_of(part.name), dest=f"serve_{part.name}", metavar=setting.unit.upper(),
            help=f"{setting.meaning} [{str(shown) or 'none'}]",
        )  # fmt: skip


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    import os
    import tempfile

    from semantic_cc.errors import InputError
    from semantic_cc.files import check_folder
    from semantic_cc.serve.serve_settings import read_settings

    flags = {
        name.removeprefix("serve_"): value
        for name, value in vars(arguments).items()
        if name.startswith("serve_") and value is not None
    }
    settings = read_settings(flags)
    if any(
        find_spec(name) is None
        for name in ("fastapi", "fastapi_offline", "uvicorn", "rio_tiler", "prometheus_client")
    ):
        raise InputError("the service needs more libraries: pip install 'semantic-cc[serve]'")
    check_folder(settings.data)
    with stdout_for_us():
        model = load_asked_model(arguments)

    import dataclasses
    from pathlib import Path

    # Results name their inputs by path: relative ones say nothing about this machine.
    settings.data.mkdir(parents=True, exist_ok=True)
    os.chdir(settings.data)
    settings = dataclasses.replace(settings, data=Path())
    incoming = Path("incoming")
    incoming.mkdir(exist_ok=True)
    tempfile.tempdir = str(incoming.resolve())  # uploads wait on the disk that they are to fit on
    from semantic_cc.serve.service import create_app
    from semantic_cc.serve.serving import serve_app

    app = create_app(settings, model, arguments.instruction)
    serve_app(app, settings, started=lambda address: say(f"page: {address}/  API: {address}/docs"))

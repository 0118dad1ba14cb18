"""`describe --server`: the same outputs, made by a running service."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from semantic_cc.cli.console import change_line, say
from semantic_cc.cli.describe import say_report
from semantic_cc.client import ServedJob, ServiceClient
from semantic_cc.errors import InputError
from semantic_cc.files import check_outputs

TOKEN = "SEMANTIC_CC_TOKEN"
"""Environment variable of the token."""

_SENT = (
    "instruction",
    "bands",
    "crs",
    "resolution",
    "match_radiometry",
    "coregister",
    "strict",
    "regularise",
)
"""Options that the service takes."""

_LOCAL = (
    "show_input", "llm_dtype", "llm_device_map", "allow_foundation_mismatch", "tile", "overlap", "formats", "batch",
    "place_batch",
)  # fmt: skip
"""Options that only a model of this process has."""


def describe_on_service(arguments: argparse.Namespace) -> None:
    """Sends both images, waits, and writes and prints what `describe` would.

    Raises:
        InputError: an option is the service's to choose, or the service refuses the images.
        ServiceError: the service cannot be reached, or failed.
    """
    from semantic_cc.progress import progress_of_steps

    _refuse_local(arguments)
    if arguments.out is not None:
        check_outputs(arguments.out, (), [arguments.before, arguments.after])
    sent = {name: value for name in _SENT if (value := getattr(arguments, name)) is not None}
    if arguments.dates:
        sent["before_date"], sent["after_date"] = arguments.dates
    with ServiceClient(arguments.server, os.environ.get(TOKEN)) as service:
        with progress_of_steps() as advance:
            job = service.describe_scene(arguments.before, arguments.after, progress=advance, **sent)
        if arguments.out is not None:
            check_outputs(arguments.out, job.files, [arguments.before, arguments.after])
            service.fetch(job, arguments.out)
        report = service.report(job.id)
    if arguments.out is None:
        report["files"] = []
    if arguments.json:
        print(json.dumps(report, ensure_ascii=False))
        return
    _say(report, job, arguments.out)


def _say(report: Any, job: ServedJob, out: str | None) -> None:
    if job.kind == "scene":
        say_report(report, None if out is None else Path(out))
    else:
        if report["sentence"]:
            say(report["sentence"], style="bold")
        say(change_line(report["changed"], report["change_probability"], report["class_shares"]))
        for note in report["notes"]:
            say(f"note: {note}")
        if out is not None:
            say(f"outputs: {', '.join(report['files'])} in {out}")
    say(f"page: {job.page}")


def _refuse_local(arguments: argparse.Namespace) -> None:
    values = {name: getattr(arguments, name) for name in _LOCAL}
    given = [name for name, value in values.items() if value is not None and value is not False]
    given += [
        name
        for name, default in (("model", "small"), ("runtime", "auto"))
        if getattr(arguments, name) != default
    ]
    if given:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise InputError(f"{flags}: the service chooses that itself; leave it out, or leave out --server")

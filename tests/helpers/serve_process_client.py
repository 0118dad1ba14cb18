"""Starts `serve_process.py`, and ends it."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2

HELPERS = Path(__file__).parent


@contextlib.contextmanager
def server(folder: Path, pause: float) -> Iterator[tuple[subprocess.Popen, httpx2.Client]]:
    """A running service, and a client of it."""
    path = os.pathsep.join([str(HELPERS), os.environ.get("PYTHONPATH", "")])
    with (folder.with_suffix(".log")).open("a") as log:
        process = subprocess.Popen(
            [sys.executable, str(HELPERS / "serve_process.py"), str(folder), "0", str(pause)],
            stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip
    try:
        address = process.stdout.readline().strip()
        assert address, folder.with_suffix(".log").read_text()[-2000:]
        with httpx2.Client(base_url=address, timeout=30) as client:
            yield process, client
    finally:
        process.kill()
        process.wait()

"""A service for tests: uploads in memory, a client in this process, a server as a process of its own."""

from __future__ import annotations

import contextlib
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rasterio.io import MemoryFile
from scenes import PLACE, UTM, PixelModel, landscape
from starlette.testclient import TestClient

from semantic_cc.serve.serve_settings import ServeSettings
from semantic_cc.serve.service import create_app

Files = dict[str, tuple[str, bytes]]


class SlowModel(PixelModel):
    """A `PixelModel` that takes its time.

    Args:
        pause: seconds of each call.
    """

    def __init__(self, pause: float = 0) -> None:
        super().__init__()
        self.pause, self.batches = pause, []

    def predict_masks(self, before: np.ndarray, after: np.ndarray):
        time.sleep(self.pause)
        return super().predict_masks(before, after)

    def describe_batch(self, before: np.ndarray, after: np.ndarray, instruction: str | None = None):
        self.batches.append(len(before))
        return super().describe_batch(before, after, instruction)


def picture(seed: int = 0, height: int = 48, width: int = 64) -> bytes:
    """A PNG."""
    buffer = io.BytesIO()
    Image.fromarray(landscape(height, width, seed)).save(buffer, format="PNG")
    return buffer.getvalue()


def geotiff(
    seed: int = 1, height: int = 90, width: int = 100, crs: str | None = UTM, **profile: Any
) -> bytes:
    """A GeoTIFF; with another seed than 1, every 120 pixels a block of 30 has changed."""
    image = landscape(height, width, 1)
    if seed != 1:
        for top in range(20, height, 120):
            for left in range(30, width, 120):
                image[top : top + 30, left : left + 30] = (40 * seed % 256, 200, 30)
    settings = {
        "driver": "GTiff",
        "crs": crs,
        "transform": PLACE if crs else None,
        "dtype": "uint8",
        **profile,
    }
    with MemoryFile() as memory:
        with memory.open(width=width, height=height, count=3, **settings) as file:
            file.write(image.transpose(2, 0, 1))
        return memory.read()


def pair(before: bytes | None = None, after: bytes | None = None, suffix: str = "png") -> Files:
    """The files of a request."""
    return {
        "before": (f"old.{suffix}", picture(1) if before is None else before),
        "after": (f"new.{suffix}", picture(2) if after is None else after),
    }


def scene(**options: Any) -> Files:
    """The files of a request for a scene."""
    return pair(geotiff(1, **options), geotiff(2, **options), "tif")


@contextlib.contextmanager
def service(folder: Path, model: PixelModel | None = None, **settings: Any) -> Iterator[TestClient]:
    """A client of a service in this process."""
    app = create_app(ServeSettings(data=folder, **settings), model or PixelModel())
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def finished(client: TestClient, job_id: str, seconds: float = 30) -> dict[str, Any]:
    """The status of a job when it has ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        status = client.get(f"/v1/jobs/{job_id}").json()
        if status["status"] not in ("accepted", "running"):
            return status
        time.sleep(0.02)
    raise AssertionError(f"the job did not end: {status}")


def run_job(client: TestClient, files: Files, address: str = "/v1/jobs", **options: Any) -> dict[str, Any]:
    """Sends a job and waits for its end."""
    answer = client.post(address, files=files, data=options)
    assert answer.status_code == 201, answer.text
    return finished(client, answer.json()["jobID"])


def assert_problem(answer: Any, status: int, text: str) -> None:
    """Whether an answer is a problem document of one line that holds `text`."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status and text in problem["detail"], problem
    assert "\n" not in problem["detail"] and "Traceback" not in problem["detail"]


def stored(folder: Path) -> list[str]:
    """All files of jobs and uploads below a data folder."""
    found = [  # `os.walk` leaves out what another thread removes meanwhile, where `rglob` raises
        os.path.relpath(os.path.join(parent, name), folder)
        for room in ("jobs", "incoming")
        for parent, folders, names in os.walk(folder / room)
        for name in (*folders, *names)
    ]
    return sorted(found)

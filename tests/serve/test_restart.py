"""A killed service: every accepted job finishes after a restart, and none is there twice."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from services import pair, scene

HELPERS = Path(__file__).parents[1] / "helpers"


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


@pytest.mark.parametrize("kills", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_every_accepted_job_outlives_sigkill(tmp_path: Path, kills: int) -> None:
    chance, accepted, folder = random.Random(kills), [], tmp_path / "data"
    for kill in range(kills):
        with server(folder, pause=0.15) as (process, client):
            files = scene(height=700, width=250) if kill % 2 == 0 else pair()
            accepted.append(client.post("/v1/jobs", files=files).raise_for_status().json()["jobID"])
            time.sleep(chance.uniform(0.05, 1.2))
            process.send_signal(signal.SIGKILL)
            process.wait()
    with server(folder, pause=0) as (_, client):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            jobs = client.get("/v1/jobs").json()["jobs"]
            if all(job["status"] not in ("accepted", "running") for job in jobs):
                break
            time.sleep(0.1)
        assert sorted(job["jobID"] for job in jobs) == sorted(accepted)
        assert {job["status"] for job in jobs} == {"successful"}
        for job in jobs:
            report = client.get(f"/v1/jobs/{job['jobID']}/report", params={"format": "json"})
            assert report.json()["sentence"]


def test_two_services_share_one_folder_and_its_jobs(tmp_path: Path) -> None:
    with server(tmp_path / "data", 0.05) as (first, one), server(tmp_path / "data", 0.05) as (_, other):
        ids = [one.post("/v1/jobs", files=pair()).json()["jobID"] for _ in range(4)]
        ids.append(one.post("/v1/jobs", files=scene(height=600, width=250)).json()["jobID"])
        first.send_signal(signal.SIGKILL)
        first.wait()
        end = time.monotonic() + 30
        while time.monotonic() < end:
            states = [other.get(f"/v1/jobs/{job_id}").json()["status"] for job_id in ids]
            if set(states) == {"successful"}:
                break
            time.sleep(0.1)
        assert set(states) == {"successful"}


@pytest.mark.slow
def test_sigterm_ends_the_service_and_keeps_its_jobs(tmp_path: Path) -> None:
    with server(tmp_path / "data", 0.3) as (process, client):
        job = client.post("/v1/scenes", files=scene(height=700, width=250)).json()["jobID"]
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) in (0, -signal.SIGTERM)
    with server(tmp_path / "data", 0) as (_, client):
        end = time.monotonic() + 20
        while (status := client.get(f"/v1/jobs/{job}").json())[
            "status"
        ] != "successful" and time.monotonic() < end:
            time.sleep(0.05)
        assert status["status"] == "successful"

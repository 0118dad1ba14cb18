"""A killed service: every accepted job finishes after a restart, and none is there twice."""

import random
import signal
import time
from pathlib import Path

import pytest
from serve_process_client import server
from services import pair, scene


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
        end = time.monotonic() + 300
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
        end = time.monotonic() + 120
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
        end = time.monotonic() + 120
        while (status := client.get(f"/v1/jobs/{job}").json())[
            "status"
        ] != "successful" and time.monotonic() < end:
            time.sleep(0.05)
        assert status["status"] == "successful"

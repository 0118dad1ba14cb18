"""Fuzzed requests: every route from the OpenAPI document, and uploads that are cut, changed and lie."""

import json
import random
import time
from pathlib import Path

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from scenes import PixelModel
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from services import geotiff, pair, picture, service, stored

from semantic_cc.serve.serve_settings import ServeSettings
from semantic_cc.serve.service import create_app

# Threads that open rasters at once can undo each other's warnings.catch_warnings; only tests make warnings errors.
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

ADDRESSES = ["/v1/describe", "/v1/jobs", "/v1/scenes"]

QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck), "derandomize": True, "database": None}

GOOD = [
    picture(1),
    picture(2),
    geotiff(1),
    geotiff(2),
    geotiff(1, compress="DEFLATE", tiled=True, blockxsize=16, blockysize=16),
]


@st.composite
def hostile_files(draw: st.DrawFn) -> bytes:
    """A good image that was cut, or in which bytes were changed, moved or repeated; or any bytes after a signature."""
    content = draw(st.sampled_from(GOOD))
    kind = draw(st.sampled_from(["cut", "change", "header", "repeat", "bytes", "whole"]))
    chance = random.Random(draw(st.integers(0, 2**32)))
    if kind == "cut":
        return content[: chance.randrange(len(content))]
    if kind == "bytes":
        return content[:16] + draw(st.binary(max_size=400))
    if kind == "repeat":
        at = chance.randrange(len(content))
        return content[:at] + content[at:] * 3
    changed = bytearray(content)
    if kind != "whole":
        for _ in range(chance.randrange(1, 12)):
            changed[chance.randrange(min(len(changed), 300 if kind == "header" else len(changed)))] = (
                chance.randrange(256)
            )
    return bytes(changed)


def assert_no_bug(answer) -> None:
    assert answer.status_code < 500 or answer.status_code in (503, 507), answer.text
    assert "Traceback" not in answer.text and "site-packages" not in answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert "\n" not in answer.json()["detail"]


def fuzz_uploads(folder: Path, cases: int) -> None:
    with service(
        folder, client_jobs=10_000, job_queue=10_000, image_pixels=4_000_000, job_workers=2
    ) as client:

        @hypothesis.settings(max_examples=cases, **QUIET)
        @given(
            hostile_files(),
            hostile_files(),
            st.sampled_from(["/v1/describe", "/v1/jobs", "/v1/scenes"]),
            st.text(max_size=40),
        )
        def run(before: bytes, after: bytes, address: str, name: str) -> None:
            files = pair(before, after)
            files["before"] = (name or "x", before)
            answer = client.post(address, files=files)
            assert_no_bug(answer)
            if address == "/v1/describe" or answer.status_code != 201:
                return
            client.app.state.parts.runner.wake()

        run()
        while client.app.state.parts.store.unfinished():
            time.sleep(0.05)
        for job in client.get("/v1/jobs?limit=1000").json()["jobs"]:
            assert job["status"] in ("successful", "failed")
            assert "the service made an error" not in job["message"], job
            assert "\n" not in job["message"] and str(folder) not in job["message"], job
            client.delete(f"/v1/jobs/{job['jobID']}")
        client.app.state.parts.housekeeping.clean()
        assert stored(folder) == []
    kept = {path.name for path in folder.iterdir()}
    assert kept <= {"jobs", "incoming", "workers", "jobs.sqlite3", "jobs.sqlite3-wal", "jobs.sqlite3-shm"}
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_hostile_uploads_leave_no_error_and_no_file(tmp_path: Path) -> None:
    fuzz_uploads(tmp_path / "data", 25)


@pytest.mark.slow
def test_many_hostile_uploads_leave_no_error_and_no_file(tmp_path: Path) -> None:
    fuzz_uploads(tmp_path / "data", 1500)


def fuzz_routes(folder: Path, cases: int) -> int:
    """Calls every operation of the OpenAPI document `cases` times; answers must fit the document."""
    calls = 0
    app = create_app(ServeSettings(data=folder, client_jobs=10_000, job_queue=10_000), PixelModel())
    for result in schemathesis.openapi.from_asgi("/openapi.json", app).get_all_operations():

        @hypothesis.settings(max_examples=cases, **QUIET)
        @given(result.ok().as_strategy())
        def run(case) -> None:
            nonlocal calls
            calls += 1
            case.call_and_validate(checks=CHECKS)

        run()
    return calls


def test_every_route_answers_as_the_openapi_document_says(tmp_path: Path) -> None:
    assert fuzz_routes(tmp_path, 3) > 60


@pytest.mark.slow
def test_every_route_answers_a_thousand_times_as_the_document_says(tmp_path: Path) -> None:
    assert fuzz_routes(tmp_path, 60) > 1000


def test_the_openapi_document_has_examples(tmp_path: Path) -> None:
    with service(tmp_path) as client:
        text = json.dumps(client.get("/openapi.json").json())
        assert text.count('"examples"') >= 8
        page = client.get("/docs").text
        assert "://" not in page
        for name in ("swagger-ui-bundle.js", "swagger-ui.css", "start.js"):
            assert client.get(f"/docs/{name}").status_code == 200

"""Limits, tokens, headers, and files that are not what they say."""

import dataclasses
import io
import logging
import struct
import zlib
from pathlib import Path

import pytest
from scenes import PixelModel
from services import assert_problem, finished, geotiff, pair, picture, run_job, scene, service, stored

from semantic_cc.errors import ConfigError, OutputError
from semantic_cc.serve import serving
from semantic_cc.serve.serve_settings import (
    ServeSettings,
    described_settings,
    flag_of,
    read_settings,
    variable_of,
)
from semantic_cc.serve.service import create_app
from semantic_cc.serve.uploads import DRIVERS, safe_name

VRT = b"""<VRTDataset rasterXSize="64" rasterYSize="48"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>
<SourceFilename>/etc/passwd</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"""


def png(width: int, height: int) -> bytes:
    """A grey PNG of zeros, a bomb if it is large."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    deflate, row = zlib.compressobj(9), bytes(width + 1)
    packed = b"".join(deflate.compress(row) for _ in range(height)) + deflate.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory):
    with service(
        tmp_path_factory.mktemp("serve"), image_pixels=200_000_000, image_side=50_000, upload_bytes=3_000_000
    ) as client:
        yield client


@pytest.mark.parametrize("address", ["/v1/jobs", "/v1/scenes", "/v1/describe"])
@pytest.mark.parametrize(
    ("content", "text"),
    [
        (VRT, "is not an image that this service takes"),
        (b"PK\x03\x04zip", "is not an image that this service takes"),
        (b"\x00" * 1000, "is not an image that this service takes"),
        (b"II*\0" + b"\xff" * 100, "cannot be read"),
        (b"\xff\xd8\xff\xfe" + VRT, "damaged or truncated"),
        (png(10_000, 10_000), "the service takes at most 500 times as many"),
        (png(60_000, 10), "at most 50,000 a side"),
    ],
    ids=["vrt", "zip", "zeros", "tiff", "jpeg-vrt", "bomb", "long"],
)
def test_hostile_files_are_refused_at_once(client, address: str, content: bytes, text: str) -> None:
    answer = client.post(address, files=pair(content))
    assert_problem(answer, 422, text)
    assert (
        "old.png" in answer.json()["detail"]
        or "old.tif" in answer.json()["detail"]
        or "old.jpg" in answer.text
    )
    assert stored(client.app.state.parts.settings.data) == []


def test_a_sparse_tiff_is_a_bomb(client) -> None:
    content = geotiff(1, width=100, height=90)
    sparse = io.BytesIO()
    from rasterio.io import MemoryFile

    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff", width=14_000, height=14_000, count=3, dtype="uint8", tiled=True, SPARSE_OK=True
        ):
            pass
        sparse.write(memory.read())
    assert len(sparse.getvalue()) < 3_000_000
    assert_problem(client.post("/v1/jobs", files=pair(sparse.getvalue(), content, "tif")), 422, "decode to")


def test_no_driver_follows_a_reference() -> None:
    assert set(DRIVERS) == {"GTiff", "PNG", "JPEG", "JP2OpenJPEG", "BMP", "GIF", "WEBP"}


def test_a_job_opens_uploads_with_these_drivers_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from semantic_cc.scene import gdal_files

    seen = set()
    real = gdal_files.DatasetReader

    def watched(name, driver):
        seen.update(driver)
        return real(name, driver=driver)

    monkeypatch.setattr(gdal_files, "DatasetReader", watched)
    with service(tmp_path) as client:
        assert run_job(client, scene())["status"] == "successful"
    assert seen <= set(DRIVERS)


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/cron.d/x.tif",
        "a\0b.png",
        "..",
        "-rf.tif",
        "a;b|c.png",
        "ü" * 400,
        "",
        "C:\\x\\y.tif",
    ],
)
def test_names_of_clients_become_harmless(name: str) -> None:
    safe = safe_name(name, "before")
    assert 0 < len(safe) <= 60 and safe.isascii()
    assert not set(safe) & set("/\\.;|\0") and not safe.startswith("-")


def test_a_large_body_is_refused_before_it_is_read(client) -> None:
    big = {"before": ("a.png", bytes(3_100_000)), "after": ("b.png", b"")}
    assert_problem(client.post("/v1/jobs", files=big), 413, "more than 3,000,000 bytes")

    def chunks():
        for _ in range(40):
            yield bytes(100_000)

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert_problem(
        client.post("/v1/jobs", content=chunks(), headers=headers), 413, "more than 3,000,000 bytes"
    )


def test_a_client_may_have_so_many_jobs(tmp_path: Path) -> None:
    from services import SlowModel

    with service(tmp_path, SlowModel(1), client_jobs=2, job_queue=100) as client:
        for _ in range(2):
            assert client.post("/v1/jobs", files=pair()).status_code == 201
        answer = client.post("/v1/jobs", files=pair())
        assert_problem(answer, 429, "you have 2 unfinished jobs")
        assert answer.headers["retry-after"] == "30"
    with service(tmp_path / "b", SlowModel(1), client_jobs=9, job_queue=1) as client:
        client.post("/v1/jobs", files=pair())
        assert_problem(client.post("/v1/jobs", files=pair()), 429, "the service has 1 unfinished jobs")
        assert len({name.split("/")[1] for name in stored(tmp_path / "b") if name.startswith("jobs/")}) == 1


def test_a_full_disk_quota_is_507(tmp_path: Path) -> None:
    with service(tmp_path, disk_bytes=1000) as client:
        assert_problem(client.post("/v1/jobs", files=pair()), 507, "disk is full")
        assert stored(tmp_path) == []


def test_the_quota_takes_the_oldest_finished_job(tmp_path: Path) -> None:
    with service(tmp_path) as client:
        job = run_job(client, pair())
        size = client.app.state.parts.store.find(job["jobID"]).bytes
    with service(tmp_path, disk_bytes=size + 1) as client:
        client.post("/v1/jobs", files=pair())
        assert client.get(f"/v1/jobs/{job['jobID']}").status_code == 404


def test_an_upload_that_never_fits_removes_no_finished_job(tmp_path: Path) -> None:
    with service(tmp_path) as client:
        job = run_job(client, pair())
        size = client.app.state.parts.store.find(job["jobID"]).bytes
    with service(tmp_path, disk_bytes=size + 1) as client:
        large = pair(picture(1, 400, 400), picture(2, 400, 400))
        assert_problem(client.post("/v1/jobs", files=large), 507, "disk is full")
        assert client.get(f"/v1/jobs/{job['jobID']}").status_code == 200


def test_a_token_is_needed_to_send_list_and_delete_but_not_to_read(tmp_path: Path) -> None:
    with service(tmp_path, tokens=("one", "two")) as client:
        one, two = ({"Authorization": f"Bearer {token}"} for token in ("one", "two"))
        for wrong in ({}, {"Authorization": "Bearer three"}, {"Authorization": "Basic one"}):
            assert_problem(client.post("/v1/describe", files=pair(), headers=wrong), 401, "needs a token")
            assert_problem(client.post("/v1/jobs", files=pair(), headers=wrong), 401, "needs a token")
            assert_problem(client.get("/v1/jobs", headers=wrong), 401, "needs a token")
            assert_problem(client.get("/metrics", headers=wrong), 401, "needs a token")
        job = client.post("/v1/jobs", files=pair(), headers=one).json()["jobID"]
        assert finished(client, job)["status"] == "successful"  # who has the link may read
        assert [j["jobID"] for j in client.get("/v1/jobs", headers=one).json()["jobs"]] == [job]
        assert client.get("/v1/jobs", headers=two).json()["jobs"] == []
        assert client.get("/ogc/jobs", headers=two).json()["jobs"] == []
        assert_problem(client.delete(f"/v1/jobs/{job}", headers=two), 403, "another token")
        assert client.delete(f"/v1/jobs/{job}", headers=one).status_code == 204


def test_ids_are_long_and_random(client) -> None:
    ids = {client.post("/v1/jobs", files=pair()).json()["jobID"] for _ in range(5)}
    assert len(ids) == 5 and all(len(job_id) >= 22 for job_id in ids)


def test_every_answer_has_the_security_headers(client) -> None:
    for address in ("/", "/healthz", "/v1/jobs/none", "/nothing"):
        headers = client.get(address).headers
        assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe-inline" not in headers["content-security-policy"]
        assert headers["referrer-policy"] == "no-referrer"


def test_a_report_cannot_reach_the_service(client) -> None:
    job = run_job(client, scene())
    policy = client.get(f"/v1/jobs/{job['jobID']}/report").headers["content-security-policy"]
    assert (
        "sandbox allow-scripts" in policy and "connect-src" not in policy and "default-src 'none'" in policy
    )


def test_cors_is_off_unless_an_origin_is_named(client, tmp_path: Path) -> None:
    ask = {"Origin": "https://map.example", "Access-Control-Request-Method": "POST"}
    assert "access-control-allow-origin" not in client.options("/v1/jobs", headers=ask).headers
    with service(tmp_path, cors_origins=("https://map.example",)) as open_client:
        answer = open_client.options("/v1/jobs", headers=ask)
        assert answer.headers["access-control-allow-origin"] == "https://map.example"
        other = {**ask, "Origin": "https://other.example"}
        assert "access-control-allow-origin" not in open_client.options("/v1/jobs", headers=other).headers


@pytest.mark.parametrize(
    "name", ["%2e%2e", "../jobs.sqlite3", "%2e%2e%2fjobs.sqlite3", ".scan", "mask.tif/..", "before"]
)
def test_files_are_found_by_their_listed_name_only(client, name: str) -> None:
    job = run_job(client, scene())
    assert client.get(f"/v1/jobs/{job['jobID']}/files/{name}").status_code in (404, 405)


def test_the_log_holds_no_file_names(client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "semantic_cc.serve"):
        job = run_job(client, pair(picture(3)))
    (record,) = [r for r in caplog.records if getattr(r, "route", "") == "/v1/jobs" and r.method == "POST"]
    assert record.status == 201 and record.milliseconds > 0
    text = "\n".join(str(vars(record)) for record in caplog.records if record.name == "semantic_cc.serve")
    assert "old" not in text and job["jobID"] not in text


def test_every_limit_is_shown_with_its_value(client) -> None:
    shown = client.get("/v1/limits").json()
    assert shown["limits"]["upload_bytes"]["value"] == 3_000_000 and shown["token_needed"] is False
    named = {name for name, setting in described_settings().items() if setting.limit}
    assert set(shown["limits"]) == named and len(named) > 15


def test_a_setting_comes_from_the_flag_else_the_variable_else_the_default() -> None:
    environment = {variable_of("upload_bytes"): "5", variable_of("tokens"): "a, b", "PATH": "x"}
    settings = read_settings({"port": "9000"}, environment)
    assert (settings.upload_bytes, settings.port, settings.tokens) == (5, 9000, ("a", "b"))
    assert read_settings({"upload_bytes": "6"}, environment).upload_bytes == 6
    assert read_settings({}, {}) == ServeSettings()
    with pytest.raises(ConfigError, match="SEMANTIC_CC_SERVE_UPLOAD_BYTES is 'many'; give a whole number"):
        read_settings({}, {variable_of("upload_bytes"): "many"})
    with pytest.raises(ConfigError, match="no setting uploads"):
        read_settings({}, {"SEMANTIC_CC_SERVE_UPLOADS": "1"})
    with pytest.raises(ConfigError, match="pair_queue is 0"):
        read_settings({"pair_queue": "0"}, {})
    with pytest.raises(ConfigError, match="port is 80000; give a whole number of at most 65535"):
        read_settings({"port": "80000"}, {})
    with pytest.raises(ConfigError, match="root_path is 'app'; begin it with a slash"):
        read_settings({"root_path": "app"}, {})


@pytest.mark.parametrize("name", ["jobs", "jobs.sqlite3", "workers"])
def test_a_data_folder_that_cannot_be_used_is_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "log_json_lines", lambda: None)
    (tmp_path / name).write_text("neither a folder nor a database " * 9)
    settings, started = ServeSettings(data=tmp_path, port=0), []
    with pytest.raises(OutputError, match=r"cannot hold the jobs .*; choose another --data"):
        serving.serve_app(create_app(settings, PixelModel()), settings, started.append)
    assert started == []


def test_metrics_count_requests_and_batches(client) -> None:
    client.post("/v1/describe", files=pair(picture(5)))
    text = client.get("/metrics").text
    assert 'semantic_cc_requests_total{method="POST",route="/v1/describe",status="200"}' in text
    assert "semantic_cc_batch_pairs_count" in text and "semantic_cc_jobs_unfinished" in text


def test_the_page_lists_every_setting_as_it_is() -> None:
    page = (Path(__file__).parents[2] / "docs/serve.md").read_text(encoding="utf-8")
    for part in dataclasses.fields(ServeSettings):
        default, setting = part.default, described_settings()[part.name]
        shown = (
            "none" if default in ((), "") else f"{default:,}" if isinstance(default, int) else str(default)
        )
        assert f"| `{flag_of(part.name)}` | {shown} | {setting.unit} | {setting.meaning} |" in page

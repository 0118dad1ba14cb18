"""The client and `describe --server`, against a service in a thread of its own."""

import io
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from PIL import Image
from scenes import PixelModel
from services import SlowModel, geotiff, picture

from semantic_cc.client import ServiceClient, ServiceError
from semantic_cc.errors import InputError
from semantic_cc.serve.serve_settings import ServeSettings
from semantic_cc.serve.service import create_app


class Thread:
    """A service on a port of this machine."""

    def __init__(self, folder: Path, model: PixelModel | None = None, **settings) -> None:
        app = create_app(ServeSettings(data=folder, **settings), model or PixelModel())
        self.server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="on"))
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        self.address = f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    thread = Thread(tmp_path_factory.mktemp("serve"))
    yield thread.address
    thread.stop()


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "a.png", tmp_path / "b.png"
    for seed, path in enumerate(paths):
        path.write_bytes(picture(seed))
    return paths


@pytest.fixture
def rasters(tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "a.tif", tmp_path / "b.tif"
    for path, seed in zip(paths, (1, 2), strict=True):
        path.write_bytes(geotiff(seed))
    return paths


def test_a_pair_gets_what_the_model_gives(address: str, pictures: tuple[Path, Path]) -> None:
    with ServiceClient(address) as service:
        found = service.describe(*pictures, instruction="what")
    arrays = [np.asarray(Image.open(path)) for path in pictures]
    (expected,) = PixelModel().describe_batch(*(array[None] for array in arrays), "what")
    assert found.sentence == expected.sentence and found.class_shares == expected.class_shares
    with Image.open(io.BytesIO(found.mask_png)) as mask:
        np.testing.assert_array_equal(np.asarray(mask), expected.mask)


def test_a_scene_is_fetched_whole(address: str, rasters: tuple[Path, Path], tmp_path: Path) -> None:
    seen = []
    with ServiceClient(address) as service:
        job = service.describe_scene(
            *rasters, out=tmp_path / "out", resolution=1.0, progress=lambda *a: seen.append(a)
        )
        report = service.report(job.id)
    assert (
        {path.name for path in (tmp_path / "out").iterdir()} == set(job.files) >= {"mask.tif", "report.html"}
    )
    assert json.loads((tmp_path / "out/report.json").read_text()) == report
    assert report["grid"]["pixel_size_m"] == pytest.approx([1, 1], rel=0.01)
    assert seen and job.page.endswith(f"/jobs/{job.id}/page")


def test_errors_have_the_services_words(address: str, pictures: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "no.png").write_bytes(b"no image")
    with ServiceClient(address) as service:
        with pytest.raises(InputError, match=r"^no.png: is not an image that this service takes"):
            service.describe(tmp_path / "no.png", pictures[1])
        with pytest.raises(InputError, match="there is no job with this id"):
            service.job("none")
        with pytest.raises(InputError, match=r"missing\.png: cannot be read"):
            service.describe(tmp_path / "missing.png", pictures[1])
    with ServiceClient("http://127.0.0.1:9") as service, pytest.raises(ServiceError, match="does not answer"):
        service.job("any")
    with ServiceClient("127.0.0.1:8000") as service, pytest.raises(ServiceError, match="does not answer"):
        service.job("any")


def test_another_server_at_the_address_is_one_line(cli, pictures: tuple[Path, Path]) -> None:
    class LoginPage(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>Log in</html>")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), LoginPage) as server:
        threading.Thread(target=server.serve_forever).start()
        done = cli("describe", *pictures, "--server", f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert done.code == 1 and "answers, but not as semantic-cc serve does" in done.stderr


def test_a_busy_service_is_asked_again(tmp_path: Path, pictures: tuple[Path, Path]) -> None:
    thread = Thread(tmp_path / "serve", SlowModel(0.3), pair_queue=1, pair_batch=1)
    found = []

    def ask() -> None:
        with ServiceClient(thread.address) as service:
            found.append(service.describe(*pictures).sentence)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    thread.stop()
    assert len(found) == 4


def test_describe_with_a_server_prints_and_writes_the_same(
    address: str, cli, pictures, rasters, tmp_path: Path
) -> None:
    done = cli(
        "describe", *pictures, "--server", address, "--out", tmp_path / "pair", "--instruction", "what"
    )
    assert done.code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("what differ") and lines[1].startswith(
        "changed (change probability 0.90), road "
    )
    assert lines[-2].startswith("outputs: ") and lines[-1].startswith(f"page: {address}/jobs/")
    assert (tmp_path / "pair/mask.png").is_file()

    done = cli("describe", *rasters, "--server", address, "--json", "--dates", "2019-01-01", "2024-06-02")
    assert done.code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["places"] and report["files"] == [] and report["dates"] == ["2019-01-01", "2024-06-02"]

    done = cli("describe", *rasters, "--server", address, "--out", tmp_path / "scene")
    assert (
        "that both images show (100x90 pixels)" in done.stdout and (tmp_path / "scene/report.html").is_file()
    )


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--tile", 64), "--tile"),
        (("--overlap", 0), "--overlap"),
        (("--model", "x"), "--model"),
        (("--show-input",), "--show-input"),
    ],
)
def test_options_of_a_local_model_are_refused_with_a_server(cli, pictures, flags, named: str) -> None:
    done = cli("describe", *pictures, "--server", "http://127.0.0.1:9", *flags)
    assert done.code == 2 and f"{named}: the service chooses that itself" in done.stderr


def test_a_token_is_read_from_the_environment(
    cli, pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = Thread(tmp_path / "serve", tokens=("secret",))
    refused = cli("describe", *pictures, "--server", thread.address)
    monkeypatch.setenv("SEMANTIC_CC_TOKEN", "secret")
    taken = cli("describe", *pictures, "--server", thread.address)
    thread.stop()
    assert refused.code == 2 and "this service needs a token" in refused.stderr
    assert taken.code == 0

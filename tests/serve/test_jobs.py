"""Jobs from upload to files, tiles and places."""

import io
import itertools
import json
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.io import MemoryFile
from scenes import PLACE, UTM, landscape
from services import (
    SlowModel,
    assert_problem,
    finished,
    geotiff,
    pair,
    picture,
    run_job,
    scene,
    service,
    stored,
)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory):
    with service(tmp_path_factory.mktemp("serve")) as client:
        yield client


@pytest.fixture(scope="module")
def done(client) -> dict:
    """A successful scene."""
    status = run_job(client, scene(), "/v1/scenes", before_date="2019-05-31", after_date="2024-06-02")
    assert status["status"] == "successful", status
    return status


def test_a_scene_gives_what_the_command_writes(client, done: dict) -> None:
    assert {"mask.tif", "probability.tif", "changes.geojson", "report.json", "report.html"} <= set(
        done["files"]
    )
    report = client.get(f"/v1/jobs/{done['jobID']}/report", params={"format": "json"}).json()
    assert report["figures"]["places"] == len(report["places"]) > 0
    assert report["dates"] == ["2019-05-31", "2024-06-02"]
    assert done["progress"] == 100 and done["kind"] == "scene" and done["message"] == ""


def test_places_are_geojson(client, done: dict) -> None:
    answer = client.get(f"/v1/jobs/{done['jobID']}/places")
    assert answer.headers["content-type"] == "application/geo+json"
    collection = answer.json()
    ring = collection["features"][0]["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1] and len(ring) == 5
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in itertools.pairwise(ring))
    assert area > 0  # counter-clockwise
    assert collection["features"][0]["properties"]["sentence"]


def test_files_answer_range_requests(client, done: dict) -> None:
    address = f"/v1/jobs/{done['jobID']}/files/mask.tif"
    whole = client.get(address)
    assert whole.headers["accept-ranges"] == "bytes" and whole.content[:4] == b"II*\0"
    head = client.head(address)
    assert head.headers["content-length"] == str(len(whole.content)) and head.content == b""
    part = client.get(address, headers={"Range": "bytes=8-15"})
    assert part.status_code == 206 and part.content == whole.content[8:16]
    assert client.get(address, headers={"Range": f"bytes={10**9}-"}).status_code == 416


def test_tiles_show_the_dates_and_the_mask(client, done: dict) -> None:
    for layer in ("before", "after", "mask", "probability"):
        tiles = client.get(f"/v1/jobs/{done['jobID']}/tiles/{layer}").json()
        assert tiles["crs"] == "EPSG:3857" and tiles["minzoom"] <= tiles["maxzoom"]
        west, south, east, north = tiles["bounds"]
        zoom = tiles["maxzoom"]
        x = int((west + east) / 2 / 360 * 2**zoom + 2 ** (zoom - 1))
        latitude = np.radians((south + north) / 2)
        y = int((1 - np.arcsinh(np.tan(latitude)) / np.pi) * 2 ** (zoom - 1))
        answer = client.get(tiles["tiles"][0].format(z=zoom, x=x, y=y))
        assert answer.headers["content-type"] == "image/png"
        with Image.open(io.BytesIO(answer.content)) as tile:
            assert tile.size == (256, 256)
            opaque = np.asarray(tile.convert("RGBA"))[..., 3] > 0
        assert opaque.any() and (
            layer != "mask" or not opaque.all()
        )  # the mask hides nothing that did not change
    assert client.get(f"/v1/jobs/{done['jobID']}/tiles/mask/3/0/0.png").status_code == 204
    assert client.get(f"/v1/jobs/{done['jobID']}/tiles/mask/3/9/0.png").status_code == 204


def test_a_scene_without_a_place_has_tiles_of_pixels(client) -> None:
    files = pair(picture(1, 300, 300), picture(2, 300, 300))
    done = run_job(client, files, "/v1/scenes")
    assert done["status"] == "successful", done
    tiles = client.get(f"/v1/jobs/{done['jobID']}/tiles/after").json()
    assert tiles["crs"] is None
    answer = client.get(tiles["tiles"][0].format(z=tiles["maxzoom"], x=0, y=0))
    with Image.open(io.BytesIO(answer.content)) as tile, Image.open(io.BytesIO(files["after"][1])) as image:
        np.testing.assert_array_equal(np.asarray(tile)[..., :3], np.asarray(image)[:256, :256])
    assert_problem(client.get(f"/v1/jobs/{done['jobID']}/places"), 422, "where on Earth")


def test_the_map_shows_the_after_image_where_coregister_put_it(client) -> None:
    ground = landscape(320, 320, 5)
    settings = {"driver": "GTiff", "width": 300, "height": 300, "count": 3, "dtype": "uint8", "crs": UTM}
    files = []
    for shift in (0, 4):  # the content of the after image lies 4 pixels further left
        with MemoryFile() as memory:
            with memory.open(**settings, transform=PLACE) as file:
                file.write(ground[:300, shift : shift + 300].transpose(2, 0, 1))
            files.append(memory.read())
    done = run_job(client, pair(*files, "tif"), coregister="true")
    assert done["status"] == "successful", done
    folder = client.app.state.parts.folder(client.app.state.parts.store.find(done["jobID"]))
    with (
        rasterio.open(folder.view / "before.tif") as before,
        rasterio.open(folder.view / "after.tif") as after,
    ):
        inner = ((20, 280), (20, 280))
        difference = np.abs(before.read(window=inner).astype(int) - after.read(window=inner))
    assert difference.mean() < 1


def test_a_plain_pair_is_a_job_too(client) -> None:
    done = run_job(client, pair())
    assert done["kind"] == "pair" and "overlay.png" in done["files"]
    with Image.open(io.BytesIO(client.get(f"/v1/jobs/{done['jobID']}/images/before.png").content)) as image:
        assert image.size == (64, 48)
    report = client.get(f"/v1/jobs/{done['jobID']}/report").json()
    assert "pixels differ" in report["sentence"]
    assert_problem(client.get(f"/v1/jobs/{done['jobID']}/tiles/mask"), 404, "pairs have images")


def test_options_of_scenes_are_refused_for_a_plain_pair(client) -> None:
    folder = client.app.state.parts.settings.data
    before = stored(folder)
    options = {"bands": "3,2,1", "coregister": "true", "match_radiometry": "false"}
    options |= {"before_date": "2019-05-31", "after_date": "2024-06-02"}
    answer = client.post("/v1/jobs", files=pair(), data=options)
    named = (
        "bands, match_radiometry, coregister, before_date, after_date: for georeferenced images only, and old.png and "
        "new.png are plain"
    )
    assert_problem(answer, 422, named)
    assert [name for name in stored(folder) if name not in before] == []


def test_results_say_nothing_about_the_server(client, done: dict, tmp_path: Path) -> None:
    names = ("report.json", "scene.json", "report.html")
    texts = [client.get(f"/v1/jobs/{done['jobID']}/files/{name}").text for name in names]
    folder = str(client.app.state.parts.settings.data)
    assert not any(done["jobID"] in text or folder in text for text in texts)
    assert [image["name"] for image in json.loads(texts[0])["inputs"]] == ["old.tif", "new.tif"]


def test_uploads_are_removed_when_the_job_has_ended(tmp_path: Path) -> None:
    with service(tmp_path) as client:
        run_job(client, pair())
        end = time.monotonic() + 5
        while any("before/" in name for name in stored(tmp_path)) and time.monotonic() < end:
            time.sleep(0.01)
        assert not [name for name in stored(tmp_path) if "/before/" in name or name.startswith("incoming/")]


def test_a_failed_job_says_why_in_the_commands_words(client) -> None:
    other = geotiff(2)  # the same picture, elsewhere
    done = run_job(client, pair(geotiff(1, crs="EPSG:32633"), other, "tif"))
    assert done["status"] == "failed"
    assert "old.tif" in done["message"] and "/" not in done["message"].split(":")[0]
    assert_problem(client.get(f"/v1/jobs/{done['jobID']}/report"), 409, done["message"])


def test_a_job_that_runs_has_no_results_and_can_be_dismissed(tmp_path: Path) -> None:
    with service(tmp_path, SlowModel(0.1)) as client:
        job = client.post("/v1/scenes", files=scene(height=900, width=600)).json()
        address = f"/v1/jobs/{job['jobID']}"
        end = time.monotonic() + 20
        while client.get(address).json()["done"] == 0 and time.monotonic() < end:
            time.sleep(0.05)
        status = client.get(address).json()
        assert status["step"] == "windows" and 0 < status["progress"] < 100
        assert_problem(client.get(f"{address}/report"), 409, "has not ended")
        assert client.delete(address).status_code == 204
        assert_problem(client.get(address), 404, "no job")
        assert client.get("/v1/jobs").json()["jobs"] == []
        second = run_job(client, pair())  # the runner is free again
        assert second["status"] == "successful"


def test_the_list_holds_the_newest_first(tmp_path: Path) -> None:
    with service(tmp_path) as client:
        ids = [run_job(client, pair())["jobID"] for _ in range(3)]
        assert [job["jobID"] for job in client.get("/v1/jobs").json()["jobs"]] == ids[::-1]
        assert [job["jobID"] for job in client.get("/v1/jobs?limit=1&offset=1").json()["jobs"]] == [ids[1]]


def test_finished_jobs_expire_by_age_and_by_size(tmp_path: Path) -> None:
    with service(tmp_path, keep_bytes=1) as client:
        job = run_job(client, pair())
        client.app.state.parts.housekeeping.clean()
        assert client.get(f"/v1/jobs/{job['jobID']}").status_code == 404
        assert [name for name in stored(tmp_path) if name != "incoming"] == []
    with service(tmp_path, keep_seconds=1) as client:
        job = run_job(client, pair())
        time.sleep(1.1)
        client.app.state.parts.housekeeping.clean()
        assert client.get(f"/v1/jobs/{job['jobID']}").status_code == 404


def test_uploads_that_a_killed_process_left_are_removed(tmp_path: Path) -> None:
    with service(tmp_path) as client:
        parts = client.app.state.parts
        for worker in ("dead", parts.workers.own):
            made = tmp_path / f"{worker}-1"  # moved in whole: the service cleans up beside this test
            (made / "before").mkdir(parents=True)
            made.rename(parts.incoming / made.name)
        parts.housekeeping.clean()
        assert [path.name for path in parts.incoming.iterdir()] == [f"{parts.workers.own}-1"]


def test_a_stopped_service_goes_on_where_it_was(tmp_path: Path) -> None:
    with service(tmp_path, SlowModel(0.1)) as client:
        job = client.post("/v1/scenes", files=scene(height=900, width=300)).json()
        end = time.monotonic() + 20
        while client.get(f"/v1/jobs/{job['jobID']}").json()["done"] < 4 and time.monotonic() < end:
            time.sleep(0.02)
    (scan,) = tmp_path.rglob(".scan")
    rows = json.loads((scan / "state.json").read_text())["rows"]
    assert rows >= 1
    model = SlowModel()
    with service(tmp_path, model) as client:
        assert finished(client, job["jobID"])["status"] == "successful"
        assert len(client.get("/v1/jobs").json()["jobs"]) == 1

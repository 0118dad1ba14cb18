"""OGC API - Processes: the documents against the standard's published schemas, and a real client.

The classes of `ogc_api_processes_client.models` are generated from the standard's OpenAPI document (OGC 18-062r2).
"""

import base64
import time
from pathlib import Path

import ogc_api_processes_client.models as ogc
import pytest
from services import SlowModel, assert_problem, picture, scene, service

from semantic_cc.serve.ogc_process import CONFORMANCE


def valid(answer, kind: type, status: int = 200):
    """The answer's document, checked."""
    assert answer.status_code == status, answer.text
    kind.from_dict(answer.json())
    return answer.json()


def inputs(**options) -> dict:
    """An execute request for a scene."""
    files = scene()
    images = {
        role: {"value": base64.b64encode(content).decode(), "encoding": "base64", "mediaType": "image/tiff"}
        for role, (_, content) in files.items()
    }
    return {"inputs": {**images, **options}}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory):
    with service(tmp_path_factory.mktemp("serve")) as client:
        yield client


@pytest.fixture(scope="module")
def job(client) -> str:
    """Address of a successful job."""
    answer = client.post(
        "/ogc/processes/describe-change/execution",
        json=inputs(resolution=0.5),
        headers={"Prefer": "respond-async"},
    )
    valid(answer, ogc.StatusInfo, 201)
    assert answer.headers["preference-applied"] == "respond-async"
    end = time.monotonic() + 30
    while valid(client.get(answer.headers["location"]), ogc.StatusInfo)["status"] in ("accepted", "running"):
        assert time.monotonic() < end
        time.sleep(0.02)
    return answer.headers["location"]


def test_the_landing_page_leads_everywhere(client) -> None:
    links = {link["rel"]: link["href"] for link in valid(client.get("/ogc"), ogc.LandingPage)["links"]}
    rel = "http://www.opengis.net/def/rel/ogc/1.0/"
    for name in ("service-desc", "service-doc", "conformance", f"{rel}processes", f"{rel}job-list"):
        assert client.get(links[name]).status_code == 200, name


def test_conformance_names_core_and_job_list(client) -> None:
    classes = valid(client.get("/ogc/conformance"), ogc.ConfClasses)["conformsTo"]
    base = "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/"
    assert {f"{base}core", f"{base}job-list"} <= set(classes) == set(CONFORMANCE)


def test_the_process_is_described(client) -> None:
    (summary,) = valid(client.get("/ogc/processes"), ogc.ProcessList)["processes"]
    process = valid(client.get(summary["links"][0]["href"]), ogc.Process)
    assert {"before", "after", "resolution", "crs"} <= set(process["inputs"])
    assert process["inputs"]["coregister"]["schema"] == {"type": "boolean", "default": False}
    (execute,) = [link for link in process["links"] if link["rel"].endswith("/execute")]
    assert execute["href"].endswith("/ogc/processes/describe-change/execution")


def test_results_are_values_and_references(client, job: str) -> None:
    results = client.get(f"{job}/results").json()
    assert set(results) == {"sentence", "report", "mask", "changes", "places"}
    assert isinstance(results["sentence"], str)
    for name in ("report", "mask", "changes", "places"):
        ogc.InlineOrRefData.from_dict(results[name])
    assert results["report"]["value"]["sentence"] == results["sentence"]
    assert client.get(results["mask"]["href"]).content[:4] == b"II*\0"
    assert client.get(results["places"]["href"]).json()["type"] == "FeatureCollection"


def test_the_job_list_is_narrowed(client, job: str) -> None:
    job_id = job.rsplit("/", 1)[1]

    def listed(**query) -> list[str]:
        return [one["jobID"] for one in valid(client.get("/ogc/jobs", params=query), ogc.JobList)["jobs"]]

    assert job_id in listed() and job_id in listed(
        status="successful", type="process", processID="describe-change"
    )
    assert job_id not in listed(status="failed") and listed(processID="other") == []
    assert (
        job_id in listed(datetime="2000-01-01T00:00:00Z/..")
        and listed(datetime="../2000-01-01T00:00:00Z") == []
    )
    assert job_id in listed(maxDuration=1000) and listed(minDuration=1000) == []
    assert_problem(
        client.get("/ogc/jobs", params={"datetime": "soon"}), 422, "datetime: 'soon' is not a date"
    )
    assert client.get("/ogc/jobs", params={"limit": 0}).status_code == 422


def test_a_long_list_has_a_next_page(client, job: str) -> None:
    client.post("/ogc/processes/describe-change/execution", json=inputs())
    page = client.get("/ogc/jobs", params={"limit": 1}).json()
    (following,) = [link["href"] for link in page["links"] if link["rel"] == "next"]
    assert client.get(following).json()["jobs"][0]["jobID"] != page["jobs"][0]["jobID"]


def test_a_job_is_dismissed(tmp_path: Path) -> None:
    with service(tmp_path, SlowModel(0.2)) as client:
        address = client.post("/ogc/processes/describe-change/execution", json=inputs()).headers["location"]
        assert valid(client.get(f"{address}/results"), ogc.Exception, 404)["type"].endswith(
            "/result-not-ready"
        )
        assert valid(client.delete(address), ogc.StatusInfo)["status"] == "dismissed"
        assert valid(client.get(address), ogc.Exception, 404)["type"].endswith("/no-such-job")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ([], "key inputs"),
        ({"inputs": {}}, "inputs.before: give the image as a string in base64"),
        (inputs(tile=3), "inputs.tile: the process has no such input"),
        (inputs(resolution="half"), "inputs.resolution: give a number of metres"),
        (inputs(resolution=10**400), "inputs.resolution: is too large"),
        (inputs(before_date="0001-01-01T00:00+02:00", after_date="2020-01-01"), "is not a date in ISO 8601"),
        (inputs(strict="yes"), "inputs.strict: give true or false"),
        (inputs() | {"outputs": {"x": {}}}, "outputs.x: the process has no such output"),
        ({"inputs": {"before": {"href": "http://10.0.0.1/a.tif"}, "after": "AA"}}, "fetches nothing from other hosts"),
        ({"inputs": {"before": {"href": "file:///etc/passwd"}, "after": "AA"}}, "fetches nothing from other hosts"),
        ({"inputs": {"before": "%%%", "after": "AA=="}}, "inputs.before: is not base64"),
    ],
)  # fmt: skip
def test_wrong_requests_are_one_line(client, body, text: str) -> None:
    assert_problem(client.post("/ogc/processes/describe-change/execution", json=body), 422, text)


def test_unknown_processes_and_broken_json_are_exceptions(client) -> None:
    assert valid(client.get("/ogc/processes/x"), ogc.Exception, 404)["type"].endswith("/no-such-process")
    broken = client.post("/ogc/processes/describe-change/execution", content=b"{" * 100_000)
    valid(broken, ogc.Exception, 400)


def test_an_image_may_be_a_data_url(client) -> None:
    body = {
        "inputs": {
            role: {"href": f"data:image/png;base64,{base64.b64encode(picture(seed)).decode()}"}
            for seed, role in enumerate(("before", "after"))
        }
    }
    answer = client.post("/ogc/processes/describe-change/execution", json=body)
    assert valid(answer, ogc.StatusInfo, 201)["kind"] == "pair"


@pytest.mark.slow
def test_owslib_speaks_to_it(tmp_path: Path) -> None:
    from owslib.ogcapi.processes import Processes
    from serve_process_client import server

    with server(tmp_path / "data", 0.01) as (_, http):
        client = Processes(f"{str(http.base_url).rstrip('/')}/ogc/")
        assert any(name.endswith("/conf/core") for name in client.conformance()["conformsTo"])
        assert [process["id"] for process in client.processes()] == ["describe-change"]
        assert "before" in client.process("describe-change")["inputs"]
        job = client.execute("describe-change", inputs()["inputs"], async_=True)
        end = time.monotonic() + 60
        while (state := http.get(f"/ogc/jobs/{job['jobID']}").json())["status"] != "successful":
            assert time.monotonic() < end, state
            time.sleep(0.1)
        assert http.get(f"/ogc/jobs/{job['jobID']}/results").json()["sentence"]


@pytest.mark.slow
def test_rio_reads_parts_of_a_result_by_its_address(tmp_path: Path) -> None:
    import rasterio
    from serve_process_client import server

    with server(tmp_path / "data", 0) as (_, http):
        job = http.post("/v1/scenes", files=scene(height=600, width=600)).json()["jobID"]
        end = time.monotonic() + 60
        while http.get(f"/v1/jobs/{job}").json()["status"] != "successful":
            assert time.monotonic() < end
            time.sleep(0.1)
        with rasterio.open(f"{str(http.base_url).rstrip('/')}/v1/jobs/{job}/files/mask.tif") as dataset:
            assert (dataset.width, dataset.height) == (600, 600) and dataset.read(1).any()
        assert 'route="/v1/jobs/{job_id}/files/{name}",status="206"' in http.get("/metrics").text

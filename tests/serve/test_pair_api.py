"""`POST /v1/describe`: the answer, its errors, batches and the bounded queue."""

import base64
import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from services import SlowModel, assert_problem, geotiff, pair, picture, service, stored

from semantic_cc.serve.model_queue import ModelQueue
from semantic_cc.types import BUILDING, ROAD


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory):
    with service(tmp_path_factory.mktemp("serve"), pair_pixels=300 * 300) as client:
        yield client


def test_a_pair_is_described(client) -> None:
    answer = client.post("/v1/describe", files=pair(), data={"instruction": "what"}).json()
    assert answer["sentence"].startswith("what differ") and answer["changed"] is True
    assert answer["change_probability"] == 0.9 and (answer["width"], answer["height"]) == (64, 48)
    with Image.open(io.BytesIO(base64.b64decode(answer["mask_png"]))) as mask:
        labels = np.asarray(mask)
    assert labels.shape == (48, 64)
    for name, value in (("road", ROAD), ("building", BUILDING)):
        assert answer["classes"][name]["pixels"] == (labels == value).sum()
    assert answer["changed_share"] == pytest.approx((labels > 0).mean())
    assert answer["model"] == {"name": "pixels", "digest": "d1"} and answer["milliseconds"] > 0


def test_the_mask_can_be_left_out(client) -> None:
    answer = client.post("/v1/describe", files=pair(), data={"mask": "none"}).json()
    assert answer["mask_png"] is None and answer["classes"]


@pytest.mark.parametrize(
    ("files", "text"),
    [
        (pair(b""), "old.png: is empty"),
        (pair(b"<html>"), "old.png: is not an image"),
        (pair(picture()[:200]), "old.png: damaged or truncated"),
        (pair(after=picture(2, 50, 64)), "sizes differ"),
        (pair(picture(1, 8, 8), picture(2, 8, 8)), "too small"),
        (pair(picture(1, 301, 300), picture(2, 301, 300)), "send the pair to /v1/scenes"),
        (pair(geotiff(1), geotiff(2), "tif"), "send the pair to /v1/scenes"),
        ({"before": ("a.png", picture())}, "after: field required"),
    ],
)
def test_wrong_input_is_one_line(client, files, text: str) -> None:
    answer = client.post("/v1/describe", files=files)
    assert_problem(answer, 422, text)
    assert "incoming" not in answer.text


def test_the_same_bytes_twice_are_noted(client) -> None:
    answer = client.post("/v1/describe", files=pair(picture(1), picture(1)))
    assert "old.png and new.png hold the same bytes" in answer.json()["notes"][0]


def test_nothing_is_left_of_a_described_pair(client, tmp_path: Path) -> None:
    with service(tmp_path) as own:
        own.post("/v1/describe", files=pair())
        own.post("/v1/describe", files=pair(b"no"))
        assert stored(tmp_path) == []


def test_concurrent_pairs_of_one_size_share_batches(tmp_path: Path) -> None:
    model = SlowModel(0.05)
    with service(tmp_path, model, pair_batch=4) as client, ThreadPoolExecutor(12) as pool:
        answers = list(
            pool.map(lambda seed: client.post("/v1/describe", files=pair(picture(seed))), range(12))
        )
        alone = [client.post("/v1/describe", files=pair(picture(seed))).json() for seed in range(12)]
    assert max(model.batches[:-12]) in (2, 3, 4) and sum(model.batches) == 24
    for answer, same in zip(answers, alone, strict=True):  # each client gets its own pair's answer
        assert answer.json()["mask_png"] == same["mask_png"]


def test_pairs_of_other_sizes_wait_for_their_own_batch(tmp_path: Path) -> None:
    model = SlowModel(0.05)
    sizes = [(48, 64), (64, 48)] * 4
    with service(tmp_path, model) as client, ThreadPoolExecutor(8) as pool:

        def ask(size: tuple[int, int]) -> tuple[int, int]:
            answer = client.post("/v1/describe", files=pair(picture(1, *size), picture(2, *size))).json()
            return answer["height"], answer["width"]

        assert list(pool.map(ask, sizes)) == sizes


def test_a_full_queue_answers_429_with_retry_after(tmp_path: Path) -> None:
    with (
        service(tmp_path, SlowModel(0.3), pair_queue=1, pair_batch=1) as client,
        ThreadPoolExecutor(6) as pool,
    ):
        answers = list(pool.map(lambda _: client.post("/v1/describe", files=pair()), range(6)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused and any(answer.status_code == 200 for answer in answers)
    assert_problem(refused[0], 429, "wait for the model")
    assert int(refused[0].headers["retry-after"]) >= 1


def test_a_pair_whose_answer_would_come_too_late_is_refused_at_once(tmp_path: Path) -> None:
    with (
        service(tmp_path, SlowModel(0.3), pair_seconds=2, pair_batch=1) as client,
        ThreadPoolExecutor(12) as pool,
    ):
        answers = list(pool.map(lambda _: client.post("/v1/describe", files=pair()), range(12)))
    assert {answer.status_code for answer in answers} == {200, 429}


def test_a_pair_that_waits_too_long_is_taken_back(tmp_path: Path) -> None:
    model = SlowModel(1.5)
    with service(tmp_path, model, pair_seconds=1, pair_batch=1) as client, ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: client.post("/v1/describe", files=pair()), range(3)))
        late = [answer for answer in answers if answer.status_code == 503]
        assert_problem(late[0], 503, "within 1 seconds")
        time.sleep(0.7)
    assert sum(model.batches) < 3  # those that waited were never run


def test_the_model_runs_in_one_thread(tmp_path: Path) -> None:
    seen = set()

    class Watched(SlowModel):
        def predict_masks(self, before, after):
            seen.add(threading.current_thread().name)
            return super().predict_masks(before, after)

    with service(tmp_path, Watched()) as client, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: client.post("/v1/describe", files=pair()), range(4)))
    assert seen == {"model"}


def test_an_error_of_the_model_is_no_traceback(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(SlowModel):
        def describe_batch(self, before, after, instruction=None):
            raise ZeroDivisionError("secret")

    with service(tmp_path, Broken()) as client:
        answer = client.post("/v1/describe", files=pair())
        assert_problem(answer, 500, "its log says which")
        assert "secret" not in answer.text
        assert client.get("/readyz").status_code == 200  # the next request may work


def test_an_ended_queue_takes_nothing() -> None:
    queue = ModelQueue(SlowModel(), most_waiting=1, most_seconds=1, most_batched=1)
    queue.close()
    image = np.zeros((48, 64, 3), np.uint8)
    for ask in (lambda: queue.describe(image, image, None), lambda: queue.run(int)):
        with pytest.raises(RuntimeError, match="is shutting down"):
            ask()

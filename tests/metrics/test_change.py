"""Change scores: hand-counted numbers, streaming, and the meaning of zero."""

import json

import pytest
import torch

from semantic_cc.errors import DataError
from semantic_cc.metrics import ChangeMetric
from semantic_cc.types import LEFT_OUT


def scores(prediction, truth):
    metric = ChangeMetric()
    metric.update(torch.tensor([prediction]), torch.tensor([truth]))
    return metric.compute()


def test_hand_counted():
    # building: TP 2, FP 1, FN 1, TN 4; road called building is a found change
    score = scores([[2, 2, 2, 0], [1, 0, 0, 1]], [[2, 2, 1, 2], [1, 0, 0, 0]])
    assert score.confusion == ((2, 1, 0), (0, 1, 1), (1, 0, 2))
    assert score.pixels == 8
    building = score.building
    assert building.precision == pytest.approx(200 / 3)
    assert building.recall == pytest.approx(200 / 3)
    assert building.f1 == pytest.approx(400 / 6)
    assert building.iou == pytest.approx(50)
    assert building.accuracy == pytest.approx(75)
    assert (score.road.precision, score.road.recall, score.road.iou) == pytest.approx((50, 50, 100 / 3))
    assert (score.change.precision, score.change.recall, score.change.iou) == pytest.approx((80, 80, 400 / 6))
    assert score.accuracy == pytest.approx(62.5)
    assert score.mean_iou == pytest.approx((50 + 100 / 3 + 50) / 3)  # none: 2 right of 4 in either


def test_all_pixels_of_a_split_count_alike():
    generator = torch.Generator().manual_seed(0)
    prediction, truth = (torch.randint(0, 3, (6, 9, 9), generator=generator) for _ in range(2))
    streamed, whole = ChangeMetric(), ChangeMetric()
    for index in (slice(0, 1), slice(1, 4), slice(4, 6)):
        streamed.update(prediction[index], truth[index].to(torch.uint8))
    whole.update(prediction, truth)
    assert streamed.compute() == whole.compute()
    assert streamed.compute().pixels == 6 * 81


def test_more_pixels_than_float32_can_count():
    metric = ChangeMetric()
    zeros = torch.zeros(1, 4096, 4200, dtype=torch.uint8)
    metric.update(zeros, zeros)
    metric.update(zeros[:, :1, :1], zeros[:, :1, :1])
    assert metric.compute().pixels == 4096 * 4200 + 1 > 2**24


def test_zero_denominator_is_zero():
    score = scores([[0, 0]], [[0, 0]])
    assert (score.building.precision, score.building.recall, score.building.f1, score.building.iou) == (
        0,
        0,
        0,
        0,
    )
    assert score.building.accuracy == score.accuracy == 100
    assert score.mean_iou == 100  # of the one class there is


def test_what_is_not_known_is_not_scored():
    score = scores([[2, 2, 0, 2]], [[2, LEFT_OUT, LEFT_OUT, 0]])
    assert (score.pixels, score.building.precision, score.building.recall) == (2, 50, 100)
    with pytest.raises(DataError, match="the masks label none"):
        scores([[2, 0]], [[LEFT_OUT, LEFT_OUT]])


def test_reset_and_dict():
    metric = ChangeMetric().to("cpu")
    metric.update(torch.tensor([[[1]]]), torch.tensor([[[0]]]))
    metric.reset()
    with pytest.raises(DataError, match="no pixels to score"):
        metric.compute()
    metric.update(torch.tensor([[[2]]]), torch.tensor([[[2]]]))
    assert json.loads(json.dumps(metric.compute().to_json()))["building"]["f1"] == 100


@pytest.mark.parametrize(
    ("prediction", "truth", "message"),
    [
        (
            torch.zeros(1, 2, 2),
            torch.zeros(1, 2, 2, dtype=torch.long),
            "prediction: must hold class indices 0..2",
        ),
        (
            torch.zeros(1, 2, 2, dtype=torch.long),
            torch.full((1, 2, 2), 255),
            "truth: must hold class indices",
        ),
        (torch.zeros(1, 2, 2, dtype=torch.long), torch.full((1, 2, 2), -2), "truth: must hold class indices"),
        (torch.full((1, 2, 2), -1), torch.zeros(1, 2, 2, dtype=torch.long), "prediction: must hold"),
        (torch.zeros(1, 2, 2, dtype=torch.long), torch.zeros(1, 2, 3, dtype=torch.long), "differ in shape"),
    ],
)
def test_bad_input(prediction, truth, message):
    with pytest.raises(DataError, match=message):
        ChangeMetric().update(prediction, truth)


def test_it_asks_no_other_process(monkeypatch, tmp_path):
    """Each process of a training scores all pairs, on the CPU, where NCCL cannot gather."""
    store = f"file://{tmp_path / 'store'}"
    torch.distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    monkeypatch.setattr(torch.distributed, "all_gather", lambda *_, **__: pytest.fail("it gathered"))
    try:
        metric = ChangeMetric()
        metric.update(torch.tensor([[[2, 0]]]), torch.tensor([[[2, 2]]]))
        assert metric.compute().pixels == 2
    finally:
        torch.distributed.destroy_process_group()

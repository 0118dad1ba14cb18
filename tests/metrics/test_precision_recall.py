"""The streamed curve against one that sorts every pixel."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semantic_cc.errors import DataError
from semantic_cc.metrics.precision_recall import BINS, CurveMetric


def curve(probability: torch.Tensor, truth: torch.Tensor, parts: int = 1):
    metric = CurveMetric()
    for p, t in zip(probability.chunk(parts), truth.chunk(parts), strict=True):
        metric.update(p, t)
    return metric.compute()


def sorted_ap(probability: np.ndarray, truth: np.ndarray) -> float:
    """Average precision over each distinct probability, from the highest down."""
    total, before = 0.0, 0.0
    for threshold in sorted(set(probability.tolist()), reverse=True):
        chosen = probability >= threshold
        recall = truth[chosen].sum() / max(truth.sum(), 1)
        total += (recall - before) * truth[chosen].mean()
        before = recall
    return 100 * total


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, BINS - 1), st.booleans()), min_size=1, max_size=60))
def test_equals_sorting_where_bins_lose_nothing(pixels: list[tuple[int, bool]]) -> None:
    probability = torch.tensor([(bin_ + 0.5) / BINS for bin_, _ in pixels])
    truth = torch.tensor([true for _, true in pixels])
    result = curve(probability, truth)
    assert result.average_precision == pytest.approx(sorted_ap(probability.numpy(), truth.numpy()), abs=1e-9)
    f1 = []
    for bin_ in range(BINS):
        chosen = probability >= bin_ / BINS
        right = int((chosen & truth).sum())
        f1.append(200 * right / max(int(chosen.sum()) + int(truth.sum()), 1))
    assert result.best_f1 == pytest.approx(max(f1))
    assert f1[round(result.best_threshold * BINS)] == pytest.approx(max(f1))


def test_points_streamed() -> None:
    generator = torch.Generator().manual_seed(1)
    truth = torch.rand(40, 50, generator=generator) < 0.3
    probability = (0.4 * truth + 0.6 * torch.rand(40, 50, generator=generator)).clamp(0, 1)
    result = curve(probability, truth, parts=4)
    assert result == curve(probability, truth)
    assert len(result.points) == 100
    threshold, precision, recall = result.points[50]
    chosen = probability >= 0.5
    assert threshold == 0.5
    assert precision == pytest.approx(100 * float(truth[chosen].float().mean()))
    assert recall == pytest.approx(100 * float(chosen[truth].float().mean()))
    assert json.loads(json.dumps(result.to_dict()))["points"][0] == [
        0.0,
        pytest.approx(100 * truth.float().mean()),
        100,
    ]


def test_extremes() -> None:
    sure = curve(torch.tensor([0.0, 1.0]), torch.tensor([False, True]))
    assert (sure.average_precision, sure.best_f1) == (100, 100)
    nothing = curve(torch.tensor([0.2, 0.7]), torch.tensor([False, False]))
    assert (nothing.average_precision, nothing.best_f1) == (0, 0)


def test_refusals() -> None:
    with pytest.raises(DataError, match="no pixels to score"):
        CurveMetric().compute()
    with pytest.raises(DataError, match="differ in shape"):
        CurveMetric().update(torch.zeros(2), torch.zeros(3, dtype=torch.bool))
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(DataError, match=r"must be in \[0, 1\]"):
            CurveMetric().update(torch.tensor([wrong]), torch.tensor([True]))

"""The streamed curve against one that sorts every pixel."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semantic_cc.errors import DataError
from semantic_cc.metrics.precision_recall import (
    BINS,
    PrecisionRecallCurve,
    precision_recall_curve,
    probability_counts,
)


def curve(probability: np.ndarray, truth: np.ndarray, parts: int = 1) -> PrecisionRecallCurve:
    pieces = zip(np.array_split(probability, parts), np.array_split(truth, parts), strict=True)
    return precision_recall_curve(sum(probability_counts(*piece) for piece in pieces))


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
    probability = np.array([(bin_ + 0.5) / BINS for bin_, _ in pixels])
    truth = np.array([true for _, true in pixels])
    result = curve(probability, truth)
    assert result.average_precision == pytest.approx(sorted_ap(probability, truth), abs=1e-9)
    f1 = []
    for bin_ in range(BINS):
        chosen = probability >= bin_ / BINS
        right = int((chosen & truth).sum())
        f1.append(200 * right / max(int(chosen.sum()) + int(truth.sum()), 1))
    assert result.best_f1 == pytest.approx(max(f1))
    assert f1[round(result.best_threshold * BINS)] == pytest.approx(max(f1))


def test_points_streamed() -> None:
    rng = np.random.default_rng(1)
    truth = rng.random((40, 50)) < 0.3
    probability = (0.4 * truth + 0.6 * rng.random((40, 50))).clip(0, 1)
    result = curve(probability, truth, parts=4)
    assert result == curve(probability, truth)
    assert len(result.points) == 100
    threshold, precision, recall = result.points[50]
    chosen = probability >= 0.5
    assert threshold == 0.5
    assert precision == pytest.approx(100 * truth[chosen].mean())
    assert recall == pytest.approx(100 * chosen[truth].mean())
    assert json.loads(json.dumps(result.to_json()))["points"][0] == [
        0.0,
        pytest.approx(100 * truth.mean()),
        100,
    ]


def test_extremes() -> None:
    sure = curve(np.array([0.0, 1.0]), np.array([False, True]))
    assert (sure.average_precision, sure.best_f1) == (100, 100)
    nothing = curve(np.array([0.2, 0.7]), np.array([False, False]))
    assert (nothing.average_precision, nothing.best_f1) == (0, 0)


def test_refusals() -> None:
    with pytest.raises(DataError, match="no pixels to score"):
        precision_recall_curve(np.zeros((2, BINS), int))
    with pytest.raises(DataError, match="differ in shape"):
        probability_counts(np.zeros(2), np.zeros(3, bool))
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(DataError, match=r"must be in \[0, 1\]"):
            probability_counts(np.array([wrong]), np.array([True]))

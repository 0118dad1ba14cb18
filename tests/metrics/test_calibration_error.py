"""Calibration error by hand, and against torchmetrics'."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.classification import binary_calibration_error

from semantic_cc.errors import DataError
from semantic_cc.figures.reliability_diagram import draw_reliability
from semantic_cc.metrics.calibration_error import BINS, calibration


def test_by_hand() -> None:
    found = calibration([0.9, 0.95, 0.1, 1.0], [True, False, False, True])
    assert found.bins == ((0.1, 0.0, 1), (pytest.approx(0.95), pytest.approx(2 / 3), 3))
    assert found.ece == pytest.approx(100 * (0.25 * 0.1 + 0.75 * (0.95 - 2 / 3)))
    assert found.brier == pytest.approx((0.01 + 0.9025 + 0.01 + 0) / 4)
    assert json.loads(json.dumps(found.to_json()))["ece"] == found.ece


@given(st.lists(st.tuples(st.floats(0.001, 0.999), st.booleans()), min_size=1, max_size=50))
def test_against_torchmetrics(pairs: list[tuple[float, bool]]) -> None:
    said, true = zip(*pairs, strict=True)
    edges = np.asarray(said) * BINS
    if (np.abs(edges - edges.round()) < 1e-4).any():
        return  # on an edge the two put it into different bins
    theirs = binary_calibration_error(torch.tensor(said), torch.tensor(true).long(), n_bins=BINS)
    assert calibration(said, true).ece == pytest.approx(100 * float(theirs), abs=1e-3)


@pytest.mark.parametrize(
    ("said", "true", "why"),
    [([], [], "at least one"), ([0.5], [True, False], "1 probabilities and 2 truths"),
     ([1.5], [True], r"in \[0, 1\]"), ([float("nan")], [True], r"in \[0, 1\]")],
)  # fmt: skip
def test_what_cannot_be_scored(said: list[float], true: list[bool], why: str) -> None:
    with pytest.raises(DataError, match=why):
        calibration(said, true)


def test_the_diagram_is_a_picture() -> None:
    pytest.importorskip("matplotlib")
    assert draw_reliability(calibration([0.2, 0.9], [False, True]), "a model").startswith(b"\x89PNG")

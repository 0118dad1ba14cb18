"""Calibration of change probabilities (Guo et al., ICML 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from semantic_cc.errors import DataError

BINS = 10
"""Bins of equal width over [0, 1]."""


@dataclass(frozen=True)
class Calibration:
    """Reliability of a set of probabilities.

    Attributes:
        ece: expected calibration error in percent: mean over the bins of |mean probability - fraction of changed
            pairs|, weighted by the number of pairs.
        brier: Brier score in [0, 1], the mean squared error of the probability.
        bins: mean probability, fraction of changed pairs and number of pairs of each non-empty bin.
    """

    ece: float
    brier: float
    bins: tuple[tuple[float, float, int], ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values by field."""
        return asdict(self)


def calibration(probabilities: Sequence[float], truth: Sequence[bool]) -> Calibration:
    """Calibration of change probabilities in [0, 1] against the true change flags.

    Raises:
        DataError: empty input, different lengths, or a probability out of range.
    """
    said, true = np.asarray(probabilities, np.float64), np.asarray(truth, bool)
    if not said.size or said.shape != true.shape:
        raise DataError(f"{said.size} probabilities and {true.size} truths; give as many, at least one")
    if not ((said >= 0) & (said <= 1)).all():
        raise DataError("probability: must be in [0, 1]")
    places = np.minimum((said * BINS).astype(int), BINS - 1)
    bins = tuple(
        (float(said[own].mean()), float(true[own].mean()), int(own.sum()))
        for own in (places == place for place in range(BINS))
        if own.any()
    )
    ece = sum(count * abs(mean - share) for mean, share, count in bins) / said.size
    return Calibration(100 * ece, float(((said - true) ** 2).mean()), bins)

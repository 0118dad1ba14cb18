"""How far probabilities of change can be taken at their word (Guo et al., ICML 2017)."""

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
        ece: expected calibration error, in percent: over the bins, the mean distance of the probability from the
            share of changed pairs, weighted by the pairs in the bin.
        brier: mean squared distance of the probability from 0 or 1, in [0, 1].
        bins: of each bin with pairs: mean probability, share of changed pairs, number of pairs.
    """

    ece: float
    brier: float
    bins: tuple[tuple[float, float, int], ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values by field."""
        return asdict(self)


def calibration(probabilities: Sequence[float], truth: Sequence[bool]) -> Calibration:
    """Holds probabilities of change, in [0, 1], against whether the pairs changed.

    Raises:
        DataError: none, not as many of one as of the other, or a probability out of its range.
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

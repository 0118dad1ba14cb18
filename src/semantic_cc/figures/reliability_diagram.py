"""Reliability diagram of a model's change probability."""

from __future__ import annotations

import io

from semantic_cc.figures.matplotlib_figure import new_figure
from semantic_cc.metrics.calibration_error import Calibration


def draw_reliability(found: Calibration, title: str) -> bytes:
    """Plots the share of changed pairs against the predicted probability, and the pairs per bin below; returns a PNG.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    figure = new_figure(4.5, 5.0)
    curve, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    said, true, pairs = zip(*found.bins, strict=True)
    curve.plot((0, 1), (0, 1), color="0.7", linewidth=1)
    curve.plot(said, true, marker="o")
    curve.set(ylabel="share of changed pairs", ylim=(-0.02, 1.02))
    curve.set_title(f"{title}\nECE {found.ece:.1f} %, Brier {found.brier:.3f}", fontsize="medium")
    counts.bar(said, pairs, width=0.04)
    counts.set(xlabel="change probability", ylabel="pairs", xlim=(-0.02, 1.02), yscale="log")
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=120)
    return image.getvalue()

"""Draws curves of scores, with their spread over seeds."""

from __future__ import annotations

from semantic_cc.figures.matplotlib_figure import new_figure, rendered
from semantic_cc.reproduce.curve_types import CurveFigure


def draw_curves(figure: CurveFigure) -> dict[str, bytes]:
    """Draws one panel for each column, with a line for each curve.

    Bars are the sample standard deviation over seeds; there are none with one seed.

    Returns:
        "png" and "pdf" -> the content of the file, the same bytes at each call.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    drawn = new_figure(3.6 * len(figure.columns), 3.4)
    many = (
        f"mean and standard deviation of {len(figure.seeds)} seeds" if len(figure.seeds) > 1 else "one seed"
    )
    drawn.suptitle(f"{figure.title}; {many}, scale {figure.scale}", fontsize="medium")
    panels = drawn.subplots(1, len(figure.columns), squeeze=False)[0]
    for panel, column in zip(panels, figure.columns, strict=True):
        for curve in figure.curves:
            shown = [(point.x, point.scores[column]) for point in curve.points if column in point.scores]
            panel.errorbar(
                [x for x, _ in shown],
                [score.mean for _, score in shown],
                yerr=[score.spread or 0.0 for _, score in shown],
                marker="o", markersize=4, capsize=3 if len(figure.seeds) > 1 else 0, label=curve.name,
            )  # fmt: skip
        ticks = sorted({point.x for curve in figure.curves for point in curve.points})
        panel.set(xlabel=figure.axis, ylabel=column, xticks=ticks)
        panel.grid(color="0.9")
    if len(figure.curves) > 1:
        panels[0].legend(fontsize="small")
    return rendered(drawn)

"""The paper's figures: 6 and 7 sentences side by side, 8 heatmaps, 9 masks and sentences; PNG and PDF.

The pairs are sampled from the test split with seed 0. All models are those of seed 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from semantic_cc.checkpoint.serialization import load_pretrained
from semantic_cc.data.collate import collate
from semantic_cc.data.items import ChangeDataset
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.decisions import class_mask
from semantic_cc.errors import ConfigError, DataError
from semantic_cc.figures.colours import FAINT_INK, INK, RIGHT, WRONG
from semantic_cc.figures.comparison_strip import draw_strip
from semantic_cc.figures.matplotlib_figure import rendered
from semantic_cc.figures.overlay import draw_heatmap
from semantic_cc.files import write_files
from semantic_cc.metrics.word_correctness import judge_words
from semantic_cc.model.base import MaskPrediction
from semantic_cc.reproduce.experiment_runs import FinishedRun, ReproductionSetup, scored, trained
from semantic_cc.reproduce.paper_tables import OURS, TABLES, WITHOUT_CHANGE_TASK, Row
from semantic_cc.types import Pair

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINE = 72
"""Characters per line below an image."""
Words = Sequence[tuple[str, bool | None]]
"""Words or whole sentences, each with whether it is correct; None = not judged."""
_NOTHING: Words = [("(no word)", None)]


def draw(name: str, setup: ReproductionSetup) -> list[Path]:
    """Trains and scores what a figure needs, and writes it to `setup.out`.

    Args:
        name: fig6, fig7, fig8 or fig9.
        setup: the settings that all runs share.

    Returns:
        The paths of the PNG and the PDF.

    Raises:
        ConfigError: matplotlib is not installed.
        DataError: the test split has no captioned pairs.
        As `trained` and `scored`.
    """
    if find_spec("matplotlib") is None:
        raise ConfigError("a figure needs matplotlib: pip install 'semantic-cc[figures]'")
    figure = _FIGURES[name](setup)
    files = rendered(figure, tight=True)  # the last sentence may need another line
    named = {f"{name}-{setup.scale}.{ending}": content for ending, content in files.items()}
    return write_files(setup.out, named)


def chosen(pairs: ChangeDataset, changed: int, unchanged: int) -> list[Pair]:
    """Samples `changed` changed and then `unchanged` unchanged captioned pairs with seed 0, or as many as there are."""
    order = np.random.default_rng(0).permutation(len(pairs))
    captioned = [place for place in order.tolist() if pairs.items[place].sentences]
    by_flag = {
        flag: [place for place in captioned if bool(pairs.items[place].changed) == flag]
        for flag in (True, False)
    }
    return [pairs[place] for place in (*by_flag[True][:changed], *by_flag[False][:unchanged])]


def _figure6(setup: ReproductionSetup) -> Figure:
    methods = {row.cells[0]: row for row in TABLES["table1"].rows}
    return _sentences(setup, methods, "Fig. 6: sentences of the compared methods", changed=5, unchanged=1)


def _figure7(setup: ReproductionSetup) -> Figure:
    models = {"without guidance": WITHOUT_CHANGE_TASK, "with guidance": OURS}
    return _sentences(setup, models, "Fig. 7: with and without the change task", changed=6, unchanged=0)


def _figure8(setup: ReproductionSetup) -> Figure:
    pairs = _shown(setup, changed=3, unchanged=3)
    maps = {
        "without guidance": _located(_run(setup, WITHOUT_CHANGE_TASK), pairs),
        "with guidance": _located(_run(setup, OURS), pairs),
    }
    figure, axes = _grid("Fig. 8: differential features after the neck", len(pairs), 2 + len(maps), 1.9, 2.1)
    for row, pair in zip(axes, pairs, strict=True):
        _picture(row[0], pair.before, "before")
        _picture(row[1], pair.after, "after, changed" if pair.changed else "after, not changed")
        for place, (title, found) in enumerate(maps.items(), start=2):
            heat = found[pair.name].heatmap[0].float().cpu().numpy()
            _picture(
                row[place], np.asarray(draw_heatmap(heat, pair.after)), f"{title}, mean {heat.mean():.2f}"
            )
    return figure


def _figure9(setup: ReproductionSetup) -> Figure:
    pairs = _shown(setup, changed=4, unchanged=0)
    run = _run(setup, OURS)
    said = scored(setup, run, "captions", "fig9").sentences
    found = _located(run, pairs)
    figure, axes = _grid("Fig. 9: masks and sentences", len(pairs), 1, 7.6, 2.9)
    for (axis,), pair in zip(axes, pairs, strict=True):
        planes = found[pair.name].class_probabilities
        assert planes is not None  # the full model predicts masks
        mask = class_mask(planes[0].float().cpu().numpy())
        panels = (
            "before, after, true mask, predicted mask"
            if pair.label is not None
            else "before, after, predicted mask"
        )
        _picture(axis, np.asarray(draw_strip(pair, mask)), panels)
        _write(
            axis,
            [("truth", [(pair.sentences[0], None)]), ("ours", [(said[pair.name], None)])],
            2 * LINE,
        )
    return figure


_FIGURES: dict[str, Callable[[ReproductionSetup], Any]] = {
    "fig6": _figure6, "fig7": _figure7, "fig8": _figure8, "fig9": _figure9,
}  # fmt: skip


def _sentences(
    setup: ReproductionSetup, models: dict[str, Row], title: str, changed: int, unchanged: int
) -> Figure:
    """Pairs with the sentence of each model, judged word by word."""
    pairs = _shown(setup, changed, unchanged)
    said = {name: scored(setup, _run(setup, row), "captions", name).sentences for name, row in models.items()}
    columns = min(2, len(pairs))
    rows = -(-len(pairs) // columns)
    figure, axes = _grid(title, rows, columns, 4.4, 2.3 + 0.24 * len(models))
    for axis, pair in zip(axes.flat, pairs, strict=False):
        _picture(axis, np.asarray(draw_strip(replace(pair, label=None), None)), "before, after")
        lines: list[tuple[str, Words]] = [("truth", [(pair.sentences[0], None)])]
        for name, sentences in said.items():
            lines.append((name, judge_words(sentences[pair.name], pair.sentences) or _NOTHING))
        _write(axis, lines, LINE)
    for axis in axes.flat[len(pairs) :]:
        axis.remove()
    return figure


def _run(setup: ReproductionSetup, row: Row) -> FinishedRun:
    return trained(setup, row, 0, f"{' '.join(row.cells)}, seed 0")


def _shown(setup: ReproductionSetup, changed: int, unchanged: int) -> list[Pair]:
    pairs = chosen(open_dataset(setup.test, "test"), changed, unchanged)
    if not pairs:
        raise DataError(f"{' '.join(setup.test)}: no captioned test pairs to show; give others with --test")
    return pairs


def _located(run: FinishedRun, pairs: Sequence[Pair]) -> dict[str, MaskPrediction]:
    """Name of a pair -> its predicted mask and heatmap."""
    import torch

    model, _ = load_pretrained(run.model)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)
    found = {}
    for pair in pairs:
        batch = collate([replace(pair, label=None)], device)
        found[pair.name] = model.predict_masks(batch.before, batch.after)
    return found


def _grid(title: str, rows: int, columns: int, width: float, height: float) -> tuple[Figure, Any]:
    """A figure with axes (rows, columns), each width x height inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height * rows + 0.4), layout="constrained")
    figure.suptitle(title, fontsize="medium")
    return figure, figure.subplots(rows, columns, squeeze=False)


def _picture(axis: Axes, pixels: np.ndarray, title: str) -> None:
    axis.imshow(pixels)
    axis.set_title(title, fontsize=7, color=_hex(FAINT_INK))
    axis.set_anchor("N")  # leaves the remaining space below, for the sentences
    axis.set_xticks([])
    axis.set_yticks([])


def _write(axis: Axes, lines: Sequence[tuple[str, Words]], letters: int) -> None:
    """Writes labelled lines below the image, with coloured words, wrapped at `letters` characters."""
    from matplotlib.offsetbox import AnnotationBbox, HPacker, TextArea, VPacker

    def area(text: str, colour: tuple[int, int, int], weight: str = "normal") -> Artist:
        return TextArea(text, textprops={"color": _hex(colour), "fontsize": 7, "fontweight": weight})

    rows: list[Artist] = []
    for name, words in lines:
        parts, used = [area(f"{name}:", INK, "bold")], len(name) + 1
        for word, right in words:
            for piece in word.split():
                if used + len(piece) > letters:
                    rows.append(HPacker(children=parts, pad=0, sep=2))
                    parts, used = [], 0
                parts.append(area(piece, INK if right is None else RIGHT if right else WRONG))
                used += len(piece) + 1
        rows.append(HPacker(children=parts, pad=0, sep=2))
    box = VPacker(children=rows, pad=0, sep=2, align="left")
    axis.add_artist(
        AnnotationBbox(
            box, (0, -0.03), xycoords="axes fraction", box_alignment=(0, 1), frameon=False, pad=0,
            annotation_clip=False,
        )
    )  # fmt: skip


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)

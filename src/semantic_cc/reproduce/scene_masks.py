"""Masks of whole scenes from overlapping windows, the way in which the paper and TTP score LEVIR-CD (Table V).

Legend: k classes of probabilities (`class_indices`), H, W sides of a scene.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace

import numpy as np
import torch
from torch import Tensor

from semantic_cc.checkpoint.serialization import load_pretrained
from semantic_cc.compute_device import find_device
from semantic_cc.data.collate import collate
from semantic_cc.data.items import ChangeDataset
from semantic_cc.data.labels import true_classes
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.decisions import class_indices
from semantic_cc.errors import DataError
from semantic_cc.files import write_files
from semantic_cc.metrics.change import ChangeMetric, ClassScore
from semantic_cc.reproduce.experiment_runs import FinishedRun, ReproductionSetup
from semantic_cc.reproduce.run_digests import scores_digest
from semantic_cc.types import Pair

WINDOW, STEP = 256, 128
"""Pixels of a window's side and between two windows, as in the paper's configuration."""
_AT_ONCE = 7  # windows of a row of a scene of 1024 pixels

Predict = Callable[[Tensor, Tensor], Tensor]
"""Images (b, 3, WINDOW, WINDOW) of both dates -> probabilities (b, k, WINDOW, WINDOW)."""


def scene_scores(setup: ReproductionSetup, run: FinishedRun, name: str) -> ClassScore:
    """The building scores of a run on the test scenes of `setup.scenes`; kept in the run's folder.

    Args:
        setup: the scenes.
        run: a run that predicts masks.
        name: title of the run in progress lines.

    Raises:
        DataError: the dataset has no scenes that are cut into tiles, or no masks.
    """
    digest = scores_digest(setup.digest(setup.scenes, "test"), window=WINDOW, step=STEP)
    path = run.folder / f"scenes-{digest}.json"
    if not path.exists():
        setup.say(f"{name}: scoring whole scenes of {' '.join(setup.scenes)}, split test")
        score = _scored(run, open_dataset(setup.scenes, "test"))
        write_files(path.parent, {path.name: (json.dumps(asdict(score)) + "\n").encode()})
    return ClassScore(**json.loads(path.read_text()))


def scenes_of(pairs: ChangeDataset) -> Iterator[Pair]:
    """Each scene whose tiles the dataset has, once, with its mask.

    Raises:
        DataError: there are none, or one has no mask.
    """
    first: dict[str, int] = {}
    for place, item in enumerate(pairs.items):
        if item.box is not None:
            first.setdefault(item.before, place)
    if not first:
        raise DataError("--scenes: no scene is cut into tiles; give a dataset in the layout of LEVIR-CD")
    for place in first.values():
        scene = pairs.scene(place)
        if scene is None or scene.label is None:
            raise DataError(f"--scenes: {pairs.items[place].before} has no mask; add it")
        yield scene


def window_mean(scene: Pair, predict: Predict, device: torch.device | None = None) -> np.ndarray:
    """The mean probabilities (k, H, W) float64 of all windows that cover a pixel."""
    height, width = scene.before.shape[:2]
    corners = [(top, left) for top in _starts(height) for left in _starts(width)]
    total, count = None, np.zeros((height, width))
    for start in range(0, len(corners), _AT_ONCE):
        part = corners[start : start + _AT_ONCE]
        batch = collate([_window(scene, top, left) for top, left in part], device or torch.device("cpu"))
        found = predict(batch.before, batch.after).double().cpu().numpy()
        total = np.zeros((found.shape[1], height, width)) if total is None else total
        for own, (top, left) in zip(found, part, strict=True):
            area = np.s_[top : top + WINDOW, left : left + WINDOW]
            total[:, *area] += own
            count[area] += 1
    assert total is not None  # a scene has at least one window
    return total / count


def _starts(side: int) -> list[int]:
    """Corners of the windows of one side; the last window ends at the border."""
    return [*range(0, side - WINDOW, STEP), side - WINDOW]


def _window(scene: Pair, top: int, left: int) -> Pair:
    area = np.s_[top : top + WINDOW, left : left + WINDOW]
    return replace(scene, before=scene.before[area], after=scene.after[area], label=None)


@torch.no_grad()
def _scored(run: FinishedRun, pairs: ChangeDataset) -> ClassScore:
    device = find_device(None)
    model = load_pretrained(run.model)[0].eval().to(device)

    def predict(before: Tensor, after: Tensor) -> Tensor:
        found = model.predict_class_probabilities(before, after)
        assert found is not None  # all rows of a table of masks predict them
        return found

    metric = ChangeMetric()
    for scene in scenes_of(pairs):
        assert scene.label is not None  # `scenes_of` checks it
        truth, _ = true_classes(scene.label, scene.name)
        found = class_indices(window_mean(scene, predict, device))
        metric.update(torch.from_numpy(found)[None], torch.from_numpy(truth)[None])
    return metric.compute().building

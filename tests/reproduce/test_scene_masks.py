"""Whole scenes: windows that overlap, a mean for each pixel, one confusion matrix."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import layouts
import numpy as np
import pytest
import torch
from torch import Tensor

from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.errors import DataError
from semantic_cc.reproduce import table_results
from semantic_cc.reproduce.experiment_runs import trained
from semantic_cc.reproduce.paper_tables import OURS, TABLES
from semantic_cc.reproduce.scene_masks import scene_scores, scenes_of, window_mean
from semantic_cc.reproduce.table_results import reproduce_table
from semantic_cc.types import Pair


@pytest.fixture(autouse=True)
def _calm(one_calm_thread: None) -> None:
    """The runs are those of test_experiment_runs."""


def test_a_pixelwise_model_gives_the_same_probabilities_in_windows() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (512, 768, 3), dtype=np.uint8)
    sizes = []

    def predict(before: Tensor, after: Tensor) -> Tensor:
        sizes.append(tuple(before.shape[2:]))
        return torch.stack([1 - after[:, 0], after[:, 0]], dim=1)

    found = window_mean(Pair("a", pixels, pixels, None), predict)
    np.testing.assert_allclose(found[1], pixels[..., 0] / 255, atol=1e-6)
    assert set(sizes) == {(256, 256)}


def test_windows_overlap_by_half_and_count_equally() -> None:
    pixels = np.zeros((256, 512, 3), np.uint8)
    calls = []

    def predict(before: Tensor, after: Tensor) -> Tensor:
        calls.append(len(before))
        value = torch.arange(len(before)).float().view(-1, 1, 1, 1)  # 0, 1, 2 from left to right
        return value.expand(-1, 2, 256, 256)

    found = window_mean(Pair("a", pixels, pixels, None), predict)[0, 0]
    assert calls == [3]
    np.testing.assert_array_equal(found[::128], [0, 0.5, 1.5, 2])


def test_each_scene_is_scored_once(tmp_path: Path, world_folder: Path) -> None:
    pairs = open_dataset(layouts.write_levir_cd(tmp_path), "test")
    assert len(pairs) == 4
    (scene,) = scenes_of(pairs)
    assert scene.before.shape == (512, 512, 3) and scene.label is not None
    with pytest.raises(DataError, match="give a dataset in the layout of LEVIR-CD"):
        next(scenes_of(open_dataset(world_folder, "test")))


def test_table_5_has_the_scores_of_whole_scenes(
    make_setup: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    monkeypatch.setitem(TABLES, "table5", replace(TABLES["table5"], rows=(TABLES["table5"].rows[-1],)))
    setup = make_setup(scenes=(str(layouts.write_levir_cd(tmp_path / "cd")),))
    result = reproduce_table("table5", setup, seeds=1)
    (row,) = result.rows
    expected = scene_scores(setup, trained(setup, OURS, 0, "ours"), "ours")
    assert row.scores["scenes"]["F1"].values == (expected.f1,)
    assert row.scores["scenes"]["OA"].values != row.scores["all"]["OA"].values
    assert " --scenes " in result.command
    assert any("windows of 256 px at steps of 128 px" in note for note in result.notes)
    said.clear()
    assert reproduce_table("table5", setup, seeds=1) == result
    assert not any("scoring" in line for line in said)
    monkeypatch.setattr(table_results, "trained", lambda *given: pytest.fail("trained"))
    with pytest.raises(DataError, match="no scene is cut into tiles"):  # before any training
        reproduce_table("table5", replace(setup, scenes=setup.data), seeds=1)

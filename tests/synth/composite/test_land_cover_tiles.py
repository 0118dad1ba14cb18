"""Windows with what their masks say, for pretraining."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from phases import only

from semantic_cc.config import load_config
from semantic_cc.errors import DataError
from semantic_cc.synth.composite.land_cover_tiles import NO_BUILDING, NOT_KNOWN, TileCovers
from semantic_cc.training.pipeline import train
from semantic_cc.types import COVERS

BUILDING = COVERS.index("building")


def test_buildings_are_bright_and_every_second_window_has_some(write_recipe: Callable[..., Path]) -> None:
    windows = TileCovers(write_recipe(), 8, seed=1)
    inside = []
    for index in range(len(windows)):
        image, cover = windows[index]
        assert image.shape == (3, 256, 256) and cover.shape == (256, 256) and cover.dtype == torch.int64
        assert set(cover.unique().tolist()) <= {BUILDING, NO_BUILDING, NOT_KNOWN}
        if index % 2:
            assert (cover == BUILDING).any()
            grey = image.mean(dim=0)
            inside.append(grey[cover == BUILDING].mean() - grey[cover == NO_BUILDING].mean())
    assert torch.stack(inside).mean() > 0.1  # the roofs that the fixture draws are brighter than its grounds
    again, other = TileCovers(write_recipe(), 8, seed=1)[3], TileCovers(write_recipe(), 8, seed=2)[3]
    assert torch.equal(again[0], windows[3][0]) and not torch.equal(other[0], windows[3][0])


@pytest.mark.parametrize(
    "changes",
    [{"splits": {"test": 1.0}}, {"shares": {"procedural": 1.0}, "folders": []}],
    ids=["no train split", "no images"],
)
def test_a_recipe_without_train_images_is_refused(changes: dict, write_recipe: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match="has no train images with buildings, which the phase encoder reads"):
        TileCovers(write_recipe(**changes), 8)


def test_the_encoder_phase_mixes_them_in(
    world_folder: Path, write_recipe: Callable[..., Path], tmp_path: Path
) -> None:
    losses = {}
    for name, recipe in (("mixed", str(write_recipe())), ("plain", None)):
        phase = {"epochs": 1, "items": None, "batch": 8, "recipe": recipe}
        settings = {"data": str(world_folder), "out": str(tmp_path / name), **only(encoder=phase)}
        train(load_config("tiny", settings))
        with (tmp_path / name / "phases" / "encoder" / "log.csv").open() as file:
            losses[name] = list(csv.DictReader(file))
    assert len(losses["mixed"]) == 2 * len(losses["plain"])  # as many windows as images of the dataset

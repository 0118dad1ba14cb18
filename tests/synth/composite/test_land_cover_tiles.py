"""Windows with what their masks say, for pretraining."""

from collections.abc import Callable
from pathlib import Path

import torch

from semantic_cc.config import load_config
from semantic_cc.synth.composite.land_cover_tiles import NO_BUILDING, NOT_KNOWN, TileCovers
from semantic_cc.training.pretraining.encoder import pretrain
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


def test_pretraining_mixes_them_in(
    world_folder: Path, write_recipe: Callable[..., Path], tmp_path: Path
) -> None:
    config = load_config("tiny", {"data": str(world_folder)})
    losses = pretrain(config, tmp_path / "e.safetensors", epochs=6, images=48, recipe=write_recipe())
    assert len(losses) == 6 * 48 // 8
    assert sum(losses[-6:]) < 0.9 * sum(losses[:6])

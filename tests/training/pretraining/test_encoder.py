"""Land-cover pretraining: it learns, and training starts from what it wrote."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from semantic_cc.checkpoint.build import build_encoder
from semantic_cc.config import load_config
from semantic_cc.errors import DataError, OutputError
from semantic_cc.foundation.parts import read_named
from semantic_cc.synth.composite.land_cover_tiles import NO_BUILDING, NOT_KNOWN
from semantic_cc.training.pretraining.encoder import cover_loss, pretrain
from semantic_cc.types import COVERS


def test_the_loss_is_that_of_each_cell_s_centre() -> None:
    torch.manual_seed(0)
    encoder = build_encoder(load_config("tiny").model.encoder)
    encoder.filters = nn.ModuleDict()
    head = nn.Linear(16, 6 * 16)
    images, cover = torch.rand(2, 3, 32, 32), torch.randint(0, 6, (2, 32, 32))
    tokens = encoder(images[:1], images[1:]).change  # (2, 2, 2, 16)
    expected = []
    for b in range(2):
        for y in range(8):
            for x in range(8):
                scores = head(tokens[b, y // 4, x // 4]).view(6, 4, 4)[:, y % 4, x % 4]
                expected.append(F.cross_entropy(scores[None], cover[b, 4 * y + 2, 4 * x + 2][None]))
    torch.testing.assert_close(cover_loss(encoder, head, images, cover), torch.stack(expected).mean())


def test_no_building_may_be_anything_else_and_the_unknown_teaches_nothing() -> None:
    torch.manual_seed(0)
    encoder = build_encoder(load_config("tiny").model.encoder)
    encoder.filters = nn.ModuleDict()
    head = nn.Linear(16, 6 * 16)
    images = torch.rand(2, 3, 32, 32)
    tokens = encoder(images[:1], images[1:]).change
    building = F.pixel_shuffle(head(tokens).permute(0, 3, 1, 2), 4).softmax(dim=1)[
        :, COVERS.index("building")
    ]
    found = cover_loss(encoder, head, images, torch.full((2, 32, 32), NO_BUILDING))
    torch.testing.assert_close(found, -torch.log(1 - building).mean())
    assert cover_loss(encoder, head, images, torch.full((2, 32, 32), NOT_KNOWN)) == 0


def test_the_encoder_learns_and_training_starts_from_it(world_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "encoder.safetensors"
    config = load_config("tiny", {"data": str(world_folder)})
    losses = pretrain(config, out, epochs=6)
    assert len(losses) == 24
    assert sum(losses[-4:]) < 0.9 * sum(losses[:4])
    written = load_file(out)
    sizes = load_config("tiny", {"model": {"encoder": {"weights": str(out)}}}).model.encoder
    started = build_encoder(sizes, read_named("encoder", sizes.weights)).vision.state_dict()
    assert written.keys() == started.keys()
    for name, value in written.items():
        assert torch.equal(started[name], value), name
    assert not list(tmp_path.glob(".*"))


def test_refusals(world_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="land-cover maps"):
        pretrain(load_config("tiny", {"data": str(tmp_path)}), tmp_path / "x.safetensors")
    with pytest.raises(OutputError, match="folder does not exist"):
        pretrain(load_config("tiny", {"data": str(world_folder)}), tmp_path / "no" / "x.safetensors")

"""Phase encoder: it learns land cover, and nothing else of the model moves."""

import csv
import shutil
from pathlib import Path

import pytest
import torch
from phases import only, phase_of
from torch import nn
from torch.nn import functional as F

from semantic_cc.checkpoint.build import build_encoder, build_model
from semantic_cc.checkpoint.serialization import load_pretrained
from semantic_cc.config import load_config
from semantic_cc.errors import DataError, ImageError
from semantic_cc.synth.composite.land_cover_tiles import NO_BUILDING, NOT_KNOWN
from semantic_cc.training.pipeline import train
from semantic_cc.training.pretraining import encoder
from semantic_cc.training.pretraining.encoder import cover_loss
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


def test_the_encoder_learns_and_nothing_else_moves(world_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    settings = {
        "data": str(world_folder),
        "out": str(out),
        **only(encoder={"epochs": 6, "items": None, "batch": 8}),
    }
    config = load_config("tiny", settings)
    train(config)
    losses = [float(row["loss"]) for row in csv.DictReader(phase_of(out, "encoder").log.open())]
    assert len(losses) == 24
    assert sum(losses[-4:]) < 0.9 * sum(losses[:4])
    start = build_model(config.model).state_dict()
    after = load_pretrained(out / "model", merge=False)[0].state_dict()
    assert after.keys() == start.keys()
    moved = {name for name, value in after.items() if not torch.equal(value, start[name])}
    assert moved == {name for name in start if name.startswith("encoder.vision.")}


def test_refusals(world_folder: Path, tmp_path: Path) -> None:
    settings = {"out": str(tmp_path / "run"), **only("encoder")}
    with pytest.raises(DataError, match=r"no land-cover maps .* --phases\.encoder null"):
        train(load_config("tiny", {"data": str(tmp_path), **settings}))
    many = {"data": str(world_folder), "out": str(tmp_path / "run"), **only(encoder={"items": 2, "batch": 4})}
    with pytest.raises(DataError, match="phase encoder: the data has fewer items than a batch of 4"):
        train(load_config("tiny", many))
    assert not phase_of(tmp_path / "run", "encoder").model.exists()


def test_a_broken_image_is_one_line(world_folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(encoder, "default_workers", lambda devices: 1)
    broken = shutil.copytree(world_folder, tmp_path / "broken")
    for path in (broken / "images/train/A").iterdir():
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ImageError, match=r"^\S+\.png: damaged or truncated image [^\n]*$"):
        train(
            load_config(
                "tiny", {"data": str(broken), "out": str(tmp_path / "run"), **only(encoder={"items": 16})}
            )
        )

"""Sharpening: the change decoder learns from masks, and nothing else of the model moves."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from semantic_cc.checkpoint.build import build_model
from semantic_cc.checkpoint.serialization import load_pretrained, save_pretrained
from semantic_cc.config import load_config
from semantic_cc.data.items import ChangeDataset
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.errors import ConfigError, DataError
from semantic_cc.training.devices import fabric_of
from semantic_cc.training.finetuning.mask_decoder import SeenPairs, held, sharpen

DETAILED = {"model": {"change_decoder": {"detail": 8}, "encoder": {"hybrid": True}}}


@pytest.fixture
def start(tmp_path: Path) -> Path:
    folder = tmp_path / "start"
    save_pretrained(
        build_model(load_config("tiny", DETAILED).model), folder, name="start", training={"seed": 5}
    )
    return folder


def test_it_learns_and_moves_the_change_decoder_alone(
    world_folder: Path, start: Path, tmp_path: Path
) -> None:
    losses = sharpen(start, world_folder, tmp_path / "sharp", epochs=12, pairs=12, batch=4)
    assert len(losses) == 36
    assert sum(losses[-6:]) < 0.8 * sum(losses[:6])
    before, after = (load_pretrained(folder, merge=False) for folder in (start, tmp_path / "sharp"))
    old = before[0].state_dict()
    moved = {name for name, value in after[0].state_dict().items() if not torch.equal(value, old[name])}
    assert moved == {name for name in old if name.startswith("change_decoder.")}
    assert after[1].training["seed"] == 5
    assert after[1].training["mask_decoder"]["pairs"] == 12


def test_what_is_held_gives_the_mask_that_the_model_gives(world_folder: Path) -> None:
    model = build_model(load_config("tiny", DETAILED).model).eval()
    torch.nn.init.normal_(model.change_decoder.detail.correction.weight)
    pairs = open_dataset(world_folder, "train")
    tokens, pictures, label, fine = held(model, pairs, fabric_of("float32"))
    assert pictures.dtype == label.dtype == torch.uint8
    for row in (0, 7):
        before, after = (pictures[row].float() / 255).movedim(-1, 1)
        assert (before * 255).byte().permute(1, 2, 0).numpy() == pytest.approx(pairs[row].before)
        found = model.change_decoder(
            tokens[row].float(), before[None], after[None], fine[row].float().movedim(-1, 1)
        )
        whole = model(before[None], after[None]).change_logits
        torch.testing.assert_close(found, whole, rtol=0.05, atol=0.3)  # held in bfloat16; logits of size 10


def test_all_parts_of_a_pair_turn_together() -> None:
    grid = torch.arange(16.0).view(1, 4, 4, 1)
    seen = SeenPairs((grid[:, None].expand(1, 2, 4, 4, 1), grid), seed=0)
    looks = [seen[0] for _ in range(20)]
    assert len({tuple(label.flatten().tolist()) for _, label in looks}) > 4
    for tokens, label in looks:
        assert torch.equal(tokens[0], label)
        assert torch.equal(tokens[1], label)


def test_refusals(
    world_folder: Path,
    start: Path,
    tmp_path: Path,
    captions_only_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ConfigError, match=r"no change decoder to sharpen; take one with model\.change_task"):
        sharpen(captions_only_folder, world_folder, tmp_path / "out")
    pairs = open_dataset(world_folder, "train")
    bare = ChangeDataset([replace(item, label=None) for item in pairs.items])
    monkeypatch.setattr("semantic_cc.training.finetuning.mask_decoder.open_dataset", lambda *_: bare)
    with pytest.raises(DataError, match="no train pair has a mask to sharpen with"):
        sharpen(start, world_folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()

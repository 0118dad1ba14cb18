"""The keyword head: it learns words from tokens and masks, in log-odds against the usual, and moves nothing else."""

import random
from pathlib import Path

import pytest
import torch

from semantic_cc.checkpoint.build import build_model
from semantic_cc.checkpoint.serialization import load_pretrained, save_pretrained
from semantic_cc.config import load_config
from semantic_cc.data.items import ChangeDataset
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.errors import ConfigError
from semantic_cc.training.devices import fabric_of
from semantic_cc.training.finetuning.keyword_head import LOOKS, answers, guide, looks
from semantic_cc.training.pretraining.qformer import uses
from semantic_cc.training.pretraining.symmetric_views import SymmetricPairs, turn_tokens
from semantic_cc.training.pretraining.token_cache import encode

WORDS = ("a", "the")


@pytest.fixture
def start(tmp_path: Path) -> Path:
    folder = tmp_path / "start"
    model = build_model(load_config("tiny", {"model": {"keywords": WORDS}}).model)
    save_pretrained(model, folder, name="start", training={"seed": 5})
    return folder


def test_it_learns_and_moves_its_head_alone(world_folder: Path, start: Path, tmp_path: Path) -> None:
    losses = guide(start, world_folder, tmp_path / "trained", epochs=60)
    assert sum(losses[-4:]) < sum(losses[:4])
    before, after = (load_pretrained(folder, merge=False) for folder in (start, tmp_path / "trained"))
    old = before[0].state_dict()
    moved = {name for name, value in after[0].state_dict().items() if not torch.equal(value, old[name])}
    own = {name for name in old if name.startswith("caption_decoder.keyword_head.")}
    assert moved == own and any(".mask_logits." in name for name in own)
    assert after[1].training["seed"] == 5
    assert after[1].training["keyword_head"]["epochs"] == 60


def test_looks_are_turned_with_their_sentences_and_masks(world_folder: Path, start: Path) -> None:
    model = load_pretrained(start, merge=False)[0]
    items = [item for item in open_dataset(world_folder, "train").items if item.changed]
    fabric = fabric_of("float32")
    tokens, grids = answers(model, ChangeDataset(items), fabric)
    assert torch.equal(tokens, encode(model, ChangeDataset(items), fabric))
    seen = SymmetricPairs(tokens, [item.sentences for item in items], 0)
    visual, present, drawings = looks(model, seen, grids, fabric)
    assert visual.shape[:2] == (LOOKS * len(items), model.config.qformer.queries)
    plain = uses(
        WORDS, [item.sentences for item in items]
    )  # no word of place among them: the same when turned
    assert torch.equal(present, plain.repeat(LOOKS, 1))
    again = random.Random(0)
    for row, drawing in enumerate(drawings):
        own = seen.sentences[row % len(items)]
        symmetry = again.choice([number for number, said in enumerate(own) if said is not None])
        assert torch.equal(drawing, turn_tokens(grids[row % len(items)], seen.symmetries[symmetry]))


def test_a_model_without_masks_is_guided_by_its_tokens_alone(world_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "start"
    config = load_config("tiny", {"model": {"keywords": WORDS, "change_task": False}}).model
    save_pretrained(build_model(config), folder, name="start", training={})
    guide(folder, world_folder, tmp_path / "trained", epochs=1)
    head = load_pretrained(tmp_path / "trained")[0].caption_decoder.keyword_head
    assert head.mask_logits is None and head.token_logits.weight.abs().max() > 0


def test_a_model_without_such_a_head_is_refused(
    tiny_folder: Path, world_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"has no keyword head; set model\.keywords"):
        guide(tiny_folder, world_folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()

"""The evidence head: it learns words from the visual tokens, in log-odds against the usual, and moves nothing else."""

from pathlib import Path

import pytest
import torch

from semantic_cc.config import load_config
from semantic_cc.data.items import ChangeDataset
from semantic_cc.data.opening import open_dataset
from semantic_cc.errors import ConfigError
from semantic_cc.model.build import build_model
from semantic_cc.model.checkpoint import load_pretrained, save_pretrained
from semantic_cc.training.devices import fabric_of
from semantic_cc.training.pretraining.align import uses
from semantic_cc.training.pretraining.cached import encode
from semantic_cc.training.pretraining.guide import LOOKS, guide, looks
from semantic_cc.training.pretraining.turned import TurnedPairs

WORDS = ("a", "the")


@pytest.fixture(autouse=True)
def words_of_one_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    """The random LLM's tokens are bytes, so that no word is one of them."""
    monkeypatch.setattr(
        "semantic_cc.model.caption_decoder._one_token", lambda prompter, word: prompter.ids(word)[0]
    )


@pytest.fixture
def start(tmp_path: Path) -> Path:
    folder = tmp_path / "start"
    model = build_model(load_config("tiny", {"model": {"evidence": WORDS}}).model)
    save_pretrained(model, folder, name="start", training={"seed": 5})
    return folder


def test_it_learns_and_moves_its_head_alone(world_folder: Path, start: Path, tmp_path: Path) -> None:
    losses = guide(start, world_folder, tmp_path / "guided", epochs=40)
    assert sum(losses[-4:]) < sum(losses[:4])
    before, after = (load_pretrained(folder, merge=False) for folder in (start, tmp_path / "guided"))
    old = before[0].state_dict()
    moved = {name for name, value in after[0].state_dict().items() if not torch.equal(value, old[name])}
    assert moved == {"caption_decoder.evidence.words.weight", "caption_decoder.evidence.words.bias"}
    assert after[1].training["seed"] == 5
    assert after[1].training["evidence"]["epochs"] == 40


def test_looks_are_turned_with_their_sentences(world_folder: Path, start: Path) -> None:
    model = load_pretrained(start, merge=False)[0]
    items = [item for item in open_dataset(world_folder, "train").items if item.changed]
    fabric = fabric_of("float32")
    seen = TurnedPairs(encode(model, ChangeDataset(items), fabric), [item.sentences for item in items], 0)
    visual, present = looks(model, seen, fabric)
    assert visual.shape[:2] == (LOOKS * len(items), model.config.qformer.queries)
    plain = uses(
        WORDS, [item.sentences for item in items]
    )  # no word of place among them: the same when turned
    assert torch.equal(present, plain.repeat(LOOKS, 1))


def test_a_model_without_such_a_head_is_refused(
    tiny_folder: Path, world_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"has no head to guide it; name words as model\.evidence"):
        guide(tiny_folder, world_folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()

"""Phase keyword_head: it learns words from tokens and masks, in log-odds against the usual, and moves nothing else."""

import csv
from pathlib import Path

import pytest
import torch
from phases import only, phase_of

from semantic_cc.checkpoint.build import build_model
from semantic_cc.checkpoint.serialization import load_pretrained, save_pretrained
from semantic_cc.config import load_config
from semantic_cc.data.items import ChangeDataset
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.errors import ConfigError
from semantic_cc.training.devices import fabric_of
from semantic_cc.training.finetuning.keyword_head import (
    VIEWS,
    augmented_views,
    frequent_phrases,
    tokens_and_masks,
)
from semantic_cc.training.pipeline import train
from semantic_cc.training.pretraining.qformer import uses
from semantic_cc.training.pretraining.symmetric_views import SymmetricPairs, turn_tokens
from semantic_cc.training.pretraining.token_cache import encode
from semantic_cc.training.sampling import SampleRef

WORDS = ("a", "the")


@pytest.fixture
def start(tmp_path: Path) -> Path:
    folder = tmp_path / "start"
    model = build_model(load_config("tiny", {"model": {"keywords": WORDS}}).model)
    save_pretrained(model, folder, name="start", training={"note": 5})
    return folder


def run(world_folder: Path, start: Path, out: Path, model: dict | None = None, **fields: object) -> Path:
    """Runs the phase on a model; the trained one."""
    settings = {"model": {"keywords": list(WORDS), **(model or {})}, "train": {"init": str(start)}}
    settings |= {"data": str(world_folder), "out": str(out), **only(keyword_head=fields)}
    return train(load_config("tiny", settings))


def test_it_learns_and_moves_its_head_only(world_folder: Path, start: Path, tmp_path: Path) -> None:
    trained = run(world_folder, start, tmp_path / "run", epochs=60, batch=32, lr=2e-3)
    log = phase_of(tmp_path / "run", "keyword_head").log
    losses = [float(row["loss"]) for row in csv.DictReader(log.open())]
    assert sum(losses[-4:]) < sum(losses[:4])
    before, after = (load_pretrained(folder, merge=False) for folder in (start, trained))
    old = before[0].state_dict()
    moved = {name for name, value in after[0].state_dict().items() if not torch.equal(value, old[name])}
    own = {name for name in old if name.startswith("caption_decoder.keyword_head.")}
    assert moved == own and any(".mask_logits." in name for name in own)
    assert after[1].training["note"] == 5
    assert after[1].training["phases"]["keyword_head"]["epochs"] == 60


def test_views_are_turned_with_their_sentences_and_masks(world_folder: Path, start: Path) -> None:
    model = load_pretrained(start, merge=False)[0]
    items = [item for item in open_dataset(world_folder, "train").items if item.changed]
    fabric = fabric_of("float32")
    tokens, grids = tokens_and_masks(model, ChangeDataset(items), fabric)
    assert torch.equal(tokens, encode(model, ChangeDataset(items), fabric))
    seen = SymmetricPairs(tokens, [item.sentences for item in items], 0)
    visual, present, drawings = augmented_views(model, seen, grids, fabric)
    assert visual.shape[:2] == (VIEWS * len(items), model.config.qformer.queries)
    plain = uses(
        WORDS, [item.sentences for item in items]
    )  # no word of place among them: the same when turned
    assert torch.equal(present, plain.repeat(VIEWS, 1))
    for row, drawing in enumerate(drawings):
        view, place = divmod(row, len(items))
        symmetry = seen[SampleRef(place, view, place)][2]
        assert torch.equal(drawing, turn_tokens(grids[place], seen.symmetries[symmetry]))


def test_a_model_without_masks_learns_from_its_tokens(world_folder: Path, tmp_path: Path) -> None:
    folder, model = tmp_path / "start", {"change_task": False}
    config = load_config("tiny", {"model": {"keywords": WORDS, **model}}).model
    save_pretrained(build_model(config), folder, name="start", training={})
    head = load_pretrained(run(world_folder, folder, tmp_path / "run", model))[0].caption_decoder.keyword_head
    assert head.mask_logits is None and head.token_logits.weight.abs().max() > 0


def test_frequent_phrases_become_keywords(world_folder: Path, start: Path, tmp_path: Path) -> None:
    sentences = ["a house is built", "a house is built on the grass", "a road is built"]
    assert frequent_phrases(sentences, ()) == []
    assert frequent_phrases(sentences, (3, 2)) == ["a", "a house", "built", "house is", "is", "is built"]
    trained = run(world_folder, start, tmp_path / "run", min_counts=(8, 8))
    model, info = load_pretrained(trained)
    keywords = info.config.keywords
    assert keywords[: len(WORDS)] == WORDS and len(set(keywords)) == len(keywords) > len(WORDS)
    changed = [item for item in open_dataset(world_folder, "train").items if item.changed]
    for phrase in keywords[len(WORDS) :]:
        said = [f" {text} " for item in changed for text in item.sentences]
        assert sum(f" {phrase} " in text for text in said) >= 8
    assert model.caption_decoder.keyword_head.token_logits.weight.shape[0] == len(keywords)


def test_a_model_without_such_a_head_has_no_such_phase(world_folder: Path, tmp_path: Path) -> None:
    settings = {"data": str(world_folder), "out": str(tmp_path / "run"), "model": {"keywords": []}}
    with pytest.raises(ConfigError, match="phase keyword_head is left out: the model has no keywords"):
        train(load_config("tiny", settings), phase="keyword_head")

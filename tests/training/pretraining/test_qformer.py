"""Phase qformer: it learns the words, leaves the rest as it is, and ends in the LLM's embeddings."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from phases import only, phase_of
from torch import nn
from torch.nn import functional as F

from semantic_cc.checkpoint.build import build_model
from semantic_cc.checkpoint.serialization import load_pretrained
from semantic_cc.config import HardwareConfig, load_config
from semantic_cc.data.collate import collate
from semantic_cc.data.items import ChangeDataset, Item
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.errors import ConfigError, DataError
from semantic_cc.training.devices import fabric_of
from semantic_cc.training.pipeline import train
from semantic_cc.training.pretraining import token_cache
from semantic_cc.training.pretraining.qformer import KeywordHead, uses, vocabulary, word_loss


def test_rare_words_are_left_out_and_each_pair_counts_a_word_once() -> None:
    references = [["A house .", "a house"], ["a road."], *[["a field"]] * 398]
    known = vocabulary(references)
    assert known == ["a", "field"]  # house and road: 1 of 400 pairs, below one in 200
    assert uses(known, [references[0], None, references[2]]).tolist() == [[1, 0], [0, 0], [1, 1]]
    said = [["A house on the left .", "a road"], ["the road on its left"]]
    assert uses(["left", "the left", "left a"], said).tolist() == [
        [1, 1, 0],
        [1, 0, 0],
    ]  # within one sentence
    with pytest.raises(DataError, match="no captions"):
        vocabulary([[], []])


@pytest.mark.parametrize("flag_head", [True, False])
def test_the_loss_is_a_cross_entropy_for_each_word_and_the_flag(flag_head: bool) -> None:
    torch.manual_seed(0)
    decoder = build_model(load_config("tiny", {"model": {"flag_head": flag_head}}).model).caption_decoder
    head = KeywordHead(decoder.llm_width, 5).eval()
    tokens = torch.randn(3, 2, 4, 4, 32)
    present, changed = torch.randint(0, 2, (3, 5)).float(), torch.tensor([1.0, 0.0, 1.0])
    expected = []
    flags = []
    for pair, words, flag in zip(tokens, present, changed, strict=True):
        visual = decoder.visual_tokens(pair)  # its two dates, before first
        told = head.token_logits(visual[0]).exp().sum(0).log()  # by any of the tokens
        expected.append(F.binary_cross_entropy_with_logits(told[None], words[None]))
        if flag_head:
            flags.append(F.binary_cross_entropy_with_logits(decoder.flag_logits(visual), flag[None]))
    total = torch.stack(expected).mean() + (torch.stack(flags).mean() if flags else 0)
    torch.testing.assert_close(word_loss(decoder, head, tokens, present, changed), total)


@pytest.mark.parametrize("phase", ["qformer", "llm"])
def test_the_flag_s_loss_has_its_weight(phase: str, world_folder: Path, tmp_path: Path) -> None:
    losses = []
    for weight in (0.0, 1.0, 3.0):
        out = tmp_path / str(weight)
        own = {"train_qformer": True} if phase == "llm" else {}
        settings = {"data": str(world_folder), "out": str(out), "train": {"flag_weight": weight}}
        train(load_config("tiny", {**settings, **only(**{phase: {"epochs": 1, **own}})}))
        losses.append(float(next(csv.DictReader(phase_of(out, phase).log.open()))["loss"]))
    assert losses[1] > losses[0]
    assert losses[2] - losses[0] == pytest.approx(3 * (losses[1] - losses[0]), rel=1e-4)


def run(world_folder: Path, out: Path, **more: object) -> list[float]:
    """Runs the phase; its losses."""
    settings = {key: more.pop(key) for key in ("model", "train") if key in more}
    config = {"data": str(world_folder), "out": str(out), **only(qformer=more), **settings}
    train(load_config("tiny", config))
    return [float(row["loss"]) for row in csv.DictReader(phase_of(out, "qformer").log.open())]


def test_it_learns_and_moves_the_caption_path_only(world_folder: Path, tmp_path: Path) -> None:
    losses = run(world_folder, tmp_path / "run", epochs=40, lr=3e-3)
    assert len(losses) == 80
    assert sum(losses[-4:]) < 0.8 * sum(losses[:4])
    start = build_model(load_config("tiny").model).state_dict()
    after = load_pretrained(tmp_path / "run" / "model", merge=False)[0].state_dict()
    moved = {name for name, value in after.items() if not torch.equal(value, start[name])}
    assert all(name.startswith("caption_decoder.") for name in moved)
    parts = {name.split(".")[1] for name in moved}
    assert parts == {"project", "queries", "qformer", "enhancer", "flag"}


def test_the_visual_tokens_end_at_the_size_of_the_llm_s_embeddings(
    world_folder: Path, tmp_path: Path
) -> None:
    run(world_folder, tmp_path / "run", epochs=2)
    model = load_pretrained(tmp_path / "run" / "model", merge=False)[0]
    pairs = open_dataset(world_folder, "train")
    batch = collate([replace(pairs[index], label=None) for index in range(len(pairs))])
    with torch.no_grad():
        tokens = model.tokens(model.encode(batch.before, batch.after))[1]
        visual = model.caption_decoder.visual_tokens(tokens)
    size = model.llm.get_input_embeddings().weight.norm(dim=-1).mean()
    changed = visual[batch.changed.bool()]
    torch.testing.assert_close(changed.norm(dim=-1).mean(), size, rtol=0.1, atol=0)


def test_a_draw_of_pairs_follows_the_seed(world_folder: Path, tmp_path: Path) -> None:
    first, again, other = (
        run(world_folder, tmp_path / name, batch=4, items=8, train={"seed": seed})
        for name, seed in (("first", 0), ("again", 0), ("other", 1))
    )
    assert len(first) == 2
    facts = load_pretrained(tmp_path / "first" / "model", merge=False)[1].training
    assert facts["phases"]["qformer"]["pairs"] == 8
    assert again == first != other


def test_refusals(world_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no phase trains a part"):
        run(world_folder, tmp_path / "x", model={"qformer": {"frozen": True}})
    with pytest.raises(ConfigError, match="adapt lora freezes SAM"):
        run(world_folder, tmp_path / "x", model={"encoder": {"adapt": "lora"}})
    with pytest.raises(DataError):
        run(tmp_path / "none", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_broken_image_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_cache, "default_workers", lambda: 1)
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    pairs = ChangeDataset([Item("a.png", str(path), str(path))])
    with pytest.raises(DataError, match=r"^\S+a\.png: not an image [^\n]*$"):
        next(token_cache.encoded(nn.Module(), pairs, fabric_of("float32", HardwareConfig("cpu"))))

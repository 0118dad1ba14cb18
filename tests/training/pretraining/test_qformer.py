"""Word alignment: it learns the words, leaves the rest alone, and training goes on from what it wrote."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from semantic_cc.checkpoint.build import build_model
from semantic_cc.checkpoint.serialization import load_pretrained
from semantic_cc.config import load_config
from semantic_cc.errors import ConfigError, DataError
from semantic_cc.training.initialisation import starting_model
from semantic_cc.training.pretraining.qformer import KeywordHead, align, uses, vocabulary, word_loss


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
    with pytest.raises(DataError, match="no sentences"):
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


def test_it_learns_and_training_goes_on_from_it(world_folder: Path, tmp_path: Path) -> None:
    config = load_config("tiny", {"data": str(world_folder)})
    losses = align(config, tmp_path / "aligned", epochs=40, batch=8, lr=3e-3)
    assert len(losses) == 80
    assert sum(losses[-4:]) < 0.8 * sum(losses[:4])
    start, after = (
        build_model(config.model).state_dict(),
        load_pretrained(tmp_path / "aligned", merge=False)[0],
    )
    moved = {name for name, value in after.state_dict().items() if not torch.equal(value, start[name])}
    parts = {name.split(".")[1] for name in moved}
    assert all(name.startswith("caption_decoder.") for name in moved)
    assert parts == {"project", "queries", "qformer", "enhancer", "flag"}
    more = {"data": str(world_folder), "out": str(tmp_path / "run")}
    again = starting_model(load_config("tiny", more | {"train": {"init": str(tmp_path / "aligned")}}))
    assert all(torch.equal(value, after.state_dict()[name]) for name, value in again.state_dict().items())


def test_reading_moves_the_llm_alone_and_learns(world_folder: Path, tmp_path: Path) -> None:
    config = load_config("tiny", {"data": str(world_folder)})
    words = align(config, tmp_path / "words", epochs=2, batch=8)
    losses = align(config, tmp_path / "read", epochs=2, batch=8, reading=18, places=2)
    assert losses[: len(words)] == words
    read = losses[len(words) :]
    # eight a step: twice the two pairs that name a place; 18 times eight pairs, each followed by one of those
    assert len(read) == 37
    assert sum(read[-4:]) < 0.99 * sum(read[:4])  # of a random LLM the LoRA alone
    before, after = (
        load_pretrained(tmp_path / name, merge=False)[0].state_dict() for name in ("words", "read")
    )
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    lora = {name for name in moved if "lora_" in name}
    assert lora
    assert {name.split(".")[1] for name in moved - lora} == {"enhancer", "flag"}  # their translation alone


def test_a_text_aware_q_former_is_asked_under_all_instructions(world_folder: Path, tmp_path: Path) -> None:
    settings = {"data": str(world_folder), "model": {"qformer": {"text": True}}}
    assert len(align(load_config("tiny", settings), tmp_path / "aligned", epochs=1, batch=16)) == 1


def test_a_draw_of_pairs_follows_the_seed(world_folder: Path, tmp_path: Path) -> None:
    def losses_of(seed: int) -> list[float]:
        config = load_config("tiny", {"data": str(world_folder), "train": {"seed": seed}})
        return align(config, tmp_path / "aligned", epochs=1, batch=4, pairs=8)

    first = losses_of(0)
    assert len(first) == 2
    assert load_pretrained(tmp_path / "aligned", merge=False)[1].training["aligned_pairs"] == 8
    assert losses_of(0) == first != losses_of(1)


def test_refusals(world_folder: Path, tmp_path: Path) -> None:
    frozen = {"data": str(world_folder), "model": {"qformer": {"frozen": True}}}
    with pytest.raises(ConfigError, match="leaves nothing to align"):
        align(load_config("tiny", frozen), tmp_path / "x")
    lora = {"data": str(world_folder), "model": {"encoder": {"adapt": "lora"}}}
    with pytest.raises(ConfigError, match="adapt lora freezes SAM"):
        align(load_config("tiny", lora), tmp_path / "x")
    with pytest.raises(DataError):
        align(load_config("tiny", {"data": str(tmp_path / "none")}), tmp_path / "x")
    still = shutil.copytree(world_folder, tmp_path / "still") / "LevirCCcaptions.json"
    pairs = json.loads(still.read_text())["images"]
    still.write_text(json.dumps({"images": [pair for pair in pairs if not pair["changeflag"]]}))
    with pytest.raises(DataError, match="still: no changed pair for the LLM"):
        align(load_config("tiny", {"data": str(still.parent)}), tmp_path / "x", reading=1)
    assert not (tmp_path / "x").exists()

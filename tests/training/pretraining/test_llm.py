"""Phase llm: what it trains, and what it learns from."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch
from phases import only, phase_of

from semantic_cc.checkpoint.build import build_model
from semantic_cc.checkpoint.serialization import load_pretrained
from semantic_cc.config import load_config
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.errors import DataError
from semantic_cc.losses import caption_loss, flag_loss
from semantic_cc.training.pipeline import train
from semantic_cc.training.pretraining.llm import loss_of


def test_it_moves_the_lora_only_and_learns(world_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    more = {"epochs": 37}
    config = load_config("tiny", {"data": str(world_folder), "out": str(out), **only("qformer", llm=more)})
    train(config)
    losses = [float(row["loss"]) for row in csv.DictReader(phase_of(out, "llm").log.open())]
    assert len(losses) == 37
    assert sum(losses[-4:]) < 0.99 * sum(losses[:4])  # of a random LLM the LoRA only
    before, after = (
        load_pretrained(phase_of(out, name).model, merge=False)[0].state_dict() for name in ("qformer", "llm")
    )
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert moved and all("lora_" in name and ".llm." in name for name in moved)


def test_the_caption_path_trains_too_on_unchanged_pairs_as_well(world_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    more = {"epochs": 12, "train_qformer": True, "lr": 5e-3}
    config = load_config("tiny", {"data": str(world_folder), "out": str(out), **only("qformer", llm=more)})
    train(config)
    losses = [float(row["loss"]) for row in csv.DictReader(phase_of(out, "llm").log.open())]
    assert len(losses) == 12 * -(-len(open_dataset(str(world_folder), "train").items) // 8)
    assert sum(losses[-4:]) < 0.95 * sum(losses[:4])
    before, after = (
        load_pretrained(phase_of(out, name).model, merge=False)[0].state_dict() for name in ("qformer", "llm")
    )
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    parts = ("project", "queries", "qformer", "enhancer", "flag", "llm")
    for part in parts:
        assert any(name.startswith(f"caption_decoder.{part}") for name in moved), part
    assert all(name.startswith(tuple(f"caption_decoder.{part}" for part in parts)) for name in moved)


def test_unchanged_pairs_teach_the_flag_and_no_sentence() -> None:
    decoder = build_model(load_config("tiny", {"model": {"flag_head": True}}).model).caption_decoder.eval()
    torch.manual_seed(0)
    visual, changed = torch.randn(2, 3, decoder.llm_width), torch.tensor([0.0, 1.0])
    ask, said = ["What changed?"] * 2, ["a house is built"]
    flag = flag_loss(decoder.flag_logits(visual), changed)
    both = flag + caption_loss(*decoder.teach(visual[1:], ask[1:], [said]))
    torch.testing.assert_close(loss_of(decoder, visual, ask, [[], said], changed), both)
    torch.testing.assert_close(loss_of(decoder, visual, ask, [[], []], changed), flag)
    torch.testing.assert_close(loss_of(decoder, visual, ask, [[], []], changed, flag_weight=0.3), 0.3 * flag)
    torch.testing.assert_close(loss_of(decoder, visual, ask, [[], said], None), both - flag)


def test_it_needs_a_changed_pair(world_folder: Path, tmp_path: Path) -> None:
    captions = shutil.copytree(world_folder, tmp_path / "still") / "LevirCCcaptions.json"
    pairs = json.loads(captions.read_text())["images"]
    captions.write_text(json.dumps({"images": [pair for pair in pairs if not pair["changeflag"]]}))
    config = load_config(
        "tiny", {"data": str(captions.parent), "out": str(tmp_path / "run"), **only("qformer", "llm")}
    )
    with pytest.raises(
        DataError, match=r"still: no changed pair with captions for phase llm; .*--phases\.llm null"
    ):
        train(config)
    assert not (tmp_path / "run").exists()

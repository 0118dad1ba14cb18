"""A checkpoint of format 2, kept as the version of that format wrote it, predicts what it predicted then."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

from semantic_cc.checkpoint.config_file import read_config
from semantic_cc.checkpoint.serialization import load_pretrained, save_pretrained
from semantic_cc.errors import CheckpointError

OLD = Path(__file__).parent / "old_format"
"""The preset tiny with smaller widths, random weights in bfloat16, a keyword head; and its predictions of `images`."""


def images() -> list[torch.Tensor]:
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(2)]
    return [torch.from_numpy(array).permute(2, 0, 1)[None].float() / 255 for array in arrays]


def test_an_old_checkpoint_predicts_the_same() -> None:
    assert any("caption_decoder.evidence." in name for name in load_file(OLD / "model/model.safetensors"))
    model, info = load_pretrained(OLD / "model")
    assert info.config.keywords == ("a", "the") and not info.notes
    assert info.training["keyword_head"]["pairs"] == 8 and info.training["mask_decoder"] == {"epochs": 1}
    prediction, kept = model.predict(*images()), np.load(OLD / "predictions.npz")
    expected = torch.from_numpy(kept["class_probabilities"]).float()
    assert_close(prediction.class_probabilities, expected, rtol=0, atol=1e-3)  # kept as float16
    assert_close(prediction.change_probability, torch.from_numpy(kept["change_probability"]))
    sentences = json.loads((OLD / "predictions.json").read_text())["sentences"]
    assert prediction.sentences == sentences
    model.caption_decoder.keyword_head = None
    assert model.predict(*images()).sentences != sentences  # the head's weights count


def test_an_old_checkpoint_is_saved_in_the_present_format(tmp_path: Path) -> None:
    model, _ = load_pretrained(OLD / "model", merge=False)
    folder = save_pretrained(model, tmp_path / "new", name="new", dtype=torch.bfloat16)
    old, new = (load_file(path / "model.safetensors") for path in (OLD / "model", folder))
    assert json.loads((folder / "config.json").read_text())["model"]["keywords"] == ["a", "the"]
    assert len(old) == len(new) and not any("evidence" in name for name in new)
    assert torch.equal(
        new["caption_decoder.keyword_head.token_logits.weight"], old["caption_decoder.evidence.words.weight"]
    )


def test_a_checkpoint_whose_q_former_reads_the_instruction_is_refused(tmp_path: Path) -> None:
    content = json.loads((OLD / "model/config.json").read_text())
    assert content["model"]["qformer"]["text"] is False  # the field of earlier formats
    content["model"]["qformer"]["text"] = True
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=r"qformer\.text: .* no longer supported"):
        read_config(tmp_path)

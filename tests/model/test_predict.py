"""The whole model: any size, any batch, bfloat16, the flag's gate, the two helpers of the outputs."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from semantic_cc.model.answers import Candidate
from semantic_cc.model.base import device_time
from semantic_cc.model.encoder import pad_to_patches, resample_positions
from semantic_cc.model.prompter import INSTRUCTIONS
from semantic_cc.model.semantic_cc import SemanticCCModel, class_probabilities, difference_map
from semantic_cc.sentences import UNCHANGED, says_change

Build = Callable[..., SemanticCCModel]
Images = Callable[..., tuple[torch.Tensor, torch.Tensor]]


@pytest.fixture(scope="module")
def model(build: Build) -> SemanticCCModel:
    return build()


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 16), (64, 50), (80, 112)])
@pytest.mark.parametrize("b", [1, 3])
def test_any_size_and_batch(b: int, height: int, width: int, model: SemanticCCModel, pair: Images) -> None:
    before, after = pair(b, height, width)
    said = model.predict(before, after)
    assert said.class_probabilities.shape == (b, 3, height, width)
    assert_close(said.class_probabilities.sum(1), torch.ones(b, height, width))
    assert said.heatmap.shape == (b, height, width)
    assert said.heatmap.min() >= 0 and said.heatmap.max() <= 1 and said.heatmap.max() > 0
    assert said.change_probability.shape == (b,)
    assert len(said.sentence) == len(said.sentences) == len(said.changed) == b


@pytest.mark.parametrize(("height", "width"), [(17, 16), (64, 50)])
def test_training_pass_at_any_size(height: int, width: int, model: SemanticCCModel, pair: Images) -> None:
    out = model(
        *pair(2, height, width), sentences=[["a road"], ["nothing"]], instructions=["What?", "Say it."]
    )
    assert out.change_logits.shape == (2, 3, height, width)
    assert len(out.caption_logits) == len(out.caption_targets)
    assert out.flag_logits.shape == (2,)


def test_without_sentences_the_caption_decoder_rests(model: SemanticCCModel, pair: Images) -> None:
    out = model(*pair())
    assert out.change_logits is not None
    assert out.caption_logits is out.caption_targets is out.flag_logits is None
    assert model(*pair(), change=False).change_logits is None


def test_padding_repeats_the_border() -> None:
    image = torch.rand(1, 3, 17, 30)
    padded = pad_to_patches(image, 16)
    assert padded.shape == (1, 3, 32, 32)
    assert torch.equal(padded[..., :17, :30], image)
    assert torch.equal(padded[..., 17:, :30], image[..., -1:, :].expand(-1, -1, 15, -1))
    assert torch.equal(padded[..., 30:], padded[..., 29:30].expand(-1, -1, -1, 2))
    assert torch.equal(pad_to_patches(padded, 16), padded)


def test_position_tables() -> None:
    table = torch.randn(1, 4, 4, 3)
    assert resample_positions(table, 4, 4) is table
    assert resample_positions(table, 2, 7).shape == (1, 2, 7, 3)
    level = torch.full((1, 4, 4, 3), 0.7)
    assert_close(resample_positions(level, 6, 3), torch.full((1, 6, 3, 3), 0.7))


@pytest.mark.parametrize("overrides", [{}, {"encoder": {"adapt": "lora"}}])
def test_bfloat16(overrides: dict[str, Any], build: Build, pair: Images) -> None:
    model = build(overrides)
    with torch.autocast("cpu", torch.bfloat16):
        out = model(*pair(), sentences=[["a road"], ["nothing"]], instructions=["What?", "Say it."])
        said = model.predict(*pair(2, 48, 40))
    for tensor in (out.change_logits, out.caption_logits, out.flag_logits):
        assert torch.isfinite(tensor).all()
    assert torch.isfinite(said.class_probabilities).all() and torch.isfinite(said.heatmap).all()
    assert said.class_probabilities.dtype == torch.float32


def test_the_flag_closes_the_gate(build: Build, pair: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build()
    monkeypatch.setattr(model.caption_decoder, "flag_logits", lambda visual: torch.tensor([-2.0, 2.0, -0.1]))
    said = model.predict(*pair(3))
    assert said.changed == [False, True, False]
    assert_close(said.change_probability, torch.sigmoid(torch.tensor([-2.0, 2.0, -0.1])))
    assert said.sentence[0] == said.sentence[2] == UNCHANGED
    assert said.sentences[0] == said.sentences[2] == {}
    assert tuple(said.sentences[1]) == INSTRUCTIONS


def test_a_closed_gate_leaves_the_llm_alone(
    build: Build, pair: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build()
    monkeypatch.setattr(model.caption_decoder, "flag_logits", lambda visual: torch.tensor([-2.0, -2.0]))
    monkeypatch.setattr(model.caption_decoder, "generate", None)  # calling it would fail
    assert model.predict(*pair()).sentence == [UNCHANGED, UNCHANGED]


def test_without_the_head_the_flag_is_read_from_the_sentence(
    build: Build, pair: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build({"flag_head": False})
    answers = iter(["a road", "no change", "b", "c", "no change", "no change", "no change", "no change"])
    monkeypatch.setattr(
        model.caption_decoder,
        "generate",
        lambda visual, texts, masks, seen: [[Candidate(next(answers))] for _ in texts],
    )
    said = model.predict(*pair())
    assert said.change_probability is None
    assert said.changed == [says_change(text) for text in said.sentence]
    assert list(said.sentences[0].values()) == ["a road", "b", "no change", "no change"]  # instruction-major
    assert said.sentence == ["no change", "no change"]
    assert said.changed == [False, False]


def test_each_answer_is_written_beside_its_own_mask(
    build: Build, pair: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four instructions and the pairs that the flag calls changed: the second alone, then both."""
    model = build({"flag_head": True})
    given = []
    monkeypatch.setattr(
        model.caption_decoder,
        "generate",
        lambda visual, texts, masks, seen: (
            given.append((visual, masks)) or [[Candidate("a road")]] * len(texts)
        ),
    )
    for flags in ([0.1, 0.9], [0.9, 0.9]):
        monkeypatch.setattr(model, "_flag", lambda visual, flags=flags: torch.tensor(flags))
        said = model.predict(*pair())
        open_pairs = [place for place, flag in enumerate(flags) if flag >= 0.5]
        visual, masks = given.pop()
        assert len(visual) == len(masks) == 4 * len(open_pairs)
        expected = said.class_probabilities[open_pairs].repeat(4, 1, 1, 1)
        assert torch.equal(masks, expected)


def test_decoding_by_config_and_by_hand(build: Build, pair: Images) -> None:
    greedy = build({"decoding": "greedy", "flag_head": False})
    assert tuple(greedy.predict(*pair()).sentences[0]) == INSTRUCTIONS[:1]
    assert tuple(greedy.predict(*pair(), instructions=["What?", "Where?"]).sentences[1]) == (
        "What?",
        "Where?",
    )


def test_two_classes_and_captions_alone(build: Build, pair: Images) -> None:
    binary = build({"change_decoder": {"classes": 1}}).predict(*pair())
    assert binary.class_probabilities.shape == (2, 2, 32, 48)
    alone = build({"change_task": False}).predict(*pair())
    assert alone.class_probabilities is None
    assert alone.heatmap.shape == (2, 32, 48)


def test_class_probabilities() -> None:
    logits = torch.randn(2, 1, 3, 4)
    both = class_probabilities(logits)
    assert_close(both[:, 1], 1 / (1 + (-logits[:, 0]).exp()))
    assert_close(both.sum(1), torch.ones(2, 3, 4))
    three = torch.randn(2, 3, 3, 4)
    assert_close(class_probabilities(three), three.exp() / three.exp().sum(1, keepdim=True))


def test_difference_map() -> None:
    tokens = torch.randn(2, 2, 3, 8)
    assert difference_map(torch.cat([tokens, tokens]), (30, 41), 16).abs().max() == 0
    opposite = difference_map(torch.cat([tokens, -tokens]), (30, 41), 16)
    assert_close(opposite, torch.ones(2, 30, 41))
    some = difference_map(torch.randn(4, 2, 3, 8), (30, 41), 16)
    assert some.shape == (2, 30, 41) and some.min() > 0 and some.max() < 1
    assert torch.equal(difference_map(torch.zeros(2, 1, 1, 4), (16, 16), 16), torch.zeros(1, 16, 16))


def test_timers_wait_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    gpu = torch.device("cuda", 1)
    assert device_time(torch.device("cpu")) <= device_time(gpu)
    assert waited == [gpu]

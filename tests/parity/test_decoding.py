"""The fast path equals the slow path: the cache, the batch, and greedy search by hand."""

from collections.abc import Callable

import pytest
import torch
from torch.testing import assert_close

from semantic_cc.model.caption_decoder import CaptionDecoder
from semantic_cc.model.semantic_cc import SemanticCCModel

Build = Callable[..., SemanticCCModel]
ASKED = ["What?", "Please describe in a few words what has changed here.", "Say what is new."]
TEMPLATES = ["minigpt4", "chatml"]


@pytest.fixture(params=TEMPLATES)
def decoder(request: pytest.FixtureRequest, build: Build, monkeypatch: pytest.MonkeyPatch) -> CaptionDecoder:
    """A caption decoder that answers with token ids instead of text."""
    part = build({"llm": {"template": request.param, "max_new_tokens": 16}}).caption_decoder
    monkeypatch.setattr(part.prompter, "sentence", list)
    return part


def upto_end(decoder: CaptionDecoder, ids: list[int]) -> list[int]:
    """The ids without what a batch appends to a sentence that has ended."""
    end = decoder.prompter.tokenizer.eos_token_id
    return ids[: ids.index(end) + 1] if end in ids else ids


def by_hand(decoder: CaptionDecoder, visual: torch.Tensor, instruction: str) -> list[int]:
    """Argmax over a full forward pass, token by token."""
    prompter, table = decoder.prompter, decoder.llm.get_input_embeddings().weight
    said: list[int] = []
    while len(said) < decoder.max_new_tokens and prompter.tokenizer.eos_token_id not in said:
        words = table[prompter.rest_ids(instruction) + said]
        row = torch.cat([table[prompter.start_ids], visual, words])
        said.append(int(decoder.llm(inputs_embeds=row[None]).logits[0, -1].argmax()))
    return said


def test_cached_is_uncached_token_for_token(decoder: CaptionDecoder) -> None:
    visual = torch.randn(3, 4, 32)
    cached = [own[0].sentence for own in decoder.generate(visual, ASKED)]
    assert cached == [own[0].sentence for own in decoder.generate(visual, ASKED, use_cache=False)]
    assert max(len(set(ids)) for ids in cached) > 4  # else the model says one thing over and over


def test_greedy_is_the_argmax_whatever_the_llm_prefers(decoder: CaptionDecoder) -> None:
    decoder.llm.generation_config.repetition_penalty = 5.0
    decoder.llm.generation_config.do_sample = True
    visual = torch.randn(3, 4, 32)
    said = [upto_end(decoder, own[0].sentence) for own in decoder.generate(visual, ASKED)]
    assert said == [by_hand(decoder, image, asked) for image, asked in zip(visual, ASKED, strict=True)]


def test_batch_is_one_by_one(decoder: CaptionDecoder) -> None:
    visual = torch.randn(3, 4, 32)
    alone = [decoder.generate(visual[i : i + 1], ASKED[i : i + 1])[0][0].sentence for i in range(3)]
    together = [own[0].sentence for own in decoder.generate(visual, ASKED)]
    assert [upto_end(decoder, ids) for ids in together] == [upto_end(decoder, ids) for ids in alone]


@pytest.mark.parametrize("template", TEMPLATES)
def test_predicting_a_batch_is_predicting_one_by_one(template: str, build: Build) -> None:
    model = build({"llm": {"template": template}})
    contrast = torch.tensor([0.2, 0.6, 1.0]).view(3, 1, 1, 1)
    before, after = torch.rand(2, 3, 3, 40, 64) * contrast
    with torch.no_grad():  # some pairs open the gate, some do not
        _, tokens = model.tokens(model.encode(before, after))
        logits = model.caption_decoder.flag_logits(model.caption_decoder.visual_tokens(tokens))
        model.caption_decoder.flag.bias -= logits.mean()
    together = model.predict(before, after, instructions=ASKED)
    assert set(together.changed) == {True, False}
    for i in range(3):
        alone = model.predict(before[i : i + 1], after[i : i + 1], instructions=ASKED)
        assert alone.sentences == together.sentences[i : i + 1]
        assert alone.sentence == together.sentence[i : i + 1]
        assert alone.changed == together.changed[i : i + 1]
        assert_close(alone.change_probability, together.change_probability[i : i + 1])
        assert_close(alone.class_probabilities, together.class_probabilities[i : i + 1])
        assert_close(alone.heatmap, together.heatmap[i : i + 1])

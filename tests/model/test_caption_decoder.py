"""Equation 7: shared weights on both dates, the q tokens in their place, the loss on the answer alone; consensus."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from semantic_cc.losses import caption_loss
from semantic_cc.model.answers import consensus
from semantic_cc.model.caption_decoder import CaptionDecoder
from semantic_cc.model.semantic_cc import SemanticCCModel

TEMPLATES = ["minigpt4", "chatml"]
ASKED = ["What is new?", "Please say in a few words what has changed here."]
SAID = ["a house is built", "nothing"]


def decoder_of(build: Callable[..., SemanticCCModel], template: str = "chatml", **model) -> CaptionDecoder:
    return build({"llm": {"template": template}, **model}).caption_decoder


def prompt(decoder: CaptionDecoder, visual: Tensor, instruction: str, answer: list[int]) -> Tensor:
    """<start> <q image tokens> <instruction> <answer> as embeddings (t, m)."""
    prompter, table = decoder.prompter, decoder.llm.get_input_embeddings().weight
    return torch.cat([table[prompter.start_ids], visual, table[prompter.rest_ids(instruction) + answer]])


def test_the_q_former_reads_each_date_alone_with_the_same_weights(
    build: Callable[..., SemanticCCModel],
) -> None:
    decoder = decoder_of(build)
    tokens = torch.randn(4, 2, 3, 32)
    dates = []
    for image in tokens:
        seen = decoder.ln_vision(decoder.project(image.reshape(1, 6, 32)))
        dates.append(decoder.qformer(decoder.queries, seen))
    expected = decoder.enhancer(torch.cat(dates[:2]), torch.cat(dates[2:]))
    assert expected.shape == (2, 4, 32)  # b, q, m
    assert_close(decoder.visual_tokens(tokens), expected)


@pytest.mark.parametrize("template", TEMPLATES)
def test_image_tokens_stand_where_the_template_says(
    template: str, build: Callable[..., SemanticCCModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = decoder_of(build, template)
    visual = torch.randn(2, 4, 32)
    seen: dict[str, Tensor] = {}
    whole = decoder.llm.generate

    def spy(**given):
        seen.update({key: value for key, value in given.items() if isinstance(value, Tensor)})
        return whole(**given)

    monkeypatch.setattr(decoder.llm, "generate", spy)
    decoder.generate(visual, ASKED)
    rows = [prompt(decoder, image, asked, []) for image, asked in zip(visual, ASKED, strict=True)]
    assert len(rows[0]) < len(rows[1])
    for row, embeds, mask in zip(rows, seen["inputs_embeds"], seen["attention_mask"], strict=True):
        assert_close(embeds[-len(row) :], row)  # padded at the left
        assert mask.tolist() == [0] * (len(mask) - len(row)) + [1] * len(row)


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_loss_is_on_the_sentence_and_its_end_mark_alone(
    template: str, build: Callable[..., SemanticCCModel]
) -> None:
    decoder = decoder_of(build, template)
    visual = torch.randn(2, 4, 32)
    sums, count = torch.zeros(()), 0
    for image, asked, said in zip(visual, ASKED, SAID, strict=True):
        answer = decoder.prompter.answer_ids(said)
        row = prompt(decoder, image, asked, answer)
        labels = torch.tensor([-100] * (len(row) - len(answer)) + answer)
        logits = decoder.llm(inputs_embeds=row[None]).logits[0]
        sums = sums + F.cross_entropy(logits[:-1], labels[1:], ignore_index=-100, reduction="sum")
        count += len(answer)
    logits, targets = decoder.teach(visual, ASKED, [[said] for said in SAID])
    assert decoder.prompter.tokenizer.decode(targets) == "".join(
        s + decoder.prompter.template.end for s in SAID
    )
    assert_close(caption_loss(logits, targets), sums / count)


@pytest.mark.parametrize("template", TEMPLATES)
def test_sentences_side_by_side_are_as_sentences_one_by_one(
    template: str, build: Callable[..., SemanticCCModel]
) -> None:
    decoder = decoder_of(build, template)
    visual = torch.randn(2, 4, 32)
    said = [["a road", "a wide road is built", "roads"], ["two houses"]]
    logits, targets = decoder.teach(visual, ASKED, said)
    alone = [
        decoder.teach(image[None], [asked], [[text]])
        for image, asked, own in zip(visual, ASKED, said, strict=True)
        for text in own
    ]
    assert_close(targets, torch.cat([own for _, own in alone]))
    assert_close(logits, torch.cat([own for own, _ in alone]))


def test_the_flag_head_reads_the_mean_visual_token(build: Callable[..., SemanticCCModel]) -> None:
    decoder = decoder_of(build)
    visual = torch.randn(3, 4, 32)
    assert_close(decoder.flag_logits(visual), visual.mean(1) @ decoder.flag.weight[0] + decoder.flag.bias)
    assert decoder_of(build, flag_head=False).flag_logits(visual) is None


@pytest.mark.parametrize("template", TEMPLATES)
def test_answers_are_no_longer_than_allowed(template: str, build: Callable[..., SemanticCCModel]) -> None:
    decoder = decoder_of(build, template)
    decoder.max_new_tokens = 3
    assert all(len(own[0].sentence) <= 3 for own in decoder.generate(torch.randn(2, 4, 32), ASKED))


def test_consensus_is_the_sentence_closest_to_the_others() -> None:
    said = ["a road", "two houses are built", "two houses appear", "two houses are built nearby"]
    assert consensus(said) == "two houses are built"
    assert consensus(said[::-1]) == "two houses are built"


def test_consensus_of_a_tie_is_the_first() -> None:
    assert consensus(["one", "two", "three", "four"]) == "one"
    assert consensus(["a b", "c d", "c d", "a b"]) == "a b"
    assert consensus(["alone"]) == "alone"

"""Log-odds of keywords, and beam search."""

from collections.abc import Callable

import pytest
import torch
from torch.testing import assert_close
from transformers import CompileConfig

from semantic_cc.model.caption_decoder import CaptionDecoder
from semantic_cc.model.generation import (
    KeywordLogitsProcessor,
    StaticCaches,
    VocabularyLogitsProcessor,
    teach_sentences,
    write_candidates,
)
from semantic_cc.model.keyword_head import KeywordHead, mask_grid
from semantic_cc.model.semantic_cc import SemanticCCModel

Build = Callable[..., SemanticCCModel]


def test_log_odds_count_until_the_sentence_has_the_keyword() -> None:
    odds = torch.tensor([[1.0, -2.0], [3.0, 4.0]])
    processor = KeywordLogitsProcessor([[5], [2]], odds)
    scores = torch.randn(2, 6)
    expected = scores.clone()
    expected[:, [5, 2]] += odds
    assert_close(processor(torch.zeros(2, 0, dtype=torch.long), scores), expected)
    expected[0, 2], expected[1, 5] = scores[0, 2], scores[1, 5]
    assert_close(processor(torch.tensor([[2, 0], [1, 5]]), scores), expected)
    of_three = processor.expanded(3)
    assert_close(of_three.log_odds, odds[[0, 0, 0, 1, 1, 1]])


def test_a_vocabulary_shares_all_probability_among_its_tokens() -> None:
    scores = torch.randn(2, 6)
    found = VocabularyLogitsProcessor([1, 4], scores.device)(torch.zeros(2, 0, dtype=torch.long), scores)
    assert_close(found[:, [1, 4]].exp().sum(dim=1), torch.ones(2))
    assert_close(found[:, 4] - found[:, 1], scores[:, 4] - scores[:, 1])
    assert (found[:, [0, 2, 3, 5]] == -torch.inf).all()


@pytest.mark.parametrize(
    ("said", "counts"),
    [([], False), ([1], True), ([2, 1], True), ([1, 2], False), ([1, 3, 1], False), ([3, 1, 1], True)],
)
def test_a_phrase_counts_at_its_last_token(said: list[int], counts: bool) -> None:
    """The phrase 1 3: after a 1, unless the sentence has it already."""
    processor, scores = KeywordLogitsProcessor([[1, 3]], torch.tensor([[2.0]])), torch.zeros(1, 5)
    found = processor(torch.tensor([said], dtype=torch.long), scores)
    assert found.tolist() == [[0, 0, 0, 2.0 * counts, 0]] and not scores.any()


def test_an_untrained_head_changes_nothing_and_a_sure_one_decides(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shaken model's own head is shaken too, so both cases are set by hand; words are bytes here."""
    monkeypatch.setattr(
        CaptionDecoder,
        "keyword_ids",
        property(lambda self: [self.prompter.ids(word)[:1] for word in self.keywords]),
    )
    model = build({"keywords": ["a", "the"], "llm": {"max_new_tokens": 4}})
    decoder = model.caption_decoder
    assert decoder.keyword_head is not None
    assert not any(value.requires_grad for value in decoder.keyword_head.parameters())
    visual, asked = torch.randn(2, 4, decoder.llm_width), ["What?", "Where?"]
    masks = torch.rand(2, 3, 40, 48)
    silent = build({"keywords": ["a", "the"]}, shaken=False).caption_decoder.keyword_head
    answer = silent(torch.randn(2, 4, decoder.llm_width), mask_grid(masks))
    assert_close(answer, torch.zeros(2, 2), rtol=0, atol=1e-6)
    decoder.keyword_head.load_state_dict(silent.state_dict())
    quiet = decoder.generate(visual, asked, masks)
    head, decoder.keyword_head = decoder.keyword_head, None
    assert quiet == decoder.generate(visual, asked, masks)
    decoder.keyword_head = head
    decoder.keyword_head.token_logits.bias.data = torch.tensor([-100.0, 100.0])
    assert all(own[0].sentence.startswith("t") for own in decoder.generate(visual, asked, masks))
    decoder.keyword_weight = 0.0
    assert quiet == decoder.generate(visual, asked, masks)


def test_the_mask_speaks_too() -> None:
    """Another mask, another answer; and no mask, none."""
    head = KeywordHead(8, 2, classes=1).eval()
    visual = torch.randn(1, 4, 8)
    left, right = torch.zeros(1, 2, 64, 64), torch.zeros(1, 2, 64, 64)
    left[:, 1, :, :32], right[:, 1, :, 32:] = 1, 1
    said = [head(visual, mask_grid(mask)) for mask in (left, right)]
    assert not torch.allclose(*said)
    with pytest.raises(ValueError, match="reads a mask: grid must be given"):
        head(visual)


def test_a_grid_is_the_changed_share_of_each_cell() -> None:
    probabilities = torch.zeros(1, 3, 32, 48)
    probabilities[0, 2, 0, 0] = 1.0
    grid = mask_grid(probabilities)
    assert grid.shape == (1, 16, 16, 2)
    assert_close(grid[0, 0, 0], torch.tensor([0.0, 1 / 6]))  # cells of 2 x 3 pixels
    assert_close(grid.sum(), torch.tensor(1 / 6))


def test_keyword_ids_are_the_tokens_inside_a_sentence(build: Build) -> None:
    decoder = build({"keywords": ["left", "the left"]}).caption_decoder
    inside = decoder.prompter.ids("on the left side")
    for phrase, of in zip(decoder.keyword_ids, ("left", "the left"), strict=True):
        assert decoder.prompter.tokenizer.decode(phrase).strip() == of
        assert phrase in [inside[at : at + len(phrase)] for at in range(len(inside))]


def test_a_beam_never_ends_below_what_greedy_finds(build: Build) -> None:
    """A beam of all two-token sentences is a search through all of them: nothing is likelier."""
    model = build({"llm": {"max_new_tokens": 2}})
    decoder = model.caption_decoder
    prompts = decoder._prompts(torch.randn(3, 4, decoder.llm_width), ["What?"] * 3)

    def likelihood(prompt: torch.Tensor, text: str) -> float:
        logits, targets = teach_sentences(decoder.llm, decoder.prompter, [prompt], [[text]])
        picked = logits.log_softmax(dim=-1).gather(1, targets[:, None])[:, 0]
        return float(picked[:2].sum().detach())

    def of(beams: int) -> list[float]:
        said = write_candidates(decoder.llm, decoder.prompter, prompts, 2, beams=beams)
        return [likelihood(prompt, own[0].sentence) for prompt, own in zip(prompts, said, strict=True)]

    greedy, beam = of(1), of(64)
    assert all(better >= worse - 1e-4 for better, worse in zip(beam, greedy, strict=True))


@pytest.mark.parametrize("vocabulary", [[], ["abc", "d", "house"]], ids=["all tokens", "vocabulary"])
@pytest.mark.parametrize("template", ["minigpt4", "chatml"])
@pytest.mark.parametrize("decoding", ["greedy", "beam"])
def test_static_caches_change_no_token(
    build: Build, decoding: str, template: str, vocabulary: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prompts of different lengths, with keywords, in batches that are filled up; caches are used again."""
    llm = {"template": template, "vocabulary": vocabulary, "max_new_tokens": 14}
    decoder = build({"decoding": decoding, "llm": llm}).caption_decoder
    monkeypatch.setattr(decoder.prompter, "sentence", list)
    odds = 3 * torch.randn(5, 3, generator=torch.Generator().manual_seed(4))
    asked = ["What?", "Say what is new.", "Describe all of it in a few words.", "Where?", "?"]
    visual = torch.randn(5, 4, 32, generator=torch.Generator().manual_seed(3))
    caches = StaticCaches()
    for rows in ([0, 1, 2], [3], [4, 2, 0, 1, 3], [2, 0, 4, 1]):
        prompts = decoder._prompts(visual[rows], [asked[row] for row in rows])
        keywords = KeywordLogitsProcessor([[97], [100, 101], [98, 99, 97]], odds[rows])
        grown, static = (
            write_candidates(
                decoder.llm, decoder.prompter, prompts, 14, beams=decoder.beams, keywords=keywords, caches=own
            )
            for own in (None, caches)
        )
        assert static == grown and len(static) == len(rows)
        assert max(len(set(own[0].sentence)) for own in grown) > 3 or vocabulary


def test_a_compiled_step_serves_all_prompts_of_a_shape(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """One graph without breaks for batches of 3 and 4 prompts of several lengths, with the tokens of the plain step."""
    graphs = 0

    def backend(module: torch.fx.GraphModule, inputs: object) -> Callable:
        nonlocal graphs
        graphs += 1
        return module.forward

    compiling = CompileConfig(backend=backend, mode=None, fullgraph=True)
    compiling._compile_all_devices = True  # transformers compiles by itself on GPUs only
    decoder = build({"decoding": "greedy", "llm": {"max_new_tokens": 14}}).caption_decoder
    monkeypatch.setattr(decoder.prompter, "sentence", list)
    caches, asked = StaticCaches(), ["What?", "Say what is new.", "Where is it?", "?"]
    visual = torch.randn(4, 4, 32, generator=torch.Generator().manual_seed(3))
    torch.compiler.reset()
    for count, order in ((4, 1), (3, 1), (4, -1)):
        prompts = decoder._prompts(visual[:count], asked[::order][:count])
        grown = write_candidates(decoder.llm, decoder.prompter, prompts, 14)
        with monkeypatch.context() as patch:
            patch.setattr(decoder.llm.generation_config, "compile_config", compiling, raising=False)
            assert write_candidates(decoder.llm, decoder.prompter, prompts, 14, caches=caches) == grown
    torch.compiler.reset()
    assert graphs == 1

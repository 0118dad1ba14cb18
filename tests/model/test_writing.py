"""What speaks for words beside the prompt, and sentences held in a beam."""

from collections.abc import Callable

import pytest
import torch
from torch.testing import assert_close

from semantic_cc.errors import ConfigError
from semantic_cc.model.semantic_cc import SemanticCCModel
from semantic_cc.model.writing import Evidence, teach_sentences, write_sentences

Build = Callable[..., SemanticCCModel]


def test_evidence_counts_until_the_sentence_has_the_word() -> None:
    odds = torch.tensor([[1.0, -2.0], [3.0, 4.0]])
    evidence = Evidence(torch.tensor([5, 2]), odds)
    scores = torch.randn(2, 6)
    expected = scores.clone()
    expected[:, [5, 2]] += odds
    assert_close(evidence(torch.zeros(2, 0, dtype=torch.long), scores), expected)
    expected[0, 2], expected[1, 5] = scores[0, 2], scores[1, 5]
    assert_close(evidence(torch.tensor([[2, 0], [1, 5]]), scores), expected)
    of_three = evidence.of_beams(3)
    assert_close(of_three.odds, odds[[0, 0, 0, 1, 1, 1]])


def test_a_silent_head_says_nothing_and_strong_evidence_is_written(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shaken model's own head is shaken too, so both cases are set by hand; words are bytes here."""
    monkeypatch.setattr(
        "semantic_cc.model.caption_decoder._one_token", lambda prompter, word: prompter.ids(word)[0]
    )
    model = build({"evidence": ["a", "the"], "llm": {"max_new_tokens": 4}})
    decoder = model.caption_decoder
    assert decoder.evidence is not None
    assert not any(value.requires_grad for value in decoder.evidence.parameters())
    visual, asked = torch.randn(2, 4, decoder.llm_width), ["What?", "Where?"]
    silent = build({"evidence": ["a", "the"]}, shaken=False).caption_decoder.evidence
    assert_close(silent(torch.randn(3, 4, decoder.llm_width)), torch.zeros(3, 2), rtol=0, atol=1e-6)
    decoder.evidence.load_state_dict(silent.state_dict())
    quiet = decoder.generate(visual, asked)
    head, decoder.evidence = decoder.evidence, None
    assert quiet == decoder.generate(visual, asked)
    decoder.evidence = head
    decoder.evidence.words.bias.data = torch.tensor([-100.0, 100.0])
    assert all(text.startswith("t") for text in decoder.generate(visual, asked))


def test_words_of_several_tokens_are_refused(build: Build) -> None:
    decoder = build({"evidence": ["wastelandish"]}).caption_decoder
    with pytest.raises(ConfigError, match=r"model\.evidence: 'wastelandish' is \d+ tokens of the language"):
        decoder.generate(torch.randn(1, 4, decoder.llm_width), ["What?"])


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
        said = write_sentences(decoder.llm, decoder.prompter, prompts, 2, beams=beams)
        return [likelihood(prompt, text) for prompt, text in zip(prompts, said, strict=True)]

    greedy, beam = of(1), of(64)
    assert all(better >= worse - 1e-4 for better, worse in zip(beam, greedy, strict=True))

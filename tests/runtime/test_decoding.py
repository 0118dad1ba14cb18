"""Search outside of the graph gives the tokens of transformers' search."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from semantic_cc.model.answers import Candidate
from semantic_cc.model.caption_decoder import CaptionDecoder
from semantic_cc.model.generation import KeywordLogitsProcessor
from semantic_cc.model.semantic_cc import SemanticCCModel
from semantic_cc.runtime.decoding import KeywordBonus, generate, top_k

Build = Callable[..., SemanticCCModel]
ASKED = ["Say what is new."] * 6


class FullPasses:
    """A `StepDecoder` without cache: each step runs the torch model on all tokens."""

    def __init__(self, decoder: CaptionDecoder) -> None:
        self.llm = decoder.llm
        everything = range(self.llm.config.vocab_size)
        self.scored_tokens = np.array(decoder.prompter.vocabulary_ids or everything)
        self.embeds = torch.empty(0)
        self.calls: list[int] = []

    def prefill(self, embeds: np.ndarray) -> np.ndarray:
        self.embeds = torch.from_numpy(embeds)
        return self._log_probabilities()

    def step(self, tokens: np.ndarray, sources: np.ndarray) -> np.ndarray:
        new = self.llm.get_input_embeddings()(torch.from_numpy(tokens))[:, None]
        self.embeds = torch.cat([self.embeds[torch.from_numpy(sources)], new], dim=1)
        return self._log_probabilities()

    @torch.no_grad()
    def _log_probabilities(self) -> np.ndarray:
        self.calls.append(len(self.embeds))
        logits = self.llm(inputs_embeds=self.embeds).logits[:, -1]
        return logits[:, self.scored_tokens].log_softmax(-1).numpy()


Found = list[list[Candidate]]


def both_ways(decoder: CaptionDecoder, odds: torch.Tensor | None) -> tuple[Found, Found, FullPasses]:
    """Candidates of six prompts by transformers, and by the search under test."""
    visual = torch.randn(6, 4, 32, generator=torch.Generator().manual_seed(3))
    prompts = decoder._prompts(visual, ASKED)
    prompter, ids = decoder.prompter, [[97], [100, 101], [98, 99, 97]]
    from semantic_cc.model.generation import write_candidates

    theirs = write_candidates(
        decoder.llm, prompter, prompts, decoder.max_new_tokens, beams=decoder.beams,
        keywords=None if odds is None else KeywordLogitsProcessor(ids, odds),
    )  # fmt: skip
    steps = FullPasses(decoder)
    ours = generate(
        steps, torch.stack(prompts).detach().numpy(), beams=decoder.beams,
        max_new_tokens=decoder.max_new_tokens, end_id=prompter.end_id,
        keywords=None if odds is None else KeywordBonus(ids, odds.numpy(), steps.scored_tokens),
    )  # fmt: skip
    return theirs, [[Candidate(prompter.sentence(ids), score) for ids, score in own] for own in ours], steps


@pytest.mark.parametrize("guided", [False, True], ids=["plain", "guided"])
@pytest.mark.parametrize("beams", [1, 3, 4])
@pytest.mark.parametrize("vocabulary", [[], ["abc", "d", "house"], ["a"]], ids=["all", "words", "few"])
def test_the_tokens_are_those_of_transformers(
    build: Build, beams: int, guided: bool, vocabulary: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoding = "greedy" if beams == 1 else "beam"
    llm = {"beams": beams, "max_new_tokens": 14, "vocabulary": vocabulary}
    decoder = build({"decoding": decoding, "llm": llm}).caption_decoder
    monkeypatch.setattr(decoder.prompter, "sentence", lambda ids: upto_end(ids, decoder.prompter.end_id))
    with torch.no_grad():  # so that sentences end at different steps
        head = decoder.llm.get_output_embeddings().weight
        head[decoder.prompter.end_id] = 1.5 * head.mean(0) + 0.3 * head.std(0)
    odds = None
    if guided:
        odds = 3 * torch.randn(6, 3, generator=torch.Generator().manual_seed(4))
    theirs, ours, _ = both_ways(decoder, odds)
    for own, other in zip(ours, theirs, strict=True):
        assert [one.sentence for one in own] == [one.sentence for one in other]
        assert [one.score for one in own] == pytest.approx([one.score for one in other], abs=1e-3)
        assert len(own) == beams
        if vocabulary:
            assert {token for one in own for token in one.sentence} <= set(decoder.prompter.vocabulary_ids)
    assert len({tuple(own[0].sentence) for own in ours}) > 1 or vocabulary == ["a"]


def upto_end(ids: list[int], end: int | None) -> list[int]:
    """The ids without what a batch appends to a sentence that has ended."""
    return ids[: ids.index(end)] if end in ids else ids


def test_keywords_change_the_sentence(build: Build) -> None:
    decoder = build({"decoding": "beam", "llm": {"max_new_tokens": 8}}).caption_decoder
    plain = both_ways(decoder, None)[1]
    guided = both_ways(decoder, torch.full((6, 3), 30.0))[1]
    assert all(one[0].sentence != other[0].sentence for one, other in zip(plain, guided, strict=True))


@pytest.mark.parametrize("seed", range(20))
def test_the_bonus_is_the_one_of_the_reference(seed: int) -> None:
    """Keywords of one to four of five tokens, some of them twice; sums of eighths are exact in any order."""
    random = np.random.default_rng(seed)
    keywords = [random.integers(0, 5, random.integers(1, 5)).tolist() for _ in range(40)]
    keywords += keywords[:5]
    log_odds = (random.integers(-40, 40, (3, 45)) / 8).astype(np.float32)
    log_odds[:, random.random(45) < 0.2] = 0
    bonus = KeywordBonus(keywords, log_odds, np.arange(5))
    prompts = random.integers(0, 3, 12)
    reference = KeywordLogitsProcessor(keywords, torch.from_numpy(log_odds[prompts]))
    for t in range(9):
        said = random.integers(0, 5, (12, t))
        scores = (random.integers(-80, 0, (12, 5)) / 8).astype(np.float32)
        expected = reference(torch.from_numpy(said), torch.from_numpy(scores)).numpy()
        bonus.add(scores, said, prompts)
        np.testing.assert_array_equal(scores, expected)


def test_keywords_with_tokens_that_are_not_scored_are_left_out() -> None:
    keywords = [[2], [3], [4], [3, 7], [7, 4, 3], [9]]
    bonus = KeywordBonus(keywords, np.ones((1, 6), np.float32), np.array([3, 7]))
    scores = np.zeros((2, 2), np.float32)
    bonus.add(scores, np.array([[3], [7]]), np.array([0, 0]))
    assert scores.tolist() == [[0, 1], [1, 0]]


def test_log_odds_of_zero_change_nothing() -> None:
    scores = np.zeros((1, 2), np.float32)
    KeywordBonus([[0], [0, 1]], np.zeros((1, 2), np.float32), np.arange(2)).add(
        scores, np.array([[0]]), np.array([0])
    )
    assert not scores.any()


class Scripted:
    """Ten tokens. Answers each row with the next token of its prompt's script, and counts the rows of each call."""

    scored_tokens = np.arange(10)

    def __init__(self, scripts: list[list[int]]) -> None:
        self.scripts, self.rows = scripts, [list(script) for script in scripts]
        self.calls: list[int] = []

    def prefill(self, embeds: np.ndarray) -> np.ndarray:
        self.rows = [list(script) for script in self.scripts]
        return self._scores()

    def step(self, tokens: np.ndarray, sources: np.ndarray) -> np.ndarray:
        self.rows = [self.rows[source][1:] for source in sources]
        return self._scores()

    def _scores(self) -> np.ndarray:
        self.calls.append(len(self.rows))
        scores = np.full((len(self.rows), 10), -20, np.float32)
        for row, left in zip(scores, self.rows, strict=True):
            row[left[0]] = -0.1
        return scores


def test_a_sentence_that_has_ended_leaves_the_batch() -> None:
    scripts = [[1, 9], [2, 3, 4, 5, 9], [6, 7, 9]]
    decoder = Scripted(scripts)
    found = generate(decoder, np.zeros((3, 2, 4), np.float32), beams=1, max_new_tokens=8, end_id=9)
    assert found == [[(script, 0.0)] for script in scripts]
    assert decoder.calls == [3, 3, 2, 1, 1]


def test_the_longest_answer_is_cut() -> None:
    decoder = Scripted([[1, 2, 3, 4, 5, 6]])
    embeds = np.zeros((1, 2, 4), np.float32)
    assert generate(decoder, embeds, beams=1, max_new_tokens=3, end_id=9) == [[([1, 2, 3], 0.0)]]


@pytest.mark.parametrize("different", [2, 5, 10**6], ids=["two values", "many ties", "no ties"])
@pytest.mark.parametrize("columns", [8, 9, 1332, 2048])
def test_top_k_is_a_full_sort(columns: int, different: int) -> None:
    """Of equal scores the lower column comes first, at the last place too."""
    scores = np.random.default_rng(columns).integers(-different, 0, (5, columns)).astype(np.float32)
    values, index = top_k(scores, 8)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :8]
    np.testing.assert_array_equal(index, expected)
    np.testing.assert_array_equal(values, np.take_along_axis(scores, expected, 1))


def test_top_k_of_too_few_columns_ends_with_minus_infinity() -> None:
    values, index = top_k(np.array([[1.0, 3.0, 2.0]], np.float32), 5)
    assert values.tolist() == [[3, 2, 1, -np.inf, -np.inf]] and index.tolist() == [[1, 2, 0, 2, 2]]

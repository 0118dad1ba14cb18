"""Greedy and beam search over a decoder's log-probabilities, in NumPy, with keyword guidance.

The beam search is transformers' (`GenerationMixin._beam_search` without length penalty and early stopping), and returns
the same tokens. Here each prompt stops by itself, and its rows leave the batch.

Legend: p prompts, k beams, r rows (p or p k), t tokens so far, m LLM width, V scored tokens, v keywords.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol

import numpy as np

LOWEST = np.float32(-1e9)
"""Score of what must not be chosen, as in transformers."""


class StepDecoder(Protocol):
    """A language model with a key-value cache.

    Attributes:
        scored_tokens: (V,) ids of the tokens that a sentence may have, ascending.
    """

    scored_tokens: np.ndarray

    def prefill(self, embeds: np.ndarray) -> np.ndarray:
        """Empties the cache and reads p prompts of one length, (p, t, m) float32 -> log-probabilities (p, V)."""
        ...

    def step(self, tokens: np.ndarray, sources: np.ndarray) -> np.ndarray:
        """One token for each of r rows -> log-probabilities (r, V).

        Args:
            tokens: (r,) ids.
            sources: (r,) the row of the previous call that each row continues.
        """
        ...


class KeywordBonus:
    """Adds log-odds to the scores of keywords that a sentence does not contain yet, as `KeywordLogitsProcessor` does.

    Args:
        keyword_ids: token ids of v keywords.
        log_odds: (p, v).
        scored_tokens: as of a `StepDecoder`; keywords with other tokens are left out.
    """

    def __init__(
        self, keyword_ids: Sequence[Sequence[int]], log_odds: np.ndarray, scored_tokens: np.ndarray
    ) -> None:
        used = np.flatnonzero(log_odds.any(axis=0)).tolist()
        tokens = np.array([token for place in used for token in keyword_ids[place]])
        columns = np.minimum(np.searchsorted(scored_tokens, tokens), len(scored_tokens) - 1)
        column_of = dict(zip(tokens.tolist(), columns.tolist(), strict=True))
        unknown = set(tokens[scored_tokens[columns] != tokens].tolist())
        words: dict[int, int] = {}
        self._repeated: list[tuple[int, int, int]] = []
        """Keywords of a token that another keyword consists of too: token, column, place in `log_odds`."""
        self._phrases: defaultdict[int, dict[tuple[int, ...], list[tuple[int, int, int]]]] = defaultdict(dict)
        """Keywords of several tokens, by the last but one and by all but the last: last, its column, place."""
        for place in sorted(used, key=lambda place: len(keyword_ids[place])):
            *first, last = keyword_ids[place]
            entry = last, column_of[last], place
            if not unknown.isdisjoint(keyword_ids[place]):
                continue
            if first:
                self._phrases[first[-1]].setdefault(tuple(first), []).append(entry)
            elif last in words:
                self._repeated.append(entry)
            else:
                words[last] = place
        self._log_odds = log_odds
        self._scored_tokens = scored_tokens
        self._words = np.zeros((len(log_odds), len(scored_tokens)), log_odds.dtype)
        """Log-odds (p, V) of keywords of one token."""
        self._words[:, [column_of[word] for word in words]] = log_odds[:, list(words.values())]

    def add(self, scores: np.ndarray, said: np.ndarray, prompts: np.ndarray) -> None:
        """Changes `scores` in place.

        Args:
            scores: (r, V).
            said: (r, t) token ids of each row, all of them scored.
            prompts: (r,) the prompt of each row.
        """
        bonus = self._words[prompts]  # (r, V)
        bonus[np.arange(len(said))[:, None], np.searchsorted(self._scored_tokens, said)] = 0
        scores += bonus
        for row, (tokens, prompt) in enumerate(zip(said.tolist(), prompts.tolist(), strict=True)):
            for last, column, place in self._repeated:
                if last not in tokens:
                    scores[row, column] += self._log_odds[prompt, place]
            phrases = self._phrases.get(tokens[-1], {}) if tokens else {}
            for first, entries in phrases.items():
                n = len(first)
                if tuple(tokens[-n:]) != first:
                    continue
                followed_by = {tokens[i] for i in range(n, len(tokens)) if tuple(tokens[i - n : i]) == first}
                for last, column, place in entries:
                    if last not in followed_by:
                        scores[row, column] += self._log_odds[prompt, place]


def generate(
    decoder: StepDecoder,
    embeds: np.ndarray,
    *,
    beams: int,
    max_new_tokens: int,
    end_id: int,
    keywords: KeywordBonus | None = None,
) -> list[list[tuple[list[int], float]]]:
    """Generates sentences for each of p prompts of one length: all beams, the likeliest first; one by greedy search.

    Args:
        decoder: the language model.
        embeds: (p, t, m) float32.
        beams: beam width, without length penalty; 1 = greedy search.
        max_new_tokens: maximum answer length.
        end_id: token that ends a sentence.
        keywords: for keyword-guided decoding; None = off.

    Returns:
        p lists of token ids, with the end token if it was reached, and scores: sums of log-probabilities, 0 by greedy
        search.
    """
    if beams == 1:
        return [[(ids, 0.0)] for ids in _greedy(decoder, embeds, max_new_tokens, end_id, keywords)]
    return _beam_search(decoder, embeds, beams, max_new_tokens, end_id, keywords)


def _greedy(
    decoder: StepDecoder, embeds: np.ndarray, longest: int, end_id: int, keywords: KeywordBonus | None
) -> list[list[int]]:
    open_rows = np.arange(len(embeds))
    said = np.empty((len(embeds), 0), np.int64)
    results: list[list[int]] = [[] for _ in embeds]
    scores = decoder.prefill(embeds)
    while True:
        if keywords is not None:
            keywords.add(scores, said, open_rows)
        tokens = decoder.scored_tokens[scores.argmax(axis=1)]
        said = np.concatenate([said, tokens[:, None]], axis=1)
        ended = (tokens == end_id) | (said.shape[1] == longest)
        for row in np.flatnonzero(ended):
            results[open_rows[row]] = said[row].tolist()
        kept = np.flatnonzero(~ended)
        if not len(kept):
            return results
        open_rows, said = open_rows[kept], said[kept]
        scores = decoder.step(said[:, -1], kept)


def _beam_search(
    decoder: StepDecoder, embeds: np.ndarray, k: int, longest: int, end_id: int, keywords: KeywordBonus | None
) -> list[list[tuple[list[int], float]]]:
    results: list[list[tuple[list[int], float]]] = [[] for _ in embeds]
    prompts: np.ndarray = np.arange(len(embeds))  # the open ones, n of them
    # the first step continues one beam; the others would repeat it
    scores, said = decoder.prefill(embeds), np.empty((len(embeds), 1, 0), np.int64)
    running: np.ndarray = np.zeros((len(embeds), 1), np.float32)
    finished: np.ndarray = np.full((len(embeds), k), LOWEST)
    complete: np.ndarray = np.zeros((len(embeds), k), bool)
    sentences: list[list[list[int]]] = [[[] for _ in range(k)] for _ in embeds]
    while True:
        n, width, t = said.shape  # said: tokens of each running beam
        if keywords is not None:
            keywords.add(scores, said.reshape(n * width, t), np.repeat(prompts, width))
        scores += running.reshape(-1, 1)
        columns = scores.shape[1]
        best, index = top_k(scores.reshape(n, width * columns), 2 * k)  # (n, 2k), descending
        beam, token = index // columns, decoder.scored_tokens[index % columns]
        grown = np.concatenate([np.take_along_axis(said, beam[:, :, None], 1), token[:, :, None]], axis=2)
        ended = (token == end_id) | (t + 1 == longest)

        # the k best that go on
        going = best + ended * LOWEST
        chosen = np.argsort(-going, axis=1, kind="stable")[:, :k]
        running = np.take_along_axis(going, chosen, 1)

        # the k best that have ended, of these 2k (only the first k of them count) and the earlier ones
        counts = ended & (np.arange(2 * k) < k)
        merged = np.concatenate([finished, best + ~counts * LOWEST], axis=1)
        order = np.argsort(-merged, axis=1, kind="stable")[:, :k]
        finished = np.take_along_axis(merged, order, 1)
        complete = np.take_along_axis(np.concatenate([complete, counts], axis=1), order, 1)
        for i in range(n):
            candidates = sentences[i]
            sentences[i] = [candidates[j] if j < k else grown[i, j - k].tolist() for j in order[i]]

        # a prompt is done when no running beam can improve on its k ended ones
        worst = np.where(complete, finished.min(axis=1, keepdims=True), LOWEST)
        is_open = (running[:, :1] > worst).any(axis=1) & ~ended.all(axis=1)
        for place in np.flatnonzero(~is_open):
            own = zip(sentences[place], finished[place].tolist(), complete[place], strict=True)
            results[prompts[place]] = [(ids, score) for ids, score, is_complete in own if is_complete]
        kept = np.flatnonzero(is_open)
        if not len(kept):
            return results
        sources = (np.arange(n)[:, None] * width + np.take_along_axis(beam, chosen, 1))[kept]
        said = np.take_along_axis(grown, chosen[:, :, None], 1)[kept]
        prompts, running, finished, complete = (part[kept] for part in (prompts, running, finished, complete))
        sentences = [sentences[i] for i in kept]
        scores = decoder.step(said[:, :, -1].reshape(-1), sources.reshape(-1))


def top_k(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k highest of each row of (n, w), descending, of equals the lower column first; minus infinity beyond w.

    Returns:
        Values and columns, each (n, k).
    """
    w = scores.shape[1]
    if w < k:
        scores = np.pad(scores, ((0, 0), (0, k - w)), constant_values=-np.inf)
    chosen = []
    for row, lowest in zip(scores, np.partition(scores, -k, axis=1)[:, -k], strict=True):
        candidates = np.flatnonzero(row >= lowest)  # more than k if others equal the lowest
        chosen.append(candidates[np.argsort(-row[candidates], kind="stable")[:k]])
    columns = np.stack(chosen)
    return np.take_along_axis(scores, columns, 1), np.minimum(columns, w - 1)

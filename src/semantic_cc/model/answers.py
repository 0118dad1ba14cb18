"""The rule that turns change probabilities into answers; every runtime follows it. Importing it does not load torch.

Legend: b pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from typing import TYPE_CHECKING

from semantic_cc.config import EnsembleConfig, ModelConfig
from semantic_cc.decisions import class_mask, is_changed
from semantic_cc.metrics.consistency import SeenObjects
from semantic_cc.model.prompter import INSTRUCTIONS
from semantic_cc.sentences import UNCHANGED, says_change

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Candidate:
    """A sentence that may answer a pair.

    Attributes:
        sentence: text.
        score: sum of the log-probabilities of its tokens, the keyword head's log-odds included; 0 for a greedy answer.
    """

    sentence: str
    score: float = 0.0


Write = Callable[[list[int], list[str], list[SeenObjects] | None], list[list[Candidate]]]
"""Indices of pairs, an instruction for each, and the objects of each one's mask -> candidates for each, the best first;
no objects where no mask guides the sentences."""


@dataclass(frozen=True)
class Answers:
    """The flags and sentences of b pairs.

    Attributes:
        changed: b change flags.
        sentences: b dicts instruction -> sentence; empty for pairs that the flag head calls unchanged.
        sentence: b final sentences.
    """

    changed: list[bool]
    sentences: list[dict[str, str]]
    sentence: list[str]


def instructions_of(config: ModelConfig, given: Sequence[str] | None = None) -> list[str]:
    """The instructions to answer: those given; else the paper's four under consensus decoding, or the first of them."""
    return list(given or (INSTRUCTIONS if config.decoding == "consensus" else INSTRUCTIONS[:1]))


def beam_width(config: ModelConfig) -> int:
    """Beams of the search for a sentence; 1 = greedy search."""
    return config.llm.beams if config.decoding == "beam" else 1


def answer_pairs(
    config: ModelConfig,
    flags: Sequence[float] | None,
    pairs: int,
    instructions: Sequence[str],
    write: Write,
    probabilities: Callable[[int], np.ndarray] | None = None,
) -> Answers:
    """Writes sentences for the pairs that the flag head calls changed; without a flag head, for all pairs.

    Args:
        config: the model's.
        flags: change probability of each pair; None = the model has no flag head.
        pairs: b.
        instructions: one or more texts. Of several answers to a pair, `config.ensemble` or `consensus` selects one.
        write: runs the language model, once, on all open pairs under all instructions, instruction-major.
        probabilities: index of a pair -> its class probabilities (2 or 3, H, W); None without masks.
    """
    open_pairs = [i for i in range(pairs) if flags is None or is_changed(flags[i])]
    rows = [(i, text) for text in instructions for i in open_pairs]
    seen: dict[int, SeenObjects] = {}
    if config.ensemble.mask > 0 and probabilities is not None:
        seen = {i: SeenObjects(class_mask(probabilities(i)), roads=False) for i in open_pairs}
    sentences: list[dict[str, str]] = [{} for _ in range(pairs)]
    candidates: list[list[Candidate]] = [[] for _ in range(pairs)]
    if rows:
        objects = [seen[i] for i, _ in rows] if seen else None
        written = write([i for i, _ in rows], [text for _, text in rows], objects)
        for (i, text), found in zip(rows, written, strict=True):
            sentences[i][text] = found[0].sentence
            candidates[i] += found

    def answer(i: int) -> str:
        if not sentences[i]:
            return UNCHANGED
        if not config.ensemble.active:
            return consensus(list(sentences[i].values()))
        return choose(candidates[i], config.ensemble, seen.get(i))

    final = [answer(i) for i in range(pairs)]
    changed = (
        [says_change(text) for text in final] if flags is None else [bool(is_changed(flag)) for flag in flags]
    )
    return Answers(changed, sentences, final)


def consensus(sentences: list[str]) -> str:
    """The sentence most similar to the others (the multi-output ensemble).

    Similarity is difflib's ratio over words, averaged over both directions. The first sentence wins a tie.
    """

    scores = _agreement(sentences)
    return sentences[scores.index(max(scores))]


def choose(candidates: Sequence[Candidate], config: EnsembleConfig, seen: SeenObjects | None = None) -> str:
    """The sentence of the best candidate: log-probability, plus consensus, minus what the mask contradicts.

    Only statements about buildings are checked: few masks of real pairs label roads. A candidate that says that nothing
    changed is contradicted, because the flag head called the pair changed.

    Args:
        candidates: at least one. config: the weights.
        seen: the buildings of the mask; None = no check.
    """
    best: dict[str, float] = {}
    for one in candidates:
        best[one.sentence] = max(one.score, best.get(one.sentence, one.score))
    texts = list(best)
    values = [best[text] for text in texts]
    if config.consensus > 0 and len(texts) > 1:
        shares = _agreement(texts)
        values = [
            value + config.consensus * share / (len(texts) - 1)
            for value, share in zip(values, shares, strict=True)
        ]
    if config.mask > 0 and seen is not None:
        for place, text in enumerate(texts):
            wrong = sum(not check.agrees for check in seen.check(text)) if says_change(text) else 1
            values[place] -= config.mask * wrong
    return texts[values.index(max(values))]


def _agreement(sentences: Sequence[str]) -> list[float]:
    """Sum of each sentence's similarity to the others, each in [0, 1]."""

    def closeness(a: str, b: str) -> float:
        one, two = a.split(), b.split()
        return sum(SequenceMatcher(None, x, y).ratio() for x, y in pairwise((one, two, one))) / 2

    return [sum(closeness(a, b) for j, b in enumerate(sentences) if j != i) for i, a in enumerate(sentences)]

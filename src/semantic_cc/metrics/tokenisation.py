"""Splitting of sentences into words, the first step of all protocols."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from semantic_cc.errors import DataError


def words(sentence: str) -> str:
    """Normalises a sentence: lower case, single blanks, no full stop at the end.

    Keeping the full stop on both sides would add about 2.4 BLEU-1. Other punctuation is kept; LEVIR-CC has none.
    """
    return " ".join(sentence.lower().split()).rstrip(" .")


def reference_words(references: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """All references in words.

    Raises:
        DataError: no images, an image without or with an empty reference, or a string instead of a list.
    """
    if not references:
        raise DataError("no references to score against; give at least one")
    for name, sentences in references.items():
        if isinstance(sentences, str) or not sentences:
            raise DataError(f"{name}: references must be a list of at least one sentence")
    truth = {name: [words(sentence) for sentence in sentences] for name, sentences in references.items()}
    empty = [name for name, sentences in truth.items() if not all(sentences)]
    if empty:
        raise DataError(f"{empty[0]}: has an empty reference; remove it")
    return truth


def prepare(
    predictions: Mapping[str, str], references: Mapping[str, Sequence[str]]
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Predictions and references in words, in pycocoevalcap's format and the same order.

    Raises:
        DataError: as in `reference_words`, or the names differ.
    """
    truth = reference_words(references)
    strange = [name for name in predictions if name not in truth]
    if strange:
        raise DataError(
            f"{strange[0]}: has no reference ({len(strange)} predictions have none); the references have names like "
            f"{next(iter(truth))}: check names and split"
        )
    missing = [name for name in truth if name not in predictions]
    if missing:
        raise DataError(
            f"{missing[0]}: has no prediction ({len(missing)} of {len(truth)} images have none); predict every image"
        )
    return {name: [words(predictions[name])] for name in truth}, truth


@dataclass(frozen=True)
class TextStatistics:
    """Length and vocabulary of a set of sentences; a word is what `words` gives.

    Attributes:
        sentences, distinct_sentences, empty: numbers of sentences.
        words_per_sentence, shortest, longest: lengths in words.
        distinct_words: size of the vocabulary.
        unknown_words: number of vocabulary words that no reference has; None if not computed.
    """

    sentences: int
    distinct_sentences: int
    empty: int
    words_per_sentence: float
    shortest: int
    longest: int
    distinct_words: int
    unknown_words: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values by field; omits ``unknown_words`` if it is None."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def text_statistics(sentences: Sequence[str], known: Iterable[str] | None = None) -> TextStatistics:
    """Statistics of sentences.

    Args:
        sentences: sentences in words, at least one.
        known: sentences that define the known words.
    """
    lengths = [len(sentence.split()) for sentence in sentences]
    vocabulary = {word for sentence in sentences for word in sentence.split()}
    unknown = (
        None if known is None else vocabulary - {word for sentence in known for word in sentence.split()}
    )
    return TextStatistics(
        sentences=len(lengths),
        distinct_sentences=len(set(sentences)),
        empty=lengths.count(0),
        words_per_sentence=sum(lengths) / len(lengths),
        shortest=min(lengths),
        longest=max(lengths),
        distinct_words=len(vocabulary),
        unknown_words=None if unknown is None else len(unknown),
    )

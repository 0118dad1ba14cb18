"""How a sentence is cut into words, which every protocol begins with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from semantic_cc.errors import DataError


def words(sentence: str) -> str:
    """The sentence as it is scored: lower case, one blank between words, no full stop at the end.

    A kept full stop on both sides would add about 2.4 BLEU-1. No other punctuation is touched: there is
    none in LEVIR-CC.
    """
    return " ".join(sentence.lower().split()).rstrip(" .")


def reference_words(references: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """All references in words.

    Raises:
        DataError: there are no images, an image has no reference or an empty one, or a string for a list.
    """
    if not references:
        raise DataError("no references to score against")
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
    """Predictions and references in words, in the form that pycocoevalcap wants and in one order.

    Raises:
        DataError: as in `reference_words`, or the two do not name the same images.
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
        unknown_words: size of the part of the vocabulary that no reference has; None where it was not asked for.
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
        """Plain values by field; ``unknown_words`` is left out where it is None."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def text_statistics(sentences: Sequence[str], known: Iterable[str] | None = None) -> TextStatistics:
    """Counts sentences in words, at least one.

    Args:
        sentences: to count.
        known: sentences whose words are known.
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

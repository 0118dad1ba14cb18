"""Vocabulary of the methods that generate word by word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

START, END, UNKNOWN = 0, 1, 2
"""Ids of the special marks; word ids follow."""
MARKS = 3


def split(sentence: str) -> list[str]:
    """The words of a sentence in lower case, without the final full stop, as the metrics split them."""
    return " ".join(sentence.lower().split()).rstrip(" .").split()


def vocabulary_of(
    sentences: Iterable[str], min_count: int = 5, split: Callable[[str], list[str]] = split
) -> tuple[str, ...]:
    """The words that occur at least `min_count` times (LEVIR-CC's own vocabulary: 5), in alphabetical order."""
    counts = Counter(word for sentence in sentences for word in split(sentence))
    return tuple(sorted(word for word, count in counts.items() if count >= min_count))


class Vocabulary:
    """Converts sentences to ids and back.

    Args:
        words: in the order of their ids.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self._ids = {word: MARKS + place for place, word in enumerate(self.words)}

    def __len__(self) -> int:
        return MARKS + len(self.words)

    def ids(self, sentence: str) -> list[int]:
        """The ids of the words and the end mark; unknown words become `UNKNOWN`."""
        return [*(self._ids.get(word, UNKNOWN) for word in split(sentence)), END]

    def sentence(self, ids: Sequence[int]) -> str:
        """The sentence of `ids` up to the end mark."""
        kept = list(ids)
        kept = kept[: kept.index(END)] if END in kept else kept
        return " ".join(self.words[i - MARKS] for i in kept if i >= MARKS)

"""What is odd about the sentences of a caption file; nothing here keeps it from being read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from semantic_cc.data.layouts.caption_files import CaptionEntry
from semantic_cc.sentences import says_change

SHORTEST, LONGEST = 2, 40
"""Words of an ordinary sentence; LEVIR-CC's have 3 to 39."""

_DIGIT_INSIDE = re.compile(r"[^\W\d_]\d")
_DOUBLED = re.compile(r"\b(\w+) \1\b", re.IGNORECASE)


def usual_count(entries: Sequence[CaptionEntry]) -> int:
    """The most frequent number of sentences of the entries that have any, 0 where none has."""
    counts = Counter(len(entry.sentences) for entry in entries if entry.sentences)
    return counts.most_common(1)[0][0] if counts else 0


def oddities(entry: CaptionEntry, usual: int) -> Iterator[str]:
    """What is odd: the number of sentences, repeats, length, characters, doubled words, the change flag."""
    sentences = entry.sentences
    if len(sentences) != usual:
        yield f"has {len(sentences)} sentences, most items have {usual}"
    yield from (f"repeats {text!r}" for text, count in Counter(sentences).items() if count > 1)
    for text in dict.fromkeys(sentences):
        words = text.split()
        if not SHORTEST <= len(words) <= LONGEST:
            yield f"has a sentence of {len(words)} words: {text!r}"
        odd = sorted({character for character in text if not _is_plain(character)})
        if odd:
            yield f"has {' '.join(map(repr, odd))} in {text!r}"
        if _DIGIT_INSIDE.search(text):
            yield f"has a digit within a word in {text!r}"
        if doubled := _DOUBLED.search(text):
            yield f"doubles a word: {doubled[0]!r} in {text!r}"
    against = [text for text in sentences if entry.changed is not None and says_change(text) != entry.changed]
    if against:
        yield f"is flagged {'changed' if entry.changed else 'unchanged'}, but says {against[0]!r}"


def _is_plain(character: str) -> bool:
    """Letters of any script, digits, blanks, and what stands in and after words."""
    return character.isalnum() or character in " -',.;:!?()"

"""Answers that look at no image: what every caption score must be compared with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from semantic_cc.metrics.constant import best_constant_sentence
from semantic_cc.metrics.words import words
from semantic_cc.sentences import UNCHANGED

MANY_HOUSES = "many houses are built along the road"
"""With `UNCHANGED`, the sentences of the known LEVIR-CC baselines."""


@dataclass(frozen=True)
class Baseline:
    """An answer that looks at no image.

    Attributes:
        unchanged, changed: what it says of unchanged and of changed pairs; two sentences need the true flag.
    """

    unchanged: str
    changed: str

    def answers(self, changed: Mapping[str, bool]) -> dict[str, str]:
        """Name -> sentence."""
        return {name: self.changed if flag else self.unchanged for name, flag in changed.items()}


def baselines(
    references: Mapping[str, Sequence[str]], changed: Mapping[str, bool], train: Sequence[str] | None
) -> dict[str, Baseline | None]:
    """The baselines of a split.

    Args:
        references: name -> reference sentences.
        changed: name -> true change flag.
        train: the training sentences, or None where they are not known.

    Returns:
        *always_same* and *true_flag*: one sentence for all, or for each flag, known from the literature;
        *best_constant*, *best_true_flag*: the same with the reference sentence of the highest CIDEr in the `word`
        protocol; *train_frequent*: the most frequent training sentence (of equals, the first), None without `train`.
    """
    best = best_constant_sentence(references)[0]
    of_changed = {name: sentences for name, sentences in references.items() if changed[name]}
    best_changed = best_constant_sentence(of_changed)[0] if of_changed else UNCHANGED
    known: dict[str, Baseline | None] = {
        "always_same": Baseline(UNCHANGED, UNCHANGED),
        "true_flag": Baseline(UNCHANGED, MANY_HOUSES),
        "best_constant": Baseline(best, best),
        "best_true_flag": Baseline(UNCHANGED, best_changed),
        "train_frequent": None,
    }
    if train:
        frequent = Counter(map(words, train)).most_common(1)[0][0]
        known["train_frequent"] = Baseline(frequent, frequent)
    return known

"""Image-free baselines for caption scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from semantic_cc.metrics.constant_cider import frequent
from semantic_cc.metrics.tokenisation import words
from semantic_cc.sentences import UNCHANGED

MANY_HOUSES = "many houses are built along the road"
"""With `UNCHANGED`, the sentences of the known LEVIR-CC baselines."""


@dataclass(frozen=True)
class Baseline:
    """An image-free answer.

    Attributes:
        unchanged, changed: answers for unchanged and changed pairs; if they differ, they use the true flag.
    """

    unchanged: str
    changed: str

    def answers(self, changed: Mapping[str, bool]) -> dict[str, str]:
        """Name -> sentence."""
        return {name: self.changed if flag else self.unchanged for name, flag in changed.items()}


def fixed_baselines(train: Sequence[str] | None) -> dict[str, Baseline | None]:
    """The baselines that do not depend on the split's sentences.

    Args:
        train: the training sentences, None if unknown.

    Returns:
        *always_same* and *true_flag*, from the literature; *train_frequent*, the most frequent training sentence (the
        first one on ties), None without `train`.
    """
    known: dict[str, Baseline | None] = {
        "always_same": Baseline(UNCHANGED, UNCHANGED),
        "true_flag": Baseline(UNCHANGED, MANY_HOUSES),
        "train_frequent": None,
    }
    if train:
        sentence = frequent([[words(said) for said in train]], 1)[0]
        known["train_frequent"] = Baseline(sentence, sentence)
    return known

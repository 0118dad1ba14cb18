"""What is said of an unchanged pair, and the one rule that reads a change flag from a sentence."""

from __future__ import annotations

import re

UNCHANGED = "the scene is the same as before"
"""What a model with a flag head says of a pair it calls unchanged; the LLM is not asked."""

_FEW = r"(?:\w+ ){0,2}"
_WHOLE = r"(?:scenes?|images?|pictures?|photos?|views?|areas?|places?|everything|both|they|it|all|two)"
_IS = r"(?:is|are|was|were|seems?|looks?|appears?|remains?|remained|stays?|stayed)"
_NO_CHANGE = re.compile(
    rf"\b(?:no|without) (?!longer){_FEW}(?:changes?|differences?)\b"  # there is no difference
    rf"|\bnothing {_FEW}(?:changed|changes|different|happened)\b"  # almost nothing has changed
    rf"|\b(?:not|n't|hardly|barely) {_FEW}(?:changed?|different|differ)\b"  # the scene has not changed
    rf"|\b{_WHOLE} (?:\w+ )?{_IS} {_FEW}(?:identical|same|unchanged|alike)\b"  # the two scenes seem identical
    r"|^(?:the )?(?:identical|same|unchanged)\b"
    r"|\bsame as before\b"
)
_BUT = re.compile(r"\b(?:but|except|besides|however|although|apart from|other than)\b")

FLAG_RULE = (
    "a sentence says no change if it is empty, or says of the whole scene that nothing changed ('no change', 'no "
    "difference', 'nothing has changed', 'identical', 'the same', 'unchanged') and makes no exception ('but', "
    "'except', 'besides', 'however', 'although', 'apart from', 'other than'); every other sentence says change"
)
"""The rule of `says_change`, to be shown beside a number that comes from it."""


def says_change(sentence: str) -> bool:
    """Whether a sentence says that something changed; the one rule for models without a flag head.

    The rule: a sentence says *no change* if it says so of the scene as a whole (no change or no difference,
    nothing has changed, has not changed, the scenes are identical, the same, unchanged, the same as before)
    and makes no exception (but, except, besides, however, although, apart from, other than); an empty
    sentence says no change too. Every other sentence says *change*. "the trees are no longer green" and "two
    identical houses are built" say change: neither speaks of the whole scene. Letter case and punctuation
    do not matter. On all 50,385 sentences of LEVIR-CC the rule agrees with the dataset's flag.
    """
    text = " ".join(re.sub(r"[^\w\s'-]", " ", sentence.lower().replace("n't", " n't")).split())
    return bool(text) and (_NO_CHANGE.search(text) is None or _BUT.search(text) is not None)

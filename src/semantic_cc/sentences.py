"""The sentence for unchanged pairs, the rule that derives a change flag from a sentence, the check of instructions."""

from __future__ import annotations

import re

from semantic_cc.errors import InputError

UNCHANGED = "the scene is the same as before"
"""Sentence of a model with a flag head for pairs it calls unchanged, without the LLM."""

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
"""Description of the rule of `says_change`, for reports that use it."""


def check_instruction(instruction: str | None) -> None:
    """Checks the text that a user gives instead of the model's own instruction.

    Raises:
        InputError: it is empty.
    """
    if instruction is not None and not instruction.strip():
        raise InputError("the instruction is empty; give a text, or leave it out for the model's own")


def says_change(sentence: str) -> bool:
    """Whether a sentence states a change; the change flag of models without a flag head.

    A sentence states *no change* if it is empty, or if it denies a change of the whole scene (no change, no difference,
    nothing has changed, has not changed, the scenes are identical, the same, unchanged, the same as before) without an
    exception (but, except, besides, however, although, apart from, other than). All other sentences state a *change*,
    for example "the trees are no longer green" and "two identical houses are built". Letter case and punctuation do
    not matter. The rule agrees with the dataset's flag for all 50,385 sentences of LEVIR-CC.
    """
    text = " ".join(re.sub(r"[^\w\s'-]", " ", sentence.lower().replace("n't", " n't")).split())
    return bool(text) and (_NO_CHANGE.search(text) is None or _BUT.search(text) is not None)

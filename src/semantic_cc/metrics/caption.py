"""Caption scores by pycocoevalcap, the code behind all published LEVIR-CC numbers, in the `word` protocol.

Half of LEVIR-CC's test set is unchanged pairs that share five sentences, so a number alone says little:
`report` gives it beside the changed pairs alone and beside the answers that need no image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from semantic_cc.errors import DataError
from semantic_cc.metrics.constant import best_constant_sentence
from semantic_cc.metrics.flag import change_flag_accuracy
from semantic_cc.metrics.words import PROTOCOL, prepare, reference_words
from semantic_cc.sentences import UNCHANGED, says_change

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "best_constant_sentence",
    "change_flag_accuracy",
    "cider_interval",
    "report",
    "says_change",
    "score_captions",
]

SAME = UNCHANGED
MANY_HOUSES = "many houses are built along the road"
"""The two sentences of the known LEVIR-CC baselines."""


def score_captions(
    predictions: Mapping[str, str], references: Mapping[str, Sequence[str]]
) -> dict[str, float]:
    """BLEU-1 to BLEU-4, ROUGE-L and CIDEr of a set of sentences.

    BLEU is of the whole set with the closest reference length; ROUGE-L and CIDEr (which is CIDEr-D) are means
    over the images. CIDEr's document frequencies are those of the given references: a subset is on another
    scale than the whole, and one image alone scores 0.

    Args:
        predictions: name -> sentence; an empty one scores 0.
        references: name -> reference sentences, of the same names.

    Returns:
        "BLEU-1" ... "BLEU-4", "ROUGE-L", "CIDEr", in percent as published (CIDEr goes up to 1000).

    Raises:
        DataError: the names differ, there are none, or an image has no reference.
    """
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.rouge.rouge import Rouge

    given, truth = prepare(predictions, references)
    bleu, _ = Bleu(4).compute_score(truth, given, verbose=0)  # verbose=1 prints
    rouge, _ = Rouge().compute_score(truth, given)
    scores = {f"BLEU-{order}": 100 * float(value) for order, value in enumerate(bleu, start=1)}
    return scores | {"ROUGE-L": 100 * float(rouge), "CIDEr": float(_cider_by_image(given, truth).mean())}


def cider_interval(
    predictions: Mapping[str, str],
    references: Mapping[str, Sequence[str]],
    samples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Bootstrap interval of CIDEr over the images: how much the choice of test images moves the number.

    The images' own scores are drawn anew, not the references: document frequencies stay those of the whole
    set. It says nothing of the spread over training seeds.

    Args:
        samples: how many bootstrap sets.
        seed: of the draw.
        level: share of the bootstrap means inside, in (0, 1).

    Returns:
        Low and high, in percent.

    Raises:
        DataError: as in `score_captions`, or samples or level are out of range.
    """
    import numpy as np

    if samples < 1 or not 0 < level < 1:
        raise DataError(f"samples is {samples} and level {level}; give 1 or more, and a share of 0..1")
    scores = _cider_by_image(*prepare(predictions, references))
    rng = np.random.default_rng(seed)
    means = [scores[rng.integers(len(scores), size=len(scores))].mean() for _ in range(samples)]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def report(
    predictions: Mapping[str, str],
    references: Mapping[str, Sequence[str]],
    changed: Mapping[str, bool] | None = None,
    flags: Mapping[str, bool] | None = None,
) -> dict[str, Any]:
    """All that a caption result needs beside it to mean something, as a plain dict for JSON.

    Args:
        predictions: name -> sentence.
        references: name -> reference sentences.
        changed: name -> true change flag; by default what most of the references say (`says_change`).
        flags: name -> predicted change flag; by default what the prediction says (`says_change`).

    Returns:
        ``protocol``: "word"; ``flag_accuracy``: percent;
        ``all``: ``count``, the scores of `score_captions`, and ``CIDEr_interval`` [low, high] at 95%;
        ``changed``: the same for the changed pairs scored as a set of their own (``count`` alone if none);
        ``baselines``: answers that look at no image, each with its ``sentences`` (for unchanged, for changed
        pairs) and its scores under ``all`` and ``changed``: *always_same*; *true_flag* (told the true flag);
        *best_constant* (the best single reference sentence); *best_true_flag* (told the true flag, the best
        single sentence for the changed pairs).

    Raises:
        DataError: as in `score_captions`, or `changed` or `flags` name other images.
    """
    reference_words(references)
    if changed is not None and changed.keys() != references.keys():
        raise DataError("changed: does not name the images of the references; give one flag for each")
    if changed is None:
        changed = {name: _mostly_change(given) for name, given in references.items()}
    if flags is None:
        flags = {name: says_change(sentence) for name, sentence in predictions.items()}
    return {
        "protocol": PROTOCOL,
        "flag_accuracy": change_flag_accuracy(flags, changed),
        "all": _scored(predictions, references),
        "changed": _scored(*_changed_only(predictions, references, changed)),
        "baselines": _baselines(references, changed),
    }


def _cider_by_image(given: dict[str, list[str]], truth: dict[str, list[str]]) -> np.ndarray:
    """CIDEr of each image in percent, ``(images,)``."""
    from pycocoevalcap.cider.cider import Cider

    scores: np.ndarray
    _, scores = Cider().compute_score(truth, given)
    return 100 * scores


def _mostly_change(sentences: Sequence[str]) -> bool:
    return 2 * sum(map(says_change, sentences)) > len(sentences)


def _changed_only(
    predictions: Mapping[str, str], references: Mapping[str, Sequence[str]], truth: Mapping[str, bool]
) -> tuple[dict[str, str], dict[str, Sequence[str]]]:
    names = [name for name in references if truth[name]]
    return {name: predictions[name] for name in names}, {name: references[name] for name in names}


def _scored(predictions: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    if not references:
        return {"count": 0}
    interval = list(cider_interval(predictions, references))
    return {"count": len(references), **score_captions(predictions, references), "CIDEr_interval": interval}


def _baselines(references: Mapping[str, Sequence[str]], truth: Mapping[str, bool]) -> dict[str, Any]:
    best = best_constant_sentence(references)[0]
    changed = {name: given for name, given in references.items() if truth[name]}
    best_changed = best_constant_sentence(changed)[0] if changed else SAME
    answers = {
        "always_same": (SAME, SAME),
        "true_flag": (SAME, MANY_HOUSES),
        "best_constant": (best, best),
        "best_true_flag": (SAME, best_changed),
    }
    return {name: _baseline(*sentences, references, truth) for name, sentences in answers.items()}


def _baseline(
    for_unchanged: str, for_changed: str, references: Mapping[str, Sequence[str]], truth: Mapping[str, bool]
) -> dict[str, Any]:
    answers = {name: for_changed if truth[name] else for_unchanged for name in references}
    changed_answers, changed_references = _changed_only(answers, references, truth)
    return {
        "sentences": {"unchanged": for_unchanged, "changed": for_changed},
        "all": score_captions(answers, references),
        "changed": score_captions(changed_answers, changed_references) if changed_answers else {},
    }

"""Caption scores with the context needed to interpret them.

Half of LEVIR-CC's test set is unchanged pairs that share five sentences, so one score is not enough. `caption_report`
states the protocol, scores changed and unchanged pairs separately, and adds image-free baselines.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

from semantic_cc.errors import DataError
from semantic_cc.metrics.bootstrap import intervals
from semantic_cc.metrics.caption_report import BaselineScores, CaptionReport, PartScores
from semantic_cc.metrics.change_flag import change_flag_accuracy
from semantic_cc.metrics.coco_scorer import Scorer, Texts
from semantic_cc.metrics.constant_cider import ConstantCider, best_of, frequent
from semantic_cc.metrics.count_location import count_location_accuracy
from semantic_cc.metrics.image_free_baselines import Baseline, fixed_baselines
from semantic_cc.metrics.meteor import NOT_RUN, Meteor, find_java
from semantic_cc.metrics.protocols import Protocol, protocol_of
from semantic_cc.metrics.tokenisation import prepare, text_statistics
from semantic_cc.sentences import FLAG_RULE, UNCHANGED, says_change


def score_captions(
    predictions: Mapping[str, str],
    references: Mapping[str, Sequence[str]],
    protocol: str = "word",
    corpus: Iterable[str] | None = None,
    meteor: bool = False,
) -> dict[str, float | None]:
    """BLEU-1 to BLEU-4, METEOR, ROUGE-L and CIDEr of a set of sentences; see `Scorer.score`.

    Args:
        predictions: name -> sentence; an empty one scores 0.
        references: name -> reference sentences, with the same names.
        protocol: one of `PROTOCOLS`.
        corpus: the dataset's sentences for `vocab-id`'s vocabulary; default: the references.
        meteor: whether to run METEOR, which needs Java 8 or newer.

    Returns:
        The scores in percent as published (CIDEr up to 1000); METEOR is None if it was not run.

    Raises:
        DataError: the names differ, there are none, an image has no reference, or the protocol is unknown.
        ScoringError: a required program or distribution is missing or failed.
    """
    given, truth = prepare(predictions, references)
    chosen = protocol_of(protocol, _all(truth) if corpus is None else corpus)
    with _meteor(meteor) as process:
        encoded = (
            {name: [chosen.encode(sentence) for sentence in sentences] for name, sentences in texts.items()}
            for texts in (given, truth)
        )
        return Scorer(process).score(*encoded)[0]


def caption_report(
    predictions: Mapping[str, str],
    references: Mapping[str, Sequence[str]],
    changed: Mapping[str, bool] | None = None,
    flags: Mapping[str, bool] | None = None,
    *,
    protocol: str = "word",
    corpus: Iterable[str] | None = None,
    train: Sequence[str] | None = None,
    meteor: bool = True,
) -> CaptionReport:
    """Scores a set of sentences.

    Args:
        predictions, references, protocol, corpus, meteor: as in `score_captions`; METEOR is skipped without Java.
        changed: name -> true change flag; default: `says_change` of most of the references.
        flags: name -> predicted change flag; default: `says_change` of the prediction.
        train: training sentences, for the baseline *train_frequent*.

    Returns:
        The report. Each part of the split has its own document frequencies. The baselines are those of
        `fixed_baselines`, *best_constant* and *best_true_flag* (the reference sentence with the highest CIDEr, for all
        pairs or for the changed ones).

    Raises:
        DataError: as in `score_captions`, or the names of `changed` or `flags` differ.
        ScoringError: as in `score_captions`.

    Example:
        >>> references = {"a.png": ["a house is built", "one new house"]}
        >>> report = caption_report({"a.png": "a house is built"}, references, meteor=False)
        >>> round(report.all.scores["BLEU-1"])
        100
    """
    given, truth = prepare(predictions, references)
    if changed is not None and changed.keys() != references.keys():
        raise DataError("changed: does not name the images of the references; give one flag for each")
    true = {name: _mostly_change(said) if changed is None else changed[name] for name, said in truth.items()}
    chosen = protocol_of(protocol, _all(truth) if corpus is None else corpus)
    sentences = {name: said[0] for name, said in given.items()}
    counts, places = count_location_accuracy(sentences, truth)
    with _meteor(meteor) as process:
        split = _Split(Scorer(process), chosen, truth, true)
        baselines = split.baselines(train)
        parts = split.scored(sentences, flags)
    return CaptionReport(
        protocol=chosen.name,
        protocol_note=chosen.note,
        meteor="run" if process else NOT_RUN if meteor else "not run: left out",
        flag_rule=FLAG_RULE if flags is None else "the model's own flag",
        flag_truth="what most references say" if changed is None else "the dataset's flag",
        **parts,
        baselines=baselines,
        counts=counts,
        places=places,
        prediction_statistics=text_statistics(_all(given), known=_all(truth)),
        reference_statistics=text_statistics(_all(truth)),
    )


class _Split:
    """The references of a split, for scoring several sets of answers.

    Args:
        scorer: the scorer.
        protocol: the protocol.
        truth: name -> references in words.
        changed: name -> true change flag, with the same names.
    """

    def __init__(self, scorer: Scorer, protocol: Protocol, truth: Texts, changed: dict[str, bool]) -> None:
        self._scorer, self._words, self._changed = scorer, truth, changed
        self._encode = functools.cache(protocol.encode)
        encoded = {name: [self._encode(said) for said in sentences] for name, sentences in truth.items()}
        flags = {"all": (True, False), "changed": (True,), "unchanged": (False,)}
        self._parts = {
            part: {name: sentences for name, sentences in encoded.items() if changed[name] in chosen}
            for part, chosen in flags.items()
        }

    def scored(self, answers: Mapping[str, str], flags: Mapping[str, bool] | None) -> dict[str, PartScores]:
        """Scores with intervals of `answers` (name -> sentence in words) on each part.

        Raises:
            DataError: the names of `flags` differ.
        """
        import numpy as np

        said = {name: says_change(answers[name]) for name in self._words} if flags is None else flags
        change_flag_accuracy(said, self._changed)  # rejects different names
        by_name: dict[str, float] = {}  # CIDEr with the document frequencies of all pairs
        result: dict[str, PartScores] = {}
        for part, truth in self._parts.items():
            if not truth:
                result[part] = PartScores(0)
                continue
            scores, images = self._scorer.score(
                {name: [self._encode(answers[name])] for name in truth}, truth
            )
            by_name = by_name or dict(zip(truth, images.cider.tolist(), strict=True))
            right = np.array([bool(said[name]) == self._changed[name] for name in truth])
            result[part] = PartScores(
                count=len(truth),
                flag_accuracy=100 * float(right.mean()),
                scores=scores,
                cider_frequencies_of_all=sum(by_name[name] for name in truth) / len(truth),
                intervals=intervals(images, right, self._scorer.meteor),
            )
        return result

    def baselines(self, train: Sequence[str] | None) -> dict[str, BaselineScores | None]:
        """The baselines of the split as in `caption_report`; None if one is not available."""
        ciders = {part: ConstantCider(truth, self._changed) for part, truth in self._parts.items() if truth}
        candidates = frequent(self._words.values())
        best = best_of(candidates, ciders["all"], self._encode)
        known = fixed_baselines(train) | {"best_constant": Baseline(best, best), "best_true_flag": None}
        if "changed" in ciders:
            of_changed = frequent(said for name, said in self._words.items() if self._changed[name])
            known["best_true_flag"] = Baseline(
                UNCHANGED, best_of(of_changed, ciders["changed"], self._encode)
            )
        return {
            name: None if answer is None else self._baseline(answer, ciders) for name, answer in known.items()
        }

    def _baseline(self, answer: Baseline, ciders: Mapping[str, ConstantCider]) -> BaselineScores:
        answers = answer.answers(self._changed)
        parts: dict[str, PartScores] = {}
        for part, truth in self._parts.items():
            if not truth:
                parts[part] = PartScores(0)
                continue
            given = {name: [self._encode(answers[name])] for name in truth}
            right = [says_change(answers[name]) == self._changed[name] for name in truth]
            cider = (
                ciders[part].shares(self._encode(answer.unchanged))[0]
                + ciders[part].shares(self._encode(answer.changed))[1]
            )
            scores = self._scorer.score_without_cider(given, truth) | {"CIDEr": cider}
            parts[part] = PartScores(len(truth), 100 * sum(right) / len(right), scores)
        return BaselineScores(answer.unchanged, answer.changed, **parts)


def _meteor(wanted: bool) -> AbstractContextManager[Meteor | None]:
    """METEOR's process, or None if it is not wanted or not available."""
    java = find_java() if wanted else None
    return Meteor(java) if java else nullcontext()


def _mostly_change(sentences: Sequence[str]) -> bool:
    return 2 * sum(map(says_change, sentences)) > len(sentences)


def _all(texts: Mapping[str, Sequence[str]]) -> list[str]:
    return [sentence for sentences in texts.values() for sentence in sentences]

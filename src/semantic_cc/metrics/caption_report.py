"""The results of caption scoring. `to_json` gives the fields that `evaluate` and `score` write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from semantic_cc.metrics.count_location import CountLocationAccuracy
from semantic_cc.metrics.tokenisation import TextStatistics


@dataclass(frozen=True)
class PartScores:
    """Scores of the sentences of one part of a split: all pairs, the changed or the unchanged ones.

    Attributes:
        count: number of pairs; if 0, all other fields are empty.
        flag_accuracy: fraction of pairs with the correct change flag, in percent.
        scores: metric of `METRICS` -> score in percent as published (CIDEr up to 1000); METEOR is None if not run.
        cider_frequencies_of_all: CIDEr with the document frequencies of all pairs; None for a baseline.
        intervals: metric -> bounds of the 95 % confidence interval, in percent.
    """

    count: int
    flag_accuracy: float | None = None
    scores: Mapping[str, float | None] = field(default_factory=dict)
    cider_frequencies_of_all: float | None = None
    intervals: Mapping[str, tuple[float, float]] | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values by field; each metric is a key, and CIDEr is also under its full name ``CIDEr-D``."""
        if not self.count:
            return {"count": 0}
        content: dict[str, Any] = {"count": self.count, "flag_accuracy": self.flag_accuracy, **self.scores}
        content["CIDEr-D"] = self.scores["CIDEr"]
        if self.cider_frequencies_of_all is not None:
            content["CIDEr_frequencies_of_all"] = self.cider_frequencies_of_all
        if self.intervals is not None:
            content["intervals"] = {name: list(bounds) for name, bounds in self.intervals.items()}
        return content


@dataclass(frozen=True)
class BaselineScores:
    """Scores of an image-free baseline.

    Attributes:
        unchanged_sentence, changed_sentence: the answers for unchanged and changed pairs.
        all, changed, unchanged: the scores by part of the split.
    """

    unchanged_sentence: str
    changed_sentence: str
    all: PartScores
    changed: PartScores
    unchanged: PartScores

    def to_json(self) -> dict[str, Any]:
        """Plain values: ``sentences`` with ``unchanged`` and ``changed``, and the parts."""
        sentences = {"unchanged": self.unchanged_sentence, "changed": self.changed_sentence}
        return {"sentences": sentences, **_parts(self)}


@dataclass(frozen=True)
class CaptionReport:
    """The scores of a set of sentences.

    Attributes:
        protocol: one of `PROTOCOLS`.
        protocol_note: the tokens that the protocol compares.
        meteor: "run", or why METEOR was not run.
        flag_rule: source of the predicted change flags.
        flag_truth: source of the true change flags.
        all, changed, unchanged: the scores by part of the split.
        baselines: name -> scores, None if the baseline is not available.
        counts, places: accuracy of the counts and of the locations in the sentences.
        prediction_statistics, reference_statistics: lengths and vocabulary.
    """

    protocol: str
    protocol_note: str
    meteor: str
    flag_rule: str
    flag_truth: str
    all: PartScores
    changed: PartScores
    unchanged: PartScores
    baselines: Mapping[str, BaselineScores | None]
    counts: CountLocationAccuracy
    places: CountLocationAccuracy
    prediction_statistics: TextStatistics
    reference_statistics: TextStatistics

    @property
    def flag_accuracy(self) -> float:
        """Fraction of all pairs with the correct change flag, in percent."""
        return self.all.flag_accuracy or 0.0

    @property
    def parts(self) -> dict[str, PartScores]:
        """Name -> part of the split."""
        return {"all": self.all, "changed": self.changed, "unchanged": self.unchanged}

    def to_json(self) -> dict[str, Any]:
        """Plain values; docs/scoring.md lists the fields."""
        return {
            "protocol": self.protocol,
            "protocol_note": self.protocol_note,
            "meteor": self.meteor,
            "flag_accuracy": self.flag_accuracy,
            "flag_rule": self.flag_rule,
            "flag_truth": self.flag_truth,
            **_parts(self),
            "baselines": {name: line and line.to_json() for name, line in self.baselines.items()},
            "count_location": {"count": self.counts.to_json(), "place": self.places.to_json()},
            "statistics": {
                "predictions": self.prediction_statistics.to_json(),
                "references": self.reference_statistics.to_json(),
            },
        }


def _parts(scores: BaselineScores | CaptionReport) -> dict[str, Any]:
    return {name: getattr(scores, name).to_json() for name in ("all", "changed", "unchanged")}

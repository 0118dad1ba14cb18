"""Whether a runtime gives what the reference gives: both predict the pairs of a dataset, and are compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torch.utils.data import Subset

from semantic_cc.data.items import ChangeDataset
from semantic_cc.data.open_dataset import Data, open_dataset
from semantic_cc.data.progress_callback import Progress
from semantic_cc.errors import InputError
from semantic_cc.evaluation.pair_results import PairResult, predict_pairs
from semantic_cc.evaluation.split_scorer import SplitScorer
from semantic_cc.runtime.interface import Runtime, RuntimeName
from semantic_cc.runtime.load import load_runtime
from semantic_cc.types import BUILDING, Json, Pair, to_json_value

MIN_MASK_IOU, MIN_PAIR_IOU = 0.985, 0.9
MIN_FLAGS, MIN_SENTENCES = 0.99, 0.95
MAX_F1_DIFFERENCE, MAX_CIDER_DIFFERENCE = 0.3, 1.0
"""What counts as equal; differences in points of percent."""


@dataclass(frozen=True)
class Criterion:
    """One comparison and its limit.

    Attributes:
        name: what is compared.
        value: shares in [0, 1], differences in points of percent; None = the dataset or the model has no such thing.
        limit: the least value, or with `is_maximum` the greatest.
        is_maximum: see `limit`.
    """

    name: str
    value: float | None
    limit: float
    is_maximum: bool = False

    @property
    def holds(self) -> bool:
        """Whether the limit is kept; True without a value."""
        if self.value is None:
            return True
        return self.value <= self.limit if self.is_maximum else self.value >= self.limit


@dataclass(frozen=True)
class EqualityReport:
    """The comparison of a runtime with the reference.

    Attributes:
        reference, runtime: names of the two runtimes, the second with its device unless that is a CPU.
        pairs: number of pairs compared.
        criteria: all comparisons.
        worst_pair: the pair with changed buildings whose masks differ most; None without one.
        sentences: name of a pair with different sentences -> both, the reference's first.
    """

    reference: str
    runtime: str
    pairs: int
    criteria: tuple[Criterion, ...]
    worst_pair: str | None
    sentences: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def is_equal(self) -> bool:
        """Whether all limits are kept."""
        return all(criterion.holds for criterion in self.criteria)

    def to_json(self) -> Json:
        """Plain values."""
        content = to_json_value(self)
        assert isinstance(content, dict)
        return {**content, "is_equal": self.is_equal}


def compare_with_reference(
    model: str | Path,
    data: Data,
    split: str = "test",
    *,
    runtime: RuntimeName = "auto",
    device: str | None = None,
    limit: int | None = None,
    batch: int = 8,
    progress: Progress | None = None,
) -> EqualityReport:
    """Compares a runtime with the torch reference on a CPU, on a split of a dataset.

    Args:
        model: a packaged model's name, or a folder.
        data: one or several datasets in a layout of docs/data.md.
        split: "train", "val" or "test".
        runtime, device: what to compare, as in `SemanticCC.from_pretrained`.
        limit: only this many pairs, drawn with seed 0.
        batch: pairs predicted at once.
        progress: called with the pairs done and their number.

    Raises:
        InputError: `runtime` is torch on a CPU, or auto takes that here; the note says why.
        CheckpointError, DataError: as `evaluate`.

    Example:
        >>> compare_with_reference("small", "LEVIR-MCI", limit=20).is_equal  # doctest: +SKIP
    """
    pairs = open_dataset(data, split)
    chosen = pairs.subset(limit) if limit is not None else Subset(pairs, range(len(pairs)))
    compared = load_runtime(model, device, runtime)
    if compared.runtime.name == "torch" and compared.runtime.device == "cpu":
        raise InputError(
            f"there is nothing to compare torch with; {compared.note or 'give --runtime openvino'}"
        )
    reference = load_runtime(model, device="cpu", runtime="torch")
    return compare_runtimes(
        reference.runtime, compared.runtime, pairs, chosen, batch=batch, progress=progress
    )


def compare_runtimes(
    reference: Runtime,
    runtime: Runtime,
    data: ChangeDataset,
    pairs: Subset[Pair],
    *,
    batch: int = 8,
    progress: Progress | None = None,
) -> EqualityReport:
    """Predicts pairs with two runtimes of one model and compares masks, flags and sentences.

    Args:
        reference, runtime: the two runtimes.
        data: the dataset.
        pairs: the part of it to predict.
        batch: pairs predicted at once.
        progress: called with the pairs done and their number.

    Raises:
        DataError: images of a batch differ in size.
    """
    scorers = [SplitScorer(data, reference.config) for _ in range(2)]
    comparison = _Comparison()
    both = zip(
        pairs.indices,
        predict_pairs(reference, pairs, batch=batch),
        predict_pairs(runtime, pairs, batch=batch, progress=progress),
        strict=True,
    )
    for index, expected, found in both:
        comparison.add(expected, found)
        for scorer, result in zip(scorers, (expected, found), strict=True):
            scorer.update(index, result)
    return EqualityReport(
        reference=reference.name,
        runtime=runtime.name if runtime.device == "cpu" else f"{runtime.name} on {runtime.device}",
        pairs=comparison.pairs,
        criteria=(*comparison.criteria(), *_score_differences(scorers)),
        worst_pair=comparison.worst_pair,
        sentences=comparison.sentences,
    )


class _Comparison:
    def __init__(self) -> None:
        self.pairs = self.same = self.either = self.flags = self.equal_sentences = 0
        self.worst = 1.0
        self.worst_pair: str | None = None
        self.has_masks = self.has_sentences = False
        self.sentences: dict[str, tuple[str, str]] = {}

    def add(self, expected: PairResult, found: PairResult) -> None:
        self.pairs += 1
        if expected.mask is not None and found.mask is not None:
            self.has_masks = True
            self.same += int(((expected.mask == found.mask) & (expected.mask > 0)).sum())
            self.either += int(((expected.mask > 0) | (found.mask > 0)).sum())
            self._add_buildings(expected.name, expected.mask == BUILDING, found.mask == BUILDING)
        if expected.sentence is not None and found.sentence is not None:
            self.has_sentences = True
            self.flags += expected.changed == found.changed
            self.equal_sentences += expected.sentence == found.sentence
            if expected.sentence != found.sentence:
                self.sentences[expected.name] = expected.sentence, found.sentence

    def _add_buildings(self, name: str, expected: np.ndarray, found: np.ndarray) -> None:
        if expected.any():
            iou = float((expected & found).sum() / (expected | found).sum())
            if self.worst_pair is None or iou < self.worst:
                self.worst, self.worst_pair = iou, name

    def criteria(self) -> tuple[Criterion, ...]:
        """Of masks, flags and sentences."""
        iou = self.same / self.either if self.either else (1.0 if self.has_masks else None)
        shares = (self.flags / self.pairs, self.equal_sentences / self.pairs)
        flags, sentences = shares if self.has_sentences else (None, None)
        worst = None if self.worst_pair is None else self.worst
        return (
            Criterion("IoU of the masks, all pixels", iou, MIN_MASK_IOU),
            Criterion("lowest IoU of a pair's buildings", worst, MIN_PAIR_IOU),
            Criterion("equal flags", flags, MIN_FLAGS),
            Criterion("equal sentences", sentences, MIN_SENTENCES),
        )


def _score_differences(scorers: list[SplitScorer]) -> tuple[Criterion, ...]:
    """Of the building F1 and CIDEr against the dataset's own masks and sentences."""
    ours, theirs = (scorer.compute() for scorer in scorers)
    f1 = cider = None
    if ours.change is not None and theirs.change is not None:
        f1 = abs(ours.change.building.f1 - theirs.change.building.f1)
    if ours.captions is not None and theirs.captions is not None:
        one, other = ours.captions.all.scores["CIDEr"], theirs.captions.all.scores["CIDEr"]
        if one is not None and other is not None:
            cider = abs(one - other)
    return (
        Criterion("difference of the building F1", f1, MAX_F1_DIFFERENCE, is_maximum=True),
        Criterion("difference of CIDEr", cider, MAX_CIDER_DIFFERENCE, is_maximum=True),
    )

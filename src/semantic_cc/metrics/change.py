"""Change-detection scores from one confusion matrix over all pixels of a split.

All pixels count alike, whichever image they are in; a mean of per-image scores is a different number.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from semantic_cc.errors import DataError
from semantic_cc.types import BUILDING, LABEL_VALUES, LEFT_OUT, ROAD

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class ClassScore:
    """One class against all the rest, each in percent (0..100).

    A score whose denominator is zero is 0.0: precision where nothing was predicted, recall where nothing is
    there, F1 and IoU where neither is. So a model that is right about a split without change scores 0 here
    and 100 in accuracy.

    Attributes:
        precision: TP / (TP + FP).
        recall: TP / (TP + FN).
        f1: 2 TP / (2 TP + FP + FN).
        iou: TP / (TP + FP + FN).
        accuracy: (TP + TN) / all, the overall accuracy (OA) of this class as a binary task.
    """

    precision: float
    recall: float
    f1: float
    iou: float
    accuracy: float


@dataclass(frozen=True)
class ChangeScore:
    """Scores of all pixels seen but those left out.

    Attributes:
        building: the changed-building class, the paper's task (255 against 0 and 128).
        road: the changed-road class (128).
        change: any change, road or building, against none; a road called a building counts as found.
        accuracy: share of pixels whose class of three is right, in percent.
        mean_iou: mean IoU of none, road and building (LEVIR-MCI's MIoU), in percent; a class that is neither there
            nor predicted is left out.
        pixels: how many pixels were scored.
        confusion: 3 x 3 counts, rows the truth and columns the prediction, in the order none, road, building.
    """

    building: ClassScore
    road: ClassScore
    change: ClassScore
    accuracy: float
    mean_iou: float
    pixels: int
    confusion: tuple[tuple[int, ...], ...]

    @property
    def building_only(self) -> BuildingScore:
        """The scores that need no label of roads."""
        return BuildingScore(self.building, self.pixels)

    def to_json(self) -> dict[str, Any]:
        """Plain values by field."""
        return asdict(self)


@dataclass(frozen=True)
class BuildingScore:
    """Scores where roads are not labelled, or not predicted.

    Attributes:
        building: the changed-building class.
        pixels: how many pixels were scored.
    """

    building: ClassScore
    pixels: int

    def to_json(self) -> dict[str, Any]:
        """Plain values by field."""
        return asdict(self)


class ChangeMetric:
    """Gathers the confusion matrix batch by batch; across processes where torch.distributed runs."""

    def __init__(self) -> None:
        from torchmetrics.classification import MulticlassConfusionMatrix

        self._matrix = MulticlassConfusionMatrix(
            num_classes=len(LABEL_VALUES), ignore_index=LEFT_OUT, validate_args=False
        )

    def to(self, device: torch.device | str) -> ChangeMetric:
        """Moves the counts to `device`, where the batches must be too."""
        self._matrix.to(device)
        return self

    def update(self, prediction: Tensor, truth: Tensor) -> None:
        """Adds a batch.

        Args:
            prediction, truth: ``(b, H, W)`` integer class indices, 0 none, 1 road, 2 building; the truth also
                `LEFT_OUT`.

        Raises:
            DataError: the shapes differ, or a value is no class index.
        """
        if prediction.shape != truth.shape:
            shapes = f"prediction {tuple(prediction.shape)} and truth {tuple(truth.shape)}"
            raise DataError(f"{shapes} differ in shape; give both at one size")
        for name, classes, least in (("prediction", prediction, 0), ("truth", truth, LEFT_OUT)):
            if classes.is_floating_point() or classes.numel() == 0 or not _are_classes(classes, least):
                raise DataError(f"{name}: must hold class indices 0..{len(LABEL_VALUES) - 1}, as integers")
        self._matrix.update(prediction.long(), truth.long())

    def compute(self) -> ChangeScore:
        """The scores of all pixels so far.

        Raises:
            DataError: no batch was added, or all of its pixels are left out.
        """
        if not self._matrix.update_called:
            raise DataError("no pixels to score; call update first")
        counts: list[list[int]] = self._matrix.compute().tolist()
        pixels = sum(map(sum, counts))
        if not pixels:
            raise DataError("no pixels to score; nothing is known of any in the masks")
        return ChangeScore(
            building=_class_score(counts, {LABEL_VALUES.index(BUILDING)}),
            road=_class_score(counts, {LABEL_VALUES.index(ROAD)}),
            change=_class_score(counts, {LABEL_VALUES.index(ROAD), LABEL_VALUES.index(BUILDING)}),
            accuracy=_percent(sum(row[index] for index, row in enumerate(counts)), pixels),
            mean_iou=_mean_iou(counts),
            pixels=pixels,
            confusion=tuple(map(tuple, counts)),
        )

    def reset(self) -> None:
        """Forgets all pixels."""
        self._matrix.reset()


def _are_classes(classes: Tensor, least: int) -> bool:
    low, high = classes.aminmax()
    return int(low) >= least and int(high) < len(LABEL_VALUES)


def _class_score(counts: list[list[int]], positive: set[int]) -> ClassScore:
    """The classes in `positive` together, against the rest; `counts[truth][prediction]`."""
    tp = fp = fn = tn = 0
    for truth, row in enumerate(counts):
        for prediction, count in enumerate(row):
            match truth in positive, prediction in positive:
                case True, True:
                    tp += count
                case False, True:
                    fp += count
                case True, False:
                    fn += count
                case _:
                    tn += count
    return ClassScore(
        precision=_percent(tp, tp + fp),
        recall=_percent(tp, tp + fn),
        f1=_percent(2 * tp, 2 * tp + fp + fn),
        iou=_percent(tp, tp + fp + fn),
        accuracy=_percent(tp + tn, tp + fp + fn + tn),
    )


def _mean_iou(counts: list[list[int]]) -> float:
    seen = [index for index, row in enumerate(counts) if sum(row) or any(other[index] for other in counts)]
    return sum(_class_score(counts, {index}).iou for index in seen) / len(seen)


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0

"""Change-detection scores from one confusion matrix over all pixels of a split.

All pixels have equal weight. A mean of per-image scores is a different metric.
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
    """Scores of one class against the rest, in percent (0..100).

    A score with denominator zero is 0.0: precision without predicted pixels, recall without true pixels, F1 and IoU
    without either. A perfect model on a split without change therefore has 0 in these and 100 in accuracy.

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
    """Scores of all pixels that are not ignored.

    Attributes:
        building: the changed-building class, the paper's task (255 against 0 and 128).
        road: the changed-road class (128).
        change: road or building against none; a road predicted as a building is a true positive.
        accuracy: fraction of pixels with the correct class of three, in percent.
        mean_iou: mean IoU of none, road and building (LEVIR-MCI's MIoU), in percent, without classes that are neither
            labelled nor predicted.
        pixels: number of scored pixels.
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
        """The scores that do not need road labels."""
        return BuildingScore(self.building, self.pixels)

    def to_json(self) -> dict[str, Any]:
        """Plain values by field."""
        return asdict(self)


@dataclass(frozen=True)
class BuildingScore:
    """Scores if roads are not labelled or not predicted.

    Attributes:
        building: the changed-building class.
        pixels: number of scored pixels.
    """

    building: ClassScore
    pixels: int

    def to_json(self) -> dict[str, Any]:
        """Plain values by field."""
        return asdict(self)


class ChangeMetric:
    """Accumulates the confusion matrix over batches.

    In a training on several devices, each process scores all pairs, so nothing is added up over processes.
    """

    def __init__(self) -> None:
        from torchmetrics.classification import MulticlassConfusionMatrix

        self._matrix = MulticlassConfusionMatrix(
            num_classes=len(LABEL_VALUES),
            ignore_index=LEFT_OUT,
            validate_args=False,
            sync_on_compute=False,
        )

    def to(self, device: torch.device | str) -> ChangeMetric:
        """Moves the counts to `device`, the device of the batches."""
        self._matrix.to(device)
        return self

    def update(self, prediction: Tensor, truth: Tensor) -> None:
        """Adds a batch.

        Args:
            prediction, truth: ``(b, H, W)`` integer class indices, 0 none, 1 road, 2 building; `truth` may also
                contain `LEFT_OUT`.

        Raises:
            DataError: the shapes differ, or a value is not a class index.
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
            DataError: there are no scored pixels.
        """
        if not self._matrix.update_called:
            raise DataError("no pixels to score; call update first")
        counts: list[list[int]] = self._matrix.compute().tolist()
        pixels = sum(map(sum, counts))
        if not pixels:
            raise DataError("no pixels to score; the masks label none")
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
        """Resets the counts."""
        self._matrix.reset()


def _are_classes(classes: Tensor, least: int) -> bool:
    low, high = classes.aminmax()
    return int(low) >= least and int(high) < len(LABEL_VALUES)


def _class_score(counts: list[list[int]], positive: set[int]) -> ClassScore:
    """Scores of the union of the classes in `positive` against the rest; `counts[truth][prediction]`."""
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

"""Frozen value types that pass between rooms. Shape legend: H, W image sides in pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
"""A value that `json.dumps` writes."""


def to_json_value(value: Any) -> Json:
    """Dataclasses and mappings become dicts, sequences lists, all the way down; other values stay."""
    if is_dataclass(value):
        return {part.name: to_json_value(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json_value(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [to_json_value(part) for part in value]
    plain: Json = value
    return plain


SPLITS = ("train", "val", "test")
"""The parts of a dataset."""

NONE, ROAD, BUILDING = 0, 128, 255
"""Label values of LEVIR-MCI: no change, changed road, changed building."""

LABEL_VALUES = (NONE, ROAD, BUILDING)
"""Class index -> label value. A prediction holds these values; a binary mask holds `NONE` and `BUILDING`."""

NOT_BUILDING = 64
"""Value of a dataset's mask: no changed building here; whether a road changed is not labelled."""

UNKNOWN = 32
"""Value of a dataset's mask: not labelled, so it enters no loss and no score."""

MASK_VALUES = (*LABEL_VALUES, NOT_BUILDING, UNKNOWN)
"""Class index -> value of a dataset's mask."""

BUILDING_CLASS = MASK_VALUES.index(BUILDING)
NOT_BUILDING_CLASS = MASK_VALUES.index(NOT_BUILDING)
UNKNOWN_CLASS = MASK_VALUES.index(UNKNOWN)
"""Class indices of these values."""

LEFT_OUT = -1
"""Class index, in a mask that is scored, of true pixels that are not labelled."""

LABELLED_CLASSES = (("building",), ("road", "building"))
"""The classes that a dataset's masks may label, by name."""

COVERS = ("ground", "road", "building", "tree", "parking lot", "pool")
"""Land covers by index, as a land-cover map of one date has them."""


@dataclass(frozen=True)
class Pair:
    """One item of a dataset: two images of a place, with what is known about the change.

    Attributes:
        name: the item's name, for example ``train_000016.png``.
        before, after: ``(H, W, 3)`` uint8 RGB, earlier date first.
        label: ``(H, W)`` uint8 of `MASK_VALUES`, or None where the item has no mask.
        sentences: the reference sentences without full stop, empty where there are none.
        changed: the dataset's change flag, or None where it is not known.
    """

    name: str
    before: np.ndarray
    after: np.ndarray
    label: np.ndarray | None = None
    sentences: tuple[str, ...] = ()
    changed: bool | None = None


@dataclass(frozen=True)
class ModelIdentity:
    """Which model gave a result.

    Attributes:
        name: its name, for example ``small``.
        digest: sha256 of its weights in hex digits.
    """

    name: str
    digest: str


@dataclass(frozen=True)
class ChangeMaps:
    """Masks of a batch of n pairs.

    Attributes:
        class_probabilities: ``(n, 2 or 3, H, W)`` float32 in [0, 1], the class "none" first.
    """

    class_probabilities: np.ndarray


@dataclass(frozen=True)
class ChangeDescription:
    """The description of one pair.

    Attributes:
        sentence: the description, without full stop.
        sentences: instruction -> the sentence it gave; empty where the change flag is False and has a head of its own.
        changed: the change flag.
        change_probability: the flag head's probability in [0, 1]; None for a model without that head.
        mask: ``(H, W)`` uint8 of `LABEL_VALUES`; None for a model without the change-detection task.
        probability: ``(H, W)`` float32 in [0, 1], the probability that the pixel changed; None where `mask` is None.
        heatmap: ``(H, W)`` float32 in [0, 1], size of the differential features after the neck (the paper's Fig. 8).
        model: the model that gave it.
        classes: label value -> name of each class of change that the mask can hold; empty without a mask.
        notes: conversions of the input and remarks on the model, for people.
        timings: seconds by step: ``read``, ``encode``, ``mask``, ``sentence``, ``total``. In a batch, of the batch.

    Example:
        description = model.describe("before.png", "after.png")
        print(description.sentence, description.class_shares)
    """

    sentence: str
    sentences: Mapping[str, str]
    changed: bool
    change_probability: float | None
    mask: np.ndarray | None
    probability: np.ndarray | None
    heatmap: np.ndarray
    model: ModelIdentity
    classes: Mapping[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)

    @property
    def changed_share(self) -> float | None:
        """Share of the pixels that the mask calls changed, in [0, 1]; None without a mask."""
        return None if self.mask is None else float((self.mask > 0).mean())

    @property
    def class_shares(self) -> dict[str, float] | None:
        """Class name -> share of the pixels, in [0, 1]; None without a mask."""
        if self.mask is None:
            return None
        return {name: float((self.mask == value).mean()) for value, name in self.classes.items()}

    def to_json(self) -> dict[str, Json]:
        """The description without its arrays, as in the ``report.json`` of a plain pair.

        A key that does not apply to the model is None.
        """
        from semantic_cc import __version__

        height, width = self.heatmap.shape
        shares = self.class_shares
        return {
            "sentence": self.sentence,
            "sentences": dict(self.sentences),
            "changed": self.changed,
            "change_probability": self.change_probability,
            "changed_share": self.changed_share,
            "class_shares": None if shares is None else dict(shares),
            "image_size": {"width": width, "height": height},
            "notes": list(self.notes),
            "model": {"name": self.model.name, "digest": self.model.digest},
            "timings": {step: round(seconds, 4) for step, seconds in self.timings.items()},
            "version": __version__,
        }

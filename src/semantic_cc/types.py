"""The result of a pair, and constants and types that several packages share. Legend: H, W image sides in pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
"""A value that `json.dumps` can write."""


def to_json_value(value: Any) -> Json:
    """Converts dataclasses and mappings to dicts, and sequences to lists, recursively; other values stay."""
    if is_dataclass(value):
        return {part.name: to_json_value(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json_value(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [to_json_value(part) for part in value]
    plain: Json = value
    return plain


SPLITS = ("train", "val", "test")
"""The splits of a dataset."""

NONE, ROAD, BUILDING = 0, 128, 255
"""Label values of LEVIR-MCI: no change, changed road, changed building."""

LABEL_VALUES = (NONE, ROAD, BUILDING)
"""Class index -> value in a predicted mask; a binary mask contains only `NONE` and `BUILDING`."""

NOT_BUILDING = 64
"""Value in a dataset's mask: no changed building; whether a road changed is not labelled."""

UNKNOWN = 32
"""Value in a dataset's mask: not labelled. These pixels count in no loss and no score."""

MASK_VALUES = (*LABEL_VALUES, NOT_BUILDING, UNKNOWN)
"""Class index -> value in a dataset's mask."""

BUILDING_CLASS = MASK_VALUES.index(BUILDING)
NOT_BUILDING_CLASS = MASK_VALUES.index(NOT_BUILDING)
UNKNOWN_CLASS = MASK_VALUES.index(UNKNOWN)
"""Class indices of these values."""

LEFT_OUT = -1
"""Class index of the unlabelled pixels in a true mask; scores ignore these pixels."""

LABELLED_CLASSES = (("building",), ("road", "building"))
"""The classes that a dataset's masks may label, by name."""

COVERS = ("ground", "road", "building", "tree", "parking lot", "pool")
"""Class index in a land-cover map of one date -> land cover."""


@dataclass(frozen=True)
class Pair:
    """One item of a dataset: two images of the same place with their labels.

    Attributes:
        name: the item's name, for example ``train_000016.png``.
        before, after: earlier and later image, ``(H, W, 3)`` uint8 RGB.
        label: ``(H, W)`` uint8 of `MASK_VALUES`, None without a mask.
        sentences: the reference captions without full stop, possibly none.
        changed: the dataset's change flag, None if unknown.
    """

    name: str
    before: np.ndarray
    after: np.ndarray
    label: np.ndarray | None = None
    sentences: tuple[str, ...] = ()
    changed: bool | None = None


@dataclass(frozen=True)
class ModelIdentity:
    """The model that produced a result.

    Attributes:
        name: name of the model, for example ``small``.
        digest: SHA-256 of its weights in hexadecimal.
    """

    name: str
    digest: str


@dataclass(frozen=True)
class ChangeMaps:
    """The predicted masks of a batch of n pairs.

    Attributes:
        class_probabilities: ``(n, 2 or 3, H, W)`` float32 in [0, 1], the class "none" first.
    """

    class_probabilities: np.ndarray


@dataclass(frozen=True)
class ChangeDescription:
    """The description of one pair.

    Attributes:
        sentence: the description, without full stop.
        sentences: instruction -> the model's answer; empty if a flag head says that nothing changed.
        changed: the change flag.
        change_probability: probability in [0, 1] from the flag head; None for a model without this head.
        mask: ``(H, W)`` uint8 of `LABEL_VALUES`; None for a model without the change-detection task.
        probability: ``(H, W)`` float32 in [0, 1], the change probability of each pixel; None without a mask.
        heatmap: ``(H, W)`` float32 in [0, 1], relative difference of the features after the neck (the paper's Fig. 8).
        model: the model that produced the description.
        classes: label value -> name of each change class that the mask can contain; empty without a mask.
        notes: conversions of the input and remarks on the model, for people.
        timings: seconds by step: ``read``, ``encode``, ``mask``, ``sentence``, ``total``; in a batch, of the batch.

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
        """Share of changed pixels in the mask, in [0, 1]; None without a mask."""
        return None if self.mask is None else float((self.mask > 0).mean())

    @property
    def class_shares(self) -> dict[str, float] | None:
        """Class name -> share of its pixels in the mask, in [0, 1]; None without a mask."""
        if self.mask is None:
            return None
        return {name: float((self.mask == value).mean()) for value, name in self.classes.items()}

    def to_json(self) -> dict[str, Json]:
        """The description without its arrays, as in the ``report.json`` of a plain pair.

        A value is None if it does not apply to the model.
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

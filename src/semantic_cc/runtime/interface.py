"""The interface of all runtimes. Legend: n pairs, H, W image sides in pixels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

    from semantic_cc.config import ModelConfig

RuntimeName = Literal["auto", "torch", "openvino"]
"""auto = openvino if it is installed and can run the model, else torch."""

RUNTIMES: tuple[RuntimeName, ...] = ("auto", "torch", "openvino")


@dataclass(frozen=True)
class PairMasks:
    """Masks and flags of n pairs, in arrays on the CPU.

    Attributes:
        class_probabilities: ``(n, 2 or 3, H, W)`` float32 in [0, 1], class "none" first; None with the change task off.
        change_probability: ``(n,)`` float32 in [0, 1] from the flag head; None without it.
        heatmap: ``(n, H, W)`` float32 in [0, 1], as in `ChangeDescription`.
    """

    class_probabilities: np.ndarray | None
    change_probability: np.ndarray | None
    heatmap: np.ndarray


@dataclass(frozen=True)
class PairPredictions(PairMasks):
    """Masks, flags and sentences of n pairs.

    Attributes:
        changed: n change flags.
        sentences: n dicts instruction -> sentence; empty for pairs that the flag head calls unchanged.
        sentence: n final sentences.
        timings: seconds by step, for the whole batch.
    """

    changed: list[bool]
    sentences: list[dict[str, str]]
    sentence: list[str]
    timings: Mapping[str, float]


class Runtime(ABC):
    """A loaded model that predicts batches of pairs.

    Attributes:
        name: torch or openvino.
        config: the model's config.
        device: type of the device, for example cpu or cuda.
        place_batch: default number of places of a scene that are described at once.
    """

    name: str
    config: ModelConfig
    device: str
    place_batch: int

    def pair_batch(self, height: int, width: int) -> int:
        """Number of plain pairs of this size that `batch` describes at once; 1 = one after another."""
        return 1

    @abstractmethod
    def predict(
        self, before: np.ndarray, after: np.ndarray, instructions: Sequence[str] | None = None
    ) -> PairPredictions:
        """Masks, flags and sentences of n pairs.

        Args:
            before, after: ``(n, H, W, 3)`` uint8 RGB.
            instructions: prompts for the language model; None = the model's own.
        """

    def predict_class_probabilities(self, before: np.ndarray, after: np.ndarray) -> np.ndarray | None:
        """Class probabilities of n pairs, equal to those of `predict`; None with the change task off.

        Args:
            before, after: ``(n, H, W, 3)`` uint8 RGB.
        """
        return self.predict_masks(before, after).class_probabilities

    @abstractmethod
    def predict_masks(self, before: np.ndarray, after: np.ndarray) -> PairMasks:
        """Masks and flags of n pairs, equal to those of `predict`, without sentences.

        Args:
            before, after: ``(n, H, W, 3)`` uint8 RGB.
        """

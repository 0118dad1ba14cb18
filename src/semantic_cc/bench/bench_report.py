"""The results of a benchmark."""

from __future__ import annotations

from dataclasses import dataclass

from semantic_cc.bench.commands import PeerTiming
from semantic_cc.bench.machine import Machine
from semantic_cc.bench.model_cost import PartCost
from semantic_cc.bench.timing import Timing
from semantic_cc.types import Json, to_json_value


@dataclass(frozen=True)
class PairSpeed:
    """Times of one pair after warm-up.

    Attributes:
        changed, unchanged: time of a description (mask and sentence) from two PNG files.
        mask: time of the class probabilities only.
        parts: part -> median seconds in descriptions of a changed pair: ``read`` (two PNG files), ``vision``,
            ``language model`` (with its search) and, with the torch runtime, the parts of ``vision``.
    """

    changed: Timing
    unchanged: Timing
    mask: Timing
    parts: dict[str, float]


@dataclass(frozen=True)
class BatchSpeed:
    """Throughput at one batch size, from the median time.

    Attributes:
        pairs: batch size.
        described: changed pairs per second, with masks and sentences.
        masks: pairs per second, with masks and without sentences.
        tokens: generated tokens per second, in the step that generates the sentences.
    """

    pairs: int
    described: float
    masks: float
    tokens: float


@dataclass(frozen=True)
class ColdStart:
    """`semantic-cc describe` of one pair, from the start of the process to its end, with a filled cache.

    Attributes:
        time: time of the process.
        peak_gigabytes: peak memory of the process.
    """

    time: Timing
    peak_gigabytes: float


@dataclass(frozen=True)
class SceneSpeed:
    """`semantic-cc describe` of a synthetic scene.

    Attributes:
        side: side of the scene in pixels.
        seconds: time from the start of the process to its end.
        without_sentences: `seconds` without the step that describes places.
        parts: step -> seconds: ``start`` of the process (imports and weights), and the steps in the scene's report.
        places: number of described places.
        peak_gigabytes: peak memory of the process.
    """

    side: int
    seconds: float
    without_sentences: float
    parts: dict[str, float]
    places: int
    peak_gigabytes: float


@dataclass(frozen=True)
class BenchReport:
    """All measurements of a run.

    Attributes:
        machine: the machine and its limits.
        model, digest, runtime: name and SHA-256 of the model, and its runtime.
        image_size: side of the pairs in pixels.
        pair: times of one pair.
        batches: throughput by batch size.
        cold_start: time and memory of a whole process.
        scenes: times by size of the scene.
        costs: part -> counted operations and bytes for a changed pair; includes both ``vision`` and its parts.
        reached: measured part -> least time divided by measured time, in [0, 1].
        baselines: method -> time of `predict` for one pair after warm-up; methods and `pair` take turns.
        peers: times of other programs.
    """

    machine: Machine
    model: str
    digest: str
    runtime: str
    image_size: int
    pair: PairSpeed
    batches: tuple[BatchSpeed, ...]
    cold_start: ColdStart
    scenes: tuple[SceneSpeed, ...]
    costs: dict[str, PartCost]
    reached: dict[str, float]
    baselines: dict[str, Timing]
    peers: tuple[PeerTiming, ...]

    def to_json(self) -> Json:
        """The report as plain JSON values."""
        return to_json_value(self)

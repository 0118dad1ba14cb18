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
    """Warm times of one pair.

    Attributes:
        changed, unchanged: of a description, mask and sentence, from two PNG files.
        mask: of the class probabilities.
        parts: part -> median seconds in descriptions of a changed pair: ``read`` (two PNG files), ``vision``,
            ``language model`` with its search, and with the torch runtime the parts of ``vision``.
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
        described: pairs a second, all of them changed: masks and sentences.
        masks: pairs a second, masks without sentences.
        tokens: tokens of the sentences a second, in the step that writes them.
    """

    pairs: int
    described: float
    masks: float
    tokens: float


@dataclass(frozen=True)
class ColdStart:
    """`semantic-cc describe` of one pair, from the process's start to its end, with a filled cache.

    Attributes:
        time: of the process.
        peak_gigabytes: most memory that it held.
    """

    time: Timing
    peak_gigabytes: float


@dataclass(frozen=True)
class SceneSpeed:
    """`semantic-cc describe` of a synthetic scene.

    Attributes:
        side: pixels.
        seconds: from the process's start to its end.
        without_sentences: `seconds` less the step that describes places.
        parts: step -> seconds: ``start`` of the process (imports and weights), and the steps of the scene's report.
        places: number of places described.
        peak_gigabytes: most memory that the process held.
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
        model, digest, runtime: what was measured.
        image_size: pixels a side of the pairs.
        pair: warm times.
        batches: throughput by batch size.
        cold_start: of a process.
        scenes: by side.
        costs: part -> counted operations and bytes of a changed pair; the parts of ``vision`` beside it.
        reached: measured part -> least time over measured time, in [0, 1].
        baselines: method -> warm time of one pair's `predict`, measured in turns with `pair`.
        peers: other programs.
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
        """Plain values."""
        return to_json_value(self)

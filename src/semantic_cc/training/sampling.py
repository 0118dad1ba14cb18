"""Sampling: the items of a stage, their order, and the random draws at each visit.

Each draw uses a new generator keyed by (seed, epoch, stage, position). A resumed run therefore draws the same as an
uninterrupted one, in whichever process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

import numpy as np

from semantic_cc.config import ModelConfig, PhaseConfig, StageConfig, TrainConfig
from semantic_cc.errors import DataError
from semantic_cc.training.stages import Needs, Stage, stages_of
from semantic_cc.types import Pair

SORTED_TOGETHER = 50
"""Number of batches whose items are sorted by length together."""
ORDER_KEY, VISIT_KEY = 0, 1  # of the two kinds of draws; numpy pads short keys with zeros


class TrainingPairs(Protocol):
    """A dataset, such as `ChangeDataset`, with item metadata that needs no image reads."""

    @property
    def names(self) -> Sequence[str]:
        """The items' names, in order."""
        ...

    @property
    def labelled(self) -> Sequence[bool]:
        """Whether each item has a mask, in order."""
        ...

    @property
    def references(self) -> Mapping[str, Sequence[str]]:
        """Name -> sentences, possibly none."""
        ...

    @property
    def sources(self) -> Sequence[int]:
        """Index of each item's dataset among the joined ones, from 0, in order."""
        ...

    def __getitem__(self, index: int) -> Pair: ...

    def scene(self, index: int) -> Pair | None:
        """The whole scene that an item is a part of; None if it is no part."""
        ...

    def cache_images(self) -> None:
        """Reads all images into memory."""
        ...


@dataclass(frozen=True)
class SampleRef:
    """One visit to one item.

    Attributes:
        index: index of the item in the dataset.
        epoch: from 0.
        position: position in the stage of that epoch, from 0.
        counted: False for a padding item, see `DeviceShare`.
    """

    index: int
    epoch: int
    position: int
    counted: bool = True


@dataclass(frozen=True)
class DrawnSample:
    """A visited item and its drawn instruction (None: no captions).

    The pair contains only the drawn sentences, possibly rewritten by augmentation.
    """

    pair: Pair
    instruction: str | None
    visit: SampleRef


@dataclass(frozen=True)
class DeviceShare:
    """One device's share of a step: a part of its items, split into micro-batches for gradient accumulation.

    All devices take the same number of micro-batches, because all gather a sharded layer together. A device without
    enough items reads a padding item, which is not counted.
    """

    rank: int = 0
    devices: int = 1
    pieces: int = 1

    def of(self, batch: list[SampleRef]) -> list[list[SampleRef]]:
        """This device's micro-batches of a step, without those that are empty on all devices."""
        shares = _cut(batch, self.devices)
        own, most = _cut(shares[self.rank], self.pieces), _cut(shares[0], self.pieces)
        stand_in = [replace(batch[0], counted=False)]
        return [piece or stand_in for piece, first in zip(own, most, strict=True) if first]


def _cut(visits: list[SampleRef], parts: int) -> list[list[SampleRef]]:
    """Splits visits into `parts` consecutive runs of equal length; the first ones may be longer by one."""
    size, more = divmod(len(visits), parts)
    starts = [part * size + min(part, more) for part in range(parts + 1)]
    return [visits[start:stop] for start, stop in pairwise(starts)]


@dataclass(frozen=True)
class StageSchedule:
    """A stage with its dataset; it runs once per epoch.

    Attributes:
        stage: the stage.
        seed: seed of all draws.
        augment, sentences: as in `PhaseConfig`.
        items: indices of its dataset: D_cd, D_cc or D_cd-cc.
        visits: visits per epoch.
        batch: items per step.
        lengths: mean words per sentence of each item, for sorting; None = not sorted.
        shares: item lists with their visits per epoch; empty = uniform over the items.
    """

    stage: Stage
    seed: int
    augment: bool
    sentences: int
    items: tuple[int, ...]
    visits: int
    batch: int
    lengths: Mapping[int, float] | None = None
    shares: tuple[tuple[tuple[int, ...], int], ...] = ()

    @property
    def steps(self) -> int:
        """Steps per epoch; the last batch may be smaller."""
        return -(-self.visits // self.batch)

    def batches(self, epoch: int) -> list[list[SampleRef]]:
        """The visits of one epoch in batches: the first `visits` of a seeded permutation of the items.

        With `lengths`, items are sorted within groups of `SORTED_TOGETHER` batches, and the batches are shuffled.
        """
        rng = np.random.default_rng([self.seed, ORDER_KEY, epoch, self.stage.number])
        order = self._order(rng)
        visits = [SampleRef(int(index), epoch, position) for position, index in enumerate(order)]
        if self.lengths is None:
            return _in_runs(visits, self.batch)
        lengths = self.lengths
        chunks = _in_runs(visits, self.batch * SORTED_TOGETHER)
        batches = [
            batch
            for chunk in chunks
            for batch in _in_runs(sorted(chunk, key=lambda visit: lengths[visit.index]), self.batch)
        ]
        return [batches[place] for place in rng.permutation(len(batches))]

    def _order(self, rng: np.random.Generator) -> np.ndarray:
        """The items of one epoch; with shares, items of a small dataset repeat."""
        if not self.shares:
            return rng.permutation(self.items)[: self.visits]
        drawn = []
        for items, visits in self.shares:
            rounds = -(-visits // len(items))
            drawn.append(np.concatenate([rng.permutation(items) for _ in range(rounds)])[:visits])
        return rng.permutation(np.concatenate(drawn))


def _shares(
    items: Sequence[int], sources: Sequence[int], weights: Sequence[float], visits: int
) -> tuple[tuple[tuple[int, ...], int], ...]:
    """Splits the visits of an epoch over the datasets by weight; the last one gets the rounding remainder."""
    by_source: dict[int, list[int]] = {}
    for index in items:
        by_source.setdefault(sources[index], []).append(index)
    total = sum(weights[source] for source in by_source)
    ends = np.cumsum([weights[source] / total for source in sorted(by_source)]) * visits
    counts = np.diff(np.round(ends).astype(int), prepend=0)
    shares = [(tuple(by_source[s]), int(n)) for s, n in zip(sorted(by_source), counts, strict=True)]
    return tuple(share for share in shares if share[1] > 0)


def _in_runs(visits: list[SampleRef], size: int) -> list[list[SampleRef]]:
    return [visits[start : start + size] for start in range(0, len(visits), size)]


def schedules_of(
    phase: PhaseConfig, model: ModelConfig, pairs: TrainingPairs, train: TrainConfig
) -> tuple[StageSchedule, ...]:
    """The stages of a phase, each with the items that have the labels and sentences it needs.

    Raises:
        DataError: no item has what a stage needs.
    """
    return tuple(
        _schedule(stage, phase.stages[stage.name], phase, pairs, train)
        for stage in stages_of(phase.stages, model)
    )


def _schedule(
    stage: Stage, sizes: StageConfig, phase: PhaseConfig, pairs: TrainingPairs, train: TrainConfig
) -> StageSchedule:
    items = _items_with(stage.needs, pairs)
    if not items:
        wanted = {"change": "a label", "caption": "sentences", "both": "a label and sentences"}[stage.needs]
        raise DataError(
            f"stage {stage.name} needs items with {wanted}, and the dataset has none; "
            "choose another dataset or model.change_task off"
        )
    visits = len(items) if sizes.items is None else sizes.items
    shares: tuple[tuple[tuple[int, ...], int], ...] = ()
    if phase.source_weights:
        shares = _shares(items, pairs.sources, phase.source_weights, visits)
    else:
        visits = min(len(items), visits)
    lengths = _lengths(items, pairs) if train.sort_by_length and stage.caption else None
    return StageSchedule(
        stage, train.seed, phase.augment, phase.sentences, items, visits, sizes.batch, lengths, shares
    )


def _items_with(needs: Needs, pairs: TrainingPairs) -> tuple[int, ...]:
    references = pairs.references
    return tuple(
        index
        for index, (name, labelled) in enumerate(zip(pairs.names, pairs.labelled, strict=True))
        if (labelled or needs == "caption") and (references.get(name) or needs == "change")
    )


def _lengths(items: Sequence[int], pairs: TrainingPairs) -> dict[int, float]:
    names, references = pairs.names, pairs.references
    said = {index: references[names[index]] for index in items}
    return {index: sum(len(text.split()) for text in texts) / len(texts) for index, texts in said.items()}

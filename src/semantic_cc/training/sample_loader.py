"""Reads the drawn samples of a stage, in data loading processes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from semantic_cc.data.augment.transforms import augment_caption, augment_change, augment_scene
from semantic_cc.errors import SemanticCCError
from semantic_cc.model.prompter import INSTRUCTIONS
from semantic_cc.processes import end_with_parent
from semantic_cc.training.sampling import (
    VISIT_KEY,
    DeviceShare,
    DrawnSample,
    SampleRef,
    StageSchedule,
    TrainingPairs,
)
from semantic_cc.types import Pair

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class ErrorsAsItems(Dataset["T_co | SemanticCCError"]):
    """A dataset that gives the error of an item in its place; `raise_errors` raises it.

    A DataLoader would wrap the one-line message in a worker's traceback.
    """

    def __init__(self, items: Dataset[T_co]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)  # type: ignore[arg-type]  # only some datasets have a length

    def __getitem__(self, index: Any) -> T_co | SemanticCCError:
        try:
            return self.items[index]
        except SemanticCCError as error:
            return error


def raise_errors(items: Iterable[T | SemanticCCError]) -> list[T]:
    """The items of a batch from `ErrorsAsItems`.

    Raises:
        SemanticCCError: the first error among them.
    """
    read = []
    for item in items:
        if isinstance(item, SemanticCCError):
            raise item
        read.append(item)
    return read


class DrawnSamples(Dataset[DrawnSample]):
    """The dataset of a stage: maps a `SampleRef` to the augmented item and its draws."""

    def __init__(self, pairs: TrainingPairs, schedule: StageSchedule) -> None:
        self.pairs, self.schedule = pairs, schedule

    def __getitem__(self, visit: SampleRef) -> DrawnSample:
        own = self.schedule
        stage = own.stage
        rng = np.random.default_rng([own.seed, VISIT_KEY, visit.epoch, stage.number, visit.position])
        if not stage.caption:
            return DrawnSample(self._masked(visit.index, rng), None, visit)
        pair = self.pairs[visit.index]
        # Only the drawn sentences: the others could rule out a symmetry.
        drawn = rng.permutation(len(pair.sentences))[: own.sentences]
        pair = replace(pair, sentences=tuple(pair.sentences[i] for i in drawn))
        instruction = INSTRUCTIONS[rng.integers(len(INSTRUCTIONS))]
        if not stage.change:  # pairs with and without a mask can share a batch
            pair = replace(pair, label=None)
        if own.augment:
            pair = augment_caption(pair, rng)
        return DrawnSample(pair, instruction, visit)

    def _masked(self, index: int, rng: np.random.Generator) -> Pair:
        """An item for a stage without sentences; augmented, a part of a scene is replaced by a random window."""
        pair = self.pairs[index]
        if not self.schedule.augment:
            return pair
        scene = self.pairs.scene(index)
        if scene is None:
            return augment_change(pair, rng)
        return augment_scene(scene, pair.before.shape[0], rng)


def samples(
    pairs: TrainingPairs, schedule: StageSchedule, epoch: int, first: int, workers: int, share: DeviceShare
) -> Iterator[list[list[DrawnSample]]]:
    """The steps of one epoch's stage from step `first` on, each in the micro-batches of `share`.

    Args:
        pairs, schedule: the dataset and the stage's schedule.
        epoch: from 0.
        first: steps to skip.
        workers: data loading processes (0 = none).
        share: this device's share.

    Raises:
        DataError: an item cannot be read.
    """
    steps = [share.of(batch) for batch in schedule.batches(epoch)[first:]]
    loader: DataLoader[DrawnSample | SemanticCCError] = DataLoader(
        ErrorsAsItems(DrawnSamples(pairs, schedule)),
        batch_sampler=[piece for step in steps for piece in step],
        num_workers=workers,
        worker_init_fn=end_with_parent,
        # numpy arrays use pipes; tensors would need shared memory, which is scarce in containers
        collate_fn=list,
        # its own, so the loader does not advance dropout's generator
        generator=torch.Generator(),
    )
    pieces = map(raise_errors, loader)
    for step in steps:
        yield [next(pieces) for _ in step]


def default_workers(devices: int = 1) -> int:
    """Data loading processes per device on this machine: one per spare core, at most 16."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(0, min(16, cores // devices - 1))

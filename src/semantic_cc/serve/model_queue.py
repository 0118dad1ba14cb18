"""One thread that owns the model: plain pairs in dynamic batches, and the calls of scenes between them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from semantic_cc.scene.scene_model import SceneModel
from semantic_cc.types import ChangeDescription, ChangeMaps

_Result = TypeVar("_Result")


class QueueFullError(Exception):
    """As many pairs wait as may.

    Args:
        seconds: after which the waiting pairs are described, at the speed of the last batches.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


@dataclass
class _PairCall:
    before: np.ndarray
    after: np.ndarray
    instruction: str | None
    future: Future[ChangeDescription] = field(default_factory=Future)

    @property
    def key(self) -> tuple[tuple[int, ...], str | None]:
        """Pairs of one key can share a batch."""
        return self.before.shape, self.instruction


@dataclass
class _SceneCall:
    function: Callable[[], Any]
    future: Future[Any] = field(default_factory=Future)


class ModelQueue:
    """Runs every call of the model in one thread, a batch of pairs and a scene's call in turn.

    While the model works, pairs gather; those of one size and instruction are its next batch. Pairs whose future was
    cancelled cost nothing.

    Args:
        model: the loaded model.
        most_waiting: pairs that may wait.
        most_seconds: longest time that a pair may wait for its answer; a pair whose answer would come later is refused.
        most_batched: pairs of a batch.
        on_batch: called with the number of pairs and the seconds of each batch.
    """

    def __init__(
        self,
        model: SceneModel,
        *,
        most_waiting: int,
        most_seconds: float,
        most_batched: int,
        on_batch: Callable[[int, float], None] | None = None,
    ) -> None:
        self.model = model
        self._most_waiting, self._most_seconds = most_waiting, most_seconds
        self._most_batched, self._on_batch = most_batched, on_batch
        self._pairs: deque[_PairCall] = deque()
        self._scene_calls: deque[_SceneCall] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._seconds_per_pair = 0.5
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Pairs that wait."""
        return len(self._pairs)

    @property
    def alive(self) -> bool:
        """Whether calls are answered."""
        return self._thread.is_alive() and not self._ended

    def describe(
        self, before: np.ndarray, after: np.ndarray, instruction: str | None
    ) -> Future[ChangeDescription]:
        """Queues a pair; cancel the future to take it back.

        Args:
            before, after: (H, W, 3) uint8 RGB.
            instruction: as `SemanticCC.describe`.

        Raises:
            QueueFullError: too many wait.
            RuntimeError: the queue has ended.
        """
        call = _PairCall(before, after, instruction)
        with self._changed:
            self._check_open()
            waiting = len(self._pairs)
            ahead = waiting + 2 * self._most_batched  # the running batch, and the pair's own
            late = waiting > 0 and ahead * self._seconds_per_pair > self._most_seconds
            if late or waiting >= self._most_waiting:
                raise QueueFullError(self._seconds_per_pair * waiting)
            self._pairs.append(call)
            self._changed.notify()
        return call.future

    def run(self, function: Callable[[], _Result]) -> _Result:
        """Calls `function` in the model's thread, and returns what it returns.

        Raises:
            RuntimeError: the queue has ended.
        """
        call = _SceneCall(function)
        with self._changed:
            self._check_open()
            self._scene_calls.append(call)
            self._changed.notify()
        result: _Result = call.future.result()
        return result

    def close(self) -> None:
        """Ends the thread after its present call; what waits is cancelled."""
        with self._changed:
            self._ended = True
            for pair in self._pairs:
                pair.future.cancel()
            for call in self._scene_calls:
                call.future.cancel()
            self._pairs.clear()
            self._scene_calls.clear()
            self._changed.notify()
        self._thread.join()

    def _check_open(self) -> None:
        if self._ended:
            raise RuntimeError("the service is shutting down")

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or self._pairs or self._scene_calls)
                if self._ended:
                    return
                batch = self._take_batch()
                scene_call = self._scene_calls.popleft() if self._scene_calls else None
            start = time.perf_counter()
            if batch:
                self._describe(batch)
            if scene_call is not None and scene_call.future.set_running_or_notify_cancel():
                _settle(scene_call.future, scene_call.function)
            if batch:
                seconds = time.perf_counter() - start
                self._seconds_per_pair = (self._seconds_per_pair + seconds / len(batch)) / 2

    def _take_batch(self) -> list[_PairCall]:
        """The pairs that wait longest and fit together; the order of the others stays."""
        batch: list[_PairCall] = []
        others: deque[_PairCall] = deque()
        for call in self._pairs:
            if call.future.cancelled():
                continue
            fits = len(batch) < self._most_batched and (not batch or call.key == batch[0].key)
            (batch if fits else others).append(call)
        self._pairs = others
        return [call for call in batch if call.future.set_running_or_notify_cancel()]

    def _describe(self, batch: list[_PairCall]) -> None:
        start = time.perf_counter()
        try:
            before, after = (
                np.stack([getattr(call, date) for call in batch]) for date in ("before", "after")
            )
            found = self.model.describe_batch(before, after, batch[0].instruction)
        except BaseException as error:
            for call in batch:
                call.future.set_exception(error)
            return
        seconds = time.perf_counter() - start
        if self._on_batch is not None:
            self._on_batch(len(batch), seconds)
        for call, description in zip(batch, found, strict=True):
            call.future.set_result(description)


def _settle(future: Future[_Result], function: Callable[[], _Result]) -> None:
    try:
        result = function()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)


class QueuedModel:
    """The `SceneModel` that a job uses: each call goes through the queue, unless the job is to stop.

    Args:
        queue: of the model.
        check: called before each call of the model; raises to stop the job.
    """

    def __init__(self, queue: ModelQueue, check: Callable[[], None]) -> None:
        self._queue, self._check = queue, check
        self.info, self.device = queue.model.info, queue.model.device
        self.place_batch = queue.model.place_batch

    @property
    def num_classes(self) -> int:
        """As `SceneModel.num_classes`."""
        return self._queue.model.num_classes

    def predict_masks(self, before: np.ndarray, after: np.ndarray) -> ChangeMaps:
        """As `SceneModel.predict_masks`."""
        self._check()
        return self._queue.run(lambda: self._queue.model.predict_masks(before, after))

    def describe_batch(
        self, before: np.ndarray, after: np.ndarray, instruction: str | None = None
    ) -> Sequence[ChangeDescription]:
        """As `SceneModel.describe_batch`."""
        self._check()
        return self._queue.run(lambda: self._queue.model.describe_batch(before, after, instruction))

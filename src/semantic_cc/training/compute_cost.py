"""Operations and peak memory of a computation, counted on meta tensors."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import FlopCounterMode


class PeakMemory(TorchDispatchMode):
    """Counts the bytes of all live tensors created inside the block, on any device.

    Attributes:
        peak: peak of the live bytes, without allocator rounding and fragmentation.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._now = 0
        self._alive: set[int] = set()  # by the storages' addresses
        self._before: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._before.update(key for key, _ in _storages((args, kwargs)) if key not in self._alive)
        output = func(*args, **(kwargs or {}))
        for key, storage in _storages(output):
            if key not in self._alive and key not in self._before:
                self._made(key, storage)
        return output

    def _made(self, key: int, storage: torch.UntypedStorage) -> None:
        size = storage.nbytes()
        self._alive.add(key)
        self._now += size
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._freed, key, size)

    def _freed(self, key: int, size: int) -> None:
        self._alive.discard(key)
        self._now -= size


def _storages(values: Any) -> Iterator[tuple[int, torch.UntypedStorage]]:
    for value in tree_iter(values):
        if isinstance(value, Tensor):
            storage = value.untyped_storage()
            yield storage._cdata, storage


def cost_of(work: Callable[[], object]) -> tuple[int, int]:
    """Floating-point operations of `work`'s matrix products and convolutions, and its peak memory in bytes.

    A multiply-add is two operations. Tensors created before `work` are not counted.
    """
    with FlopCounterMode(display=False) as flops, PeakMemory() as memory:
        work()
    return flops.get_total_flops(), memory.peak

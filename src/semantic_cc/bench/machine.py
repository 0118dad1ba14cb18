"""What a machine can do at most: matrix products and memory bandwidth, measured."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import torch

SIDE = 1536
"""Side of the multiplied matrices."""

BYTES = 256 * 1024 * 1024
"""Size of the copied array, larger than any cache."""

PACKAGES = ("torch", "transformers", "openvino", "numpy")


@dataclass(frozen=True)
class Machine:
    """A machine and its limits.

    Attributes:
        cpu: the processor's name.
        cores: logical cores that this process may use.
        load: load average of the last minute before the measurement; above about 1, other work was running.
        versions: package -> installed version.
        gflops: type -> billions of floating-point operations a second in a matrix product.
        bandwidth: gigabytes a second, read and written, of a copy in memory.
    """

    cpu: str
    cores: int
    load: float
    versions: dict[str, str]
    gflops: dict[str, float]
    bandwidth: float


def measure_machine() -> Machine:
    """Measures this machine with all threads of torch; takes a few seconds."""
    load = os.getloadavg()[0]
    products = {}
    for name in ("float32", "bfloat16"):
        left = torch.randn(SIDE, SIDE).to(getattr(torch, name))
        products[name] = 2 * SIDE**3 / _best(lambda left=left: left @ left) / 1e9  # type: ignore[misc]
    source, target = (np.ones(BYTES, np.uint8) for _ in range(2))
    bandwidth = 2 * BYTES / _best(lambda: np.copyto(target, source)) / 1e9
    return Machine(
        cpu=_cpu_name(),
        cores=len(os.sched_getaffinity(0)),
        load=load,
        versions={name: version for name in PACKAGES if (version := _version(name))},
        gflops=products,
        bandwidth=bandwidth,
    )


def _best(work: Callable[[], object], runs: int = 5) -> float:
    """Seconds of the fastest of some runs: a limit is what the machine does undisturbed."""
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None

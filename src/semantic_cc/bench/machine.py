"""What a machine, or a GPU of it, can do at most: matrix products and memory bandwidth, measured."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import torch

from semantic_cc.model.base import device_time

CPU = torch.device("cpu")

SIDE, GPU_SIDE = 1536, 8192
"""Side of the multiplied matrices, on a CPU and on a GPU."""

BYTES, GPU_BYTES = 256 * 1024**2, 1024**3
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
        gpu: name of the GPU that `gflops` and `bandwidth` belong to; None = they belong to the processor.
    """

    cpu: str
    cores: int
    load: float
    versions: dict[str, str]
    gflops: dict[str, float]
    bandwidth: float
    gpu: str | None = None


def measure_machine(device: torch.device = CPU) -> Machine:
    """Measures a device of this machine, a CPU with all threads of torch; takes a few seconds."""
    load = os.getloadavg()[0]
    on_gpu = device.type == "cuda"
    side, size = (GPU_SIDE, GPU_BYTES) if on_gpu else (SIDE, BYTES)
    products = {}
    for name in ("float32", "bfloat16"):
        left = torch.randn(side, side, device=device).to(getattr(torch, name))
        products[name] = 2 * side**3 / _best(lambda left=left: left @ left, device) / 1e9  # type: ignore[misc]
    versions = {name: version for name in PACKAGES if (version := _version(name))}
    if on_gpu:
        source, target = (torch.ones(size, dtype=torch.uint8, device=device) for _ in range(2))
        seconds = _best(lambda: target.copy_(source), device)
        versions["CUDA"] = str(torch.version.cuda)
    else:
        read, written = (np.ones(size, np.uint8) for _ in range(2))
        seconds = _best(lambda: np.copyto(written, read), device)
    return Machine(
        cpu=_cpu_name(),
        cores=len(os.sched_getaffinity(0)),
        load=load,
        versions=versions,
        gflops=products,
        bandwidth=2 * size / seconds / 1e9,
        gpu=torch.cuda.get_device_name(device) if on_gpu else None,
    )


def _best(work: Callable[[], object], device: torch.device, runs: int = 5) -> float:
    """Seconds of the fastest of some runs: a limit is what the device does undisturbed."""
    seconds = []
    for _ in range(runs):
        start = device_time(device)
        work()
        seconds.append(device_time(device) - start)
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

"""Memory and peak throughput of devices for run estimates, from the manufacturers' data sheets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KnownDevice:
    """Data sheet values of a device.

    Attributes:
        memory: GiB.
        half: peak of dense bfloat16 (V100: float16) matrix products, in operations per second.
        single: the same in float32, with TF32 if supported.
    """

    memory: int
    half: float
    single: float


DEVICES = {
    "v100-32gb": KnownDevice(32, 125e12, 15.7e12),
    "a100-40gb": KnownDevice(40, 312e12, 156e12),
    "a100-80gb": KnownDevice(80, 312e12, 156e12),
    "h100-80gb": KnownDevice(80, 989e12, 494e12),
    "l4-24gb": KnownDevice(24, 121e12, 60e12),
    "l40s-48gb": KnownDevice(48, 362e12, 183e12),
    "rtx4090-24gb": KnownDevice(24, 165e12, 82.6e12),
}
"""Values from the data sheets, without sparsity."""

"""The device and the precision a run computes with."""

from __future__ import annotations

from lightning.fabric import Fabric

from semantic_cc.config import TrainConfig


def fabric_of(config: TrainConfig, accelerator: str = "auto") -> Fabric:
    """One device with the precision of `config`.

    Args:
        config: training settings; bfloat16 is autocast over float32 weights.
        accelerator: Fabric's name of the device; auto = the first accelerator, or else the CPU.
    """
    precision = "bf16-mixed" if config.precision == "bfloat16" else "32-true"
    return Fabric(accelerator=accelerator, devices=1, precision=precision)

"""Devices and processes: Fabric setup, and communication between the processes of a run.

Each device has all trainable parameters, and gradients are summed once per step. Stages can therefore freeze any
parameters, checkpoints do not depend on the strategy, and only frozen layers are sharded.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins import MixedPrecision, Precision
from torch import Tensor, distributed, nn

from semantic_cc.config import HardwareConfig
from semantic_cc.errors import ConfigError, InputError, SemanticCCError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

T = TypeVar("T")
ONE_DEVICE = HardwareConfig()


def fabric_of(precision: str, hardware: HardwareConfig = ONE_DEVICE) -> Fabric:
    """Launches Fabric on `hardware`; with several devices, starts or joins the other processes.

    Raises:
        ConfigError: the devices are not available, or torchrun or SLURM started a different number of processes.
    """
    accelerator = hardware.accelerator
    if accelerator == "auto":
        accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    devices = hardware.devices * hardware.nodes
    started = int(os.environ.get("WORLD_SIZE", os.environ.get("SLURM_STEP_NUM_TASKS", devices)))
    if started != devices:
        raise ConfigError(
            f"configuration: {started} processes were started, but hardware.devices x hardware.nodes is {devices}; "
            "start as many processes as devices"
        )
    if hardware.sharding == "fsdp" and devices == 1:
        raise ConfigError("configuration: hardware.sharding fsdp needs hardware.devices of at least 2")
    try:
        fabric = Fabric(
            accelerator=accelerator,
            devices=hardware.devices,
            num_nodes=hardware.nodes,
            strategy="ddp" if devices > 1 else "auto",  # only for its process group
            plugins=_precision(precision, accelerator),
        )
        fabric.launch()
    except Exception as error:  # Lightning raises no specific type
        reason = " ".join(str(error).split())
        raise ConfigError(f"configuration: hardware: {reason}") from error
    return fabric


def _precision(name: str, accelerator: str) -> Precision:
    """Autocast over float32 weights. Given only the name, Fabric replaces float16 with bfloat16 on a CPU."""
    if name == "float32":
        return Precision()
    return MixedPrecision("bf16-mixed" if name == "bfloat16" else "16-mixed", device=accelerator)


@contextlib.contextmanager
def first_process_speaks() -> Iterator[None]:
    """Lets only the first process print an error that all processes raise; the others exit silently."""
    try:
        yield
    except SemanticCCError as error:
        if is_first():
            raise
        raise SystemExit(2 if isinstance(error, InputError) else 1) from None


def is_first() -> bool:
    """Whether this is the first or only process of the run."""
    if distributed.is_initialized():
        return distributed.get_rank() == 0
    return {os.environ.get(name, "0") for name in ("RANK", "LOCAL_RANK")} == {"0"}


def device_name(hardware: HardwareConfig = ONE_DEVICE) -> str:
    """Display name of the device that `hardware` selects on this machine."""
    if hardware.accelerator == "cpu" or not torch.cuda.is_available():
        return f"CPU, {torch.get_num_threads()} threads"
    count = hardware.devices * hardware.nodes
    return torch.cuda.get_device_name() if count == 1 else f"{count} x {torch.cuda.get_device_name()}"


def raise_together(fabric: Fabric, error: SemanticCCError | None) -> None:
    """Raises an error of one process in all processes, which would otherwise wait forever.

    All processes must call it; `error` is None in those without an error.
    """
    if fabric.world_size > 1:
        failed = torch.tensor(float(error is not None), device=fabric.device)
        if not distributed_sum(fabric, failed):
            return
        errors: list[SemanticCCError | None] = [None] * fabric.world_size
        distributed.all_gather_object(errors, error)
        error = next(known for known in errors if known is not None)
    if error is not None:
        raise error


def on_first(fabric: Fabric, work: Callable[[], T]) -> T:
    """Runs `work` in the first process and returns its result in all processes.

    Raises:
        SemanticCCError: the error of `work`, in all processes.
    """
    result: T | None = None
    error: SemanticCCError | None = None
    if fabric.is_global_zero:
        try:
            result = work()
        except SemanticCCError as raised:
            error = raised
    result, error = fabric.broadcast((result, error))
    if error is not None:
        raise error
    return result


def distributed_sum(fabric: Fabric, values: Tensor) -> Tensor:
    """All-reduce: the sum of `values` over all processes."""
    return values if fabric.world_size == 1 else fabric.all_reduce(values, reduce_op="sum")


@torch.no_grad()
def add_gradients(fabric: Fabric, parameters: Iterable[nn.Parameter]) -> None:
    """Sums the gradients over all processes in one message. All must have gradients of the same parameters."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if fabric.world_size == 1 or not gradients:
        return
    flat = distributed_sum(fabric, torch.cat([gradient.flatten() for gradient in gradients]))
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def shard_llm(fabric: Fabric, llm: PreTrainedModel) -> None:
    """Shards an LLM's frozen layers over the devices (FSDP2), gathered during their computation.

    Adapters, embeddings and all other modules are not sharded.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(fabric.device.type, (fabric.world_size,))
    for layer in llm.get_decoder().layers:
        adapters = {parameter for name, parameter in layer.named_parameters() if "lora_" in name}
        fully_shard(layer, mesh=mesh, ignored_params=adapters)

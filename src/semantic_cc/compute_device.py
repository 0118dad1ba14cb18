"""The device that a model computes on, and what happens when its memory is too small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from typing import TYPE_CHECKING

from semantic_cc.errors import DeviceMemoryError, InputError

if TYPE_CHECKING:
    import torch


def has_gpu() -> bool:
    """Whether torch finds a GPU. Does not load torch if it is a build for the CPU."""
    if metadata.version("torch").endswith("+cpu"):
        return False
    import torch

    return torch.cuda.is_available()


def find_device(name: str | None) -> torch.device:
    """A device by torch's name of it; None = the first GPU, without one the CPU.

    Raises:
        InputError: this machine has no such device.
    """
    import torch

    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was compiled with CUDA
        reason = " ".join(str(error).split("\n")[0].split())
        raise InputError(f"no device {name!r} on this machine ({reason}); try cpu") from error
    return device


def check_compiler(device: torch.device) -> None:
    """Compiles and runs a small function for a device, which takes seconds.

    Raises:
        InputError: torch cannot compile here, for example because there is no C compiler.
    """
    import torch

    try:
        torch.compile(lambda x: x + 1)(torch.zeros(1, device=device))
    except Exception as error:  # whatever torch, Triton or a compiler raises
        reason = " ".join(str(error).partition("\n\n")[0].split())[:200]  # advice for torch's authors follows
        raise InputError(
            f"torch cannot compile for {device} on this machine ({reason}); install a C compiler and Python's "
            "headers, or leave compiled decoding out"
        ) from error


@contextmanager
def enough_memory(shape: Sequence[int]) -> Iterator[None]:
    """Turns torch's out-of-memory errors into one line.

    Args:
        shape: (n, H, W, ...) of the images that the block works on.

    Raises:
        DeviceMemoryError: the memory does not suffice.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        size = f"{shape[2]}x{shape[1]} pixels"
        text = (
            f"{size}; cut the pair" if shape[0] == 1 else f"{shape[0]} windows of {size}; use fewer at once"
        )
        raise DeviceMemoryError(f"not enough memory for {text}") from error


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of torch says so: CUDA has a type for it, the CPU's allocator only a message."""
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)

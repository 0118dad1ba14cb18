"""Images for the networks, on one calm thread, and what a gradient reaches."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn


@pytest.fixture(autouse=True)
def _calm(one_calm_thread: None) -> None:
    """Every test of this folder compares numbers."""


@pytest.fixture
def images() -> Callable[..., tuple[Tensor, Tensor]]:
    """Height, width -> two batches (2, 3, H, W) in [0, 1]."""

    def make(height: int, width: int) -> tuple[Tensor, Tensor]:
        before, after = torch.rand(2, 2, 3, height, width)
        return before, after

    return make


@pytest.fixture
def unreached() -> Callable[[nn.Module, Tensor], list[str]]:
    """Network, logits -> the parameters that no gradient of the logits reaches."""

    def names(network: nn.Module, logits: Tensor) -> list[str]:
        logits.square().mean().backward()
        return [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]

    return names


@pytest.fixture
def outputs() -> Callable[..., list[tuple[int, ...]]]:
    """Modules, call -> the shapes (without batch) of what these modules gave in the call."""

    def shapes(modules: nn.ModuleList, call: Callable[[], object]) -> list[tuple[int, ...]]:
        seen: list[tuple[int, ...]] = []
        hooks = [
            module.register_forward_hook(lambda _, given, out: seen.append(tuple(out.shape[1:])))
            for module in modules
        ]
        call()
        for hook in hooks:
            hook.remove()
        return seen

    return shapes

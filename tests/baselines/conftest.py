"""The compared captioning methods at tiny size; images for the change detectors, and what a gradient reaches."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from semantic_cc.checkpoint.build import build_model
from semantic_cc.config import load_config
from semantic_cc.model.base import ChangeModel

WORDS = ("a", "appear", "difference", "houses", "is", "no", "road", "there")
"""In alphabetical order, as a vocabulary has them."""
Make = Callable[..., ChangeModel]


@pytest.fixture
def make() -> Make:
    """A method's name and overrides of its sizes -> the model at its start, without dropout."""

    def run(method: str, seed: int = 0, **sizes: object) -> ChangeModel:
        baseline = {"vocabulary": WORDS, "dropout": 0.0, **sizes}
        config = load_config(f"tiny+{method}", {"model": {"baseline": baseline}})
        return build_model(config.model, seed=seed)

    return run


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    """Two pairs of 64x64, (2, 3, 64, 64) each date."""
    torch.manual_seed(0)
    before, after = torch.rand(2, 2, 3, 64, 64)
    return before, after


@pytest.fixture(autouse=True)
def _calm(one_calm_thread: None) -> None:
    """Every test of this folder compares numbers."""


@pytest.fixture
def dates() -> Callable[..., tuple[Tensor, Tensor]]:
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

"""Tiny models whose weights are far from their start, so that no part hides behind a zero."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn

from semantic_cc.config import load_config
from semantic_cc.model.build import build_model
from semantic_cc.model.semantic_cc import SemanticCCModel

Build = Callable[..., SemanticCCModel]


@pytest.fixture(autouse=True)
def _one_calm_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def shake() -> Callable[[nn.Module], None]:
    """Adds noise to every weight, the zero-started ones among them."""

    def run(module: nn.Module, scale: float = 0.2, seed: int = 1) -> None:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(scale * torch.randn(parameter.shape, generator=generator))

    return run


@pytest.fixture(scope="session")
def build(shake: Callable[[nn.Module], None]) -> Build:
    """Overrides of the model section -> a shaken `tiny` model in eval mode."""

    def run(
        model: dict[str, Any] | None = None, preset: str = "tiny", shaken: bool = True
    ) -> SemanticCCModel:
        built = build_model(load_config(preset, {"model": model or {}}).model)
        if shaken:
            shake(built)
        return built.eval()

    return run


@pytest.fixture
def pair() -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    """Size -> two random image batches (b, 3, H, W) in [0, 1]."""

    def run(b: int = 2, height: int = 32, width: int = 48) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(height * 1000 + width)
        before, after = torch.rand(2, b, 3, height, width, generator=generator)
        return before, after

    return run

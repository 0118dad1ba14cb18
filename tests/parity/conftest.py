"""Tiny models with every weight far from its start."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn

from semantic_cc.config import load_config
from semantic_cc.model.build import build_model
from semantic_cc.model.semantic_cc import SemanticCCModel


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

    def run(module: nn.Module) -> None:
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))

    return run


@pytest.fixture(scope="session")
def build(shake: Callable[[nn.Module], None]) -> Callable[..., SemanticCCModel]:
    """Overrides of the model section -> a shaken `tiny` model in eval mode."""

    def run(model: dict[str, Any] | None = None) -> SemanticCCModel:
        built = build_model(load_config("tiny", {"model": model or {}}).model)
        shake(built)
        return built.eval()

    return run

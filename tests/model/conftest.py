"""Images for the model, on one calm thread."""

from collections.abc import Callable

import pytest
import torch


@pytest.fixture(autouse=True)
def _calm(one_calm_thread: None) -> None:
    """Every test of this folder compares numbers."""


@pytest.fixture
def pair() -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    """Size -> two random image batches (b, 3, H, W) in [0, 1]."""

    def run(b: int = 2, height: int = 32, width: int = 48) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(height * 1000 + width)
        before, after = torch.rand(2, b, 3, height, width, generator=generator)
        return before, after

    return run

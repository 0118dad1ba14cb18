"""The compared captioning methods at tiny size."""

from collections.abc import Callable

import pytest
import torch

from semantic_cc.config import load_config
from semantic_cc.model.build import build_model
from semantic_cc.model.method import ChangeModel

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

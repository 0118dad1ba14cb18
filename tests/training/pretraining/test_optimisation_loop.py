"""The short loop: float16 lowers its scale where a gradient overflows, and refuses a loss that is no number."""

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from semantic_cc.config import Config, load_config
from semantic_cc.errors import TrainingError
from semantic_cc.training.devices import fabric_of
from semantic_cc.training.pretraining.optimisation_loop import minimise

STEEP = 100.0
"""65536, the scaler's first scale, times this is more than float16 holds."""


def losses_of(config: Config, slope: float) -> list[float]:
    """Of a line through (1, -1), its loss `slope` times as steep as its error."""
    torch.manual_seed(0)
    line = nn.Linear(1, 1)
    loader = DataLoader(torch.ones(8, 1), 8, collate_fn=lambda rows: (torch.stack(rows),))

    def loss_of(given: tuple[Tensor, ...]) -> Tensor:
        return slope * (line(given[0]) + 1).abs().float().mean()

    fabric = fabric_of(config.train.precision)
    return minimise("line", fabric, dict(line.named_parameters()), config, 0.05, 60, loader, loss_of)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_it_learns_in_every_precision(precision: str) -> None:
    losses = losses_of(load_config("tiny", {"train": {"precision": precision}}), STEEP)
    assert len(losses) == 60
    assert losses[-1] < 0.1 * losses[0]


def test_a_loss_that_is_no_number_ends_it() -> None:
    with pytest.raises(TrainingError, match="not finite in step 1"):
        losses_of(load_config("tiny"), float("nan"))

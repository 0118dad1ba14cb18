"""IDET as its paper describes it."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.testing import assert_close

from semantic_cc.baselines.idet import IDET, DifferenceStep, Refinement

Dates = Callable[..., tuple[Tensor, Tensor]]
TINY = {"widths": (8, 8, 16, 32, 32), "depths": (1, 1, 1, 1, 1)}


def test_the_papers_scales(outputs: Callable[..., list]) -> None:
    with torch.device("meta"):
        network = IDET(classes=1)
        pair = torch.empty(2, 1, 3, 256, 256)
    assert outputs(network.features.down, lambda: network(*pair)) == [
        (64, 256, 256), (128, 128, 128), (256, 64, 64), (512, 32, 32), (512, 16, 16),
    ]  # fmt: skip
    assert outputs(network.features.up, lambda: network(*pair)) == [
        (512, 8, 8), (512, 16, 16), (256, 32, 32), (128, 64, 64), (64, 128, 128),
    ]  # fmt: skip
    assert outputs(network.refine, lambda: network(*pair)) == [
        (8, 128, 128), (128, 64, 64), (256, 32, 32), (512, 16, 16), (512, 8, 8),
    ]  # fmt: skip
    assert outputs(network.fuse, lambda: network(*pair)) == [
        (512, 8, 8), (256, 16, 16), (128, 32, 32), (64, 64, 64), (8, 128, 128),
    ]  # fmt: skip
    assert network.classify.in_channels == 5
    assert [len(refine.steps) for refine in network.refine] == [2] * 5


def test_gradients_reach_every_parameter(dates: Dates, unreached: Callable) -> None:
    network = IDET(classes=1, **TINY)
    assert unreached(network, network(*dates(64, 96))) == []


def test_an_iteration() -> None:
    step = DifferenceStep(width=8, heads=2, reduction=2)
    dates, difference = torch.rand(4, 16, 8), torch.rand(2, 16, 8)
    first, second = (step.date(date, 4, 4) for date in dates.chunk(2))
    guide = step.guide(step.guide_norm((first - second).abs()), 4, 4)
    read = step.attention(step.attention_norm(guide), 4, 4)[0]
    expected = difference + read + step.mlp(step.mlp_norm(guide), 4, 4)
    new_dates, new_difference = step(dates, difference, 4, 4)
    assert_close(new_dates, torch.cat([first, second]))
    assert_close(new_difference, expected)


def test_it_starts_from_the_absolute_difference() -> None:
    refine = Refinement(width=8, heads=2, reduction=1, iterations=2)
    with torch.no_grad():
        for step in refine.steps:  # iterations that add nothing
            for layer in (step.attention.o_proj, step.mlp.fc2):
                layer.weight.zero_()
                layer.bias.zero_()
    x = torch.rand(4, 8, 3, 5)
    difference = (x[:2] - x[2:]).abs().permute(0, 2, 3, 1)
    assert_close(refine(x), refine.norm(difference).permute(0, 3, 1, 2))


def test_the_order_of_the_dates_means_nothing(dates: Dates) -> None:
    network = IDET(classes=1, **TINY).eval()
    before, after = dates(32, 64)
    assert_close(network(before, after), network(after, before))
    assert not torch.allclose(network(before, after), network(before, before))

"""FC-Siam-diff as its paper describes it."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from semantic_cc.baselines.fc_siam_diff import FCSiamDiff

Dates = Callable[..., tuple[Tensor, Tensor]]


def test_the_papers_levels_and_size(outputs: Callable[..., list]) -> None:
    with torch.device("meta"):
        network = FCSiamDiff(classes=2)
        pair = torch.empty(2, 1, 3, 256, 256)
    assert outputs(network.down, lambda: network(*pair)) == [
        (16, 256, 256), (32, 128, 128), (64, 64, 64), (128, 32, 32),
    ]  # fmt: skip
    assert outputs(network.merge, lambda: network(*pair)) == [
        (64, 32, 32), (32, 64, 64), (16, 128, 128), (16, 256, 256),
    ]  # fmt: skip
    joined = [stage[0].in_channels for stage in network.merge]
    assert joined == [32, 64, 128, 256]  # half of them the difference
    convolutions = [sum(isinstance(m, nn.Conv2d) for m in stage.modules()) for stage in network.down]
    assert convolutions == [2, 2, 3, 3]
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_350_146  # the paper: 1.35 M


def test_gradients_reach_every_parameter(dates: Dates, unreached: Callable) -> None:
    network = FCSiamDiff(classes=1, widths=(4, 8, 16), depths=(2, 2, 3))
    assert unreached(network, network(*dates(40, 48))) == []


def test_the_dates_meet_in_absolute_differences(dates: Dates) -> None:
    network = FCSiamDiff(classes=1, widths=(4, 8), depths=(2, 2)).eval()
    before, after = dates(16, 24)
    assert not torch.allclose(
        network(before, after), network(after, before)
    )  # the later date's deepest features
    with torch.no_grad():
        for up in network.up:
            up.weight.zero_()  # skip connections alone
    logits = network(before, after)
    assert torch.equal(network(after, before), logits)
    same = network(before, before)
    assert torch.equal(same, network(after, after))
    assert not torch.allclose(same, logits)

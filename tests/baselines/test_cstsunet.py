"""CSTSUNet: its levels, windows and reconstruction errors."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from semantic_cc.baselines.cstsunet import WINDOW, CrossWindowLayer, CSTSUNet, ReconstructionError

Dates = Callable[..., tuple[Tensor, Tensor]]
TINY = {"widths": (8, 8, 16, 32), "heads": (1, 1, 2, 4), "depths": (1, 1, 1, 1)}


def test_four_levels(outputs: Callable[..., list]) -> None:
    with torch.device("meta"):
        network = CSTSUNet(classes=1)
        pair = torch.empty(2, 1, 3, 256, 256)
    levels = [(64, 64, 64), (128, 32, 32), (256, 16, 16), (512, 8, 8)]
    assert outputs(network.down, lambda: network(*pair)) == levels
    assert outputs(network.differences, lambda: network(*pair)) == levels[::-1]
    assert outputs(network.up, lambda: network(*pair)) == levels[::-1]


def test_gradients_reach_every_parameter(dates: Dates, unreached: Callable) -> None:
    network = CSTSUNet(classes=1, **TINY)
    assert unreached(network, network(*dates(64, 96))) == []


@pytest.mark.parametrize("shift", [0, WINDOW // 2])
@pytest.mark.parametrize("size", [(WINDOW, 2 * WINDOW), (5, 13), (1, 1)])
def test_a_token_reads_its_own_window_of_the_other_date(shift: int, size: tuple[int, int]) -> None:
    """The reference computes every token by itself, over the tokens of the other date in the same window."""
    layer = CrossWindowLayer(width=4, heads=1, shift=shift)
    x, other = torch.rand(2, 1, *size, 4)
    found = layer(x, other)
    query = layer.query(layer.query_norm(x))[0]
    key, value = layer.key_value(layer.other_norm(other))[0].chunk(2, dim=-1)
    window = [(torch.arange(side) + shift) // WINDOW for side in size]
    for row in range(size[0]):
        for column in range(size[1]):
            same = (window[0] == window[0][row])[:, None] & (window[1] == window[1][column])[None]
            share = (key[same] @ query[row, column] / 2).softmax(0)
            read = layer.out(share @ value[same])
            assert_close(found[0, row, column], read + layer.mlp(layer.mlp_norm(read)))


def test_the_difference_is_what_the_other_date_does_not_explain() -> None:
    module = ReconstructionError(width=8, heads=2)
    x = torch.rand(2, 8, 6, 6)
    first, second = x.permute(0, 2, 3, 1).chunk(2)
    errors = []
    for own, other in ((first, second), (second, first)):
        read = own
        for layer in module.layers:
            read = layer(read, other)
        errors.append((own - read).abs().permute(0, 3, 1, 2))
    assert_close(module(x), module.conv(torch.cat(errors, dim=1)))

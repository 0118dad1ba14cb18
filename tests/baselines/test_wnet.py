"""WNet: its levels, deformable sampling, difference enhancement."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from semantic_cc.baselines.wnet import DeformableConvolution, DifferenceEnhancement, WNet, sampled

Dates = Callable[..., tuple[Tensor, Tensor]]
TINY = {"widths": (8, 8, 16, 32), "heads": (1, 1, 2, 4)}


def test_both_branches_have_four_levels(outputs: Callable[..., list]) -> None:
    with torch.device("meta"):
        network = WNet(classes=1)
        pair = torch.empty(2, 1, 3, 256, 256)
    levels = [(64, 64, 64), (128, 32, 32), (256, 16, 16), (512, 8, 8)]
    assert outputs(network.local, lambda: network(*pair)) == levels
    assert outputs(network.long_range, lambda: network(*pair)) == levels
    assert outputs(network.fuse, lambda: network(*pair)) == levels[::-1]


def test_gradients_reach_every_parameter(dates: Dates, unreached: Callable, shake: Callable) -> None:
    network = WNet(classes=1, **TINY)
    shake(network)
    assert unreached(network, network(*dates(64, 96))) == []


def test_a_deformable_convolution_without_offsets_is_an_ordinary_one() -> None:
    layer = DeformableConvolution(4)
    x = torch.rand(2, 4, 5, 7)
    # channels of `mix`: tap after tap, rows first
    weight = layer.mix.weight.view(4, 3, 3, 4).permute(0, 3, 1, 2)
    assert_close(layer(x), F.conv2d(x, weight, layer.mix.bias, padding=1))


def test_places_are_in_pixels() -> None:
    x = torch.arange(12.0).view(1, 1, 3, 4)
    places = torch.tensor([[2.0, 1.0], [0.5, 2.0], [9.0, 0.0]]).view(1, 1, 3, 2)
    assert_close(sampled(x, places), torch.tensor([6.0, 8.5, 0.0]).view(1, 1, 1, 3))


def test_equal_dates_have_no_difference() -> None:
    enhance = DifferenceEnhancement(16)
    x = torch.rand(1, 16, 4, 4)
    zero, other = torch.zeros(1, 16, 4, 4), torch.rand(1, 16, 4, 4)
    assert_close(enhance(torch.cat([x, x])), enhance.conv(zero))
    gate = torch.sigmoid(enhance.gate(torch.cat([x, other], dim=1)))
    assert_close(enhance(torch.cat([x, other])), enhance.conv((x - other).abs() * (1 + gate)))

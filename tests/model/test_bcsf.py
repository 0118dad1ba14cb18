"""Equations 2 and 3 written from the formula, the start as identity, and the gate at other sizes."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from semantic_cc.model.bcsf import BCSF, ChannelGate, FeedForward


def ffn(layer: FeedForward, x: Tensor) -> Tensor:
    return F.gelu(x @ layer[0].weight.T + layer[0].bias) @ layer[2].weight.T + layer[2].bias


def test_equations_2_and_3(shake: Callable[[nn.Module], None]) -> None:
    b, side, c = 2, 3, 5
    filters = BCSF(c, grid=side)
    shake(filters)
    x1, x2 = torch.randn(2, b, side, side, c)
    expected = []
    for date, (x, other) in enumerate([(x1, x2), (x2, x1)]):
        spatial = torch.sigmoid(
            torch.cat([x, other], -1) @ filters.spatial_gate.weight[0] + filters.spatial_gate.bias
        )
        sf = ffn(filters.spatial_ffn, x * spatial[..., None])
        maps = torch.cat([x.reshape(b, -1, c), other.reshape(b, -1, c)], dim=1).transpose(1, 2)  # (b, c, 2hw)
        gate = filters.channel_gates[date]
        channel = torch.sigmoid(maps @ gate.weight.reshape(-1) + gate.bias)  # (b, c)
        cf = ffn(filters.channel_ffns[date], x * channel[:, None, None, :])
        expected.append(x + sf + cf)
    assert_close(filters(torch.cat([x1, x2])), torch.cat(expected))


def test_spatial_layers_are_shared_and_channel_layers_are_not() -> None:
    names = {name.rpartition(".")[0] for name, _ in BCSF(4, grid=2).named_parameters()}
    assert {"spatial_gate", "channel_gates.0", "channel_gates.1"} <= names
    assert {name.split(".")[0] for name in names} == {
        "spatial_gate",
        "spatial_ffn",
        "channel_gates",
        "channel_ffns",
    }


def test_starts_as_the_identity() -> None:
    tokens = torch.randn(4, 3, 3, 8)
    assert torch.equal(BCSF(8, grid=3)(tokens), tokens)


def test_channel_gate_at_another_size_is_resampled_and_rescaled() -> None:
    gate = ChannelGate(4)
    x, other = torch.randn(2, 1, 6, 8, 5)
    weight = F.interpolate(gate.weight[None], (6, 8), mode="bilinear", align_corners=False)[0] * (16 / 48)
    score = sum((tokens[0] * weight[date, :, :, None]).sum((0, 1)) for date, tokens in enumerate([x, other]))
    assert_close(gate(x, other)[0, 0, 0], torch.sigmoid(score + gate.bias))


def test_channel_gate_says_the_same_of_the_same_scene_at_another_size() -> None:
    gate = ChannelGate(4)
    nn.init.constant_(gate.weight, 0.1)  # a mean over positions: nothing lost by resampling
    x, other = torch.randn(2, 2, 4, 4, 5)
    larger = [tokens.repeat_interleave(3, 1).repeat_interleave(2, 2) for tokens in (x, other)]
    assert_close(gate(*larger), gate(x, other))

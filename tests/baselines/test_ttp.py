"""TTP as its paper describes it."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from semantic_cc.baselines.ttp import TimeTravellingGate, TTPDecoder


def test_the_gate(shake: Callable[[nn.Module], None]) -> None:
    gate = TimeTravellingGate(5)
    shake(gate)
    x1, x2 = torch.randn(2, 2, 3, 4, 5)
    opened = torch.sigmoid(torch.cat([x1, x2], -1) @ gate.gate.weight[0])[..., None]
    one, _, two = gate.ffn

    def ffn(x: Tensor) -> Tensor:
        return F.gelu(x @ one.weight.T + one.bias) @ two.weight.T + two.bias

    expected = torch.cat([x1 + ffn(x2 * opened), x2 + ffn(x1 * opened)])
    assert_close(gate(torch.cat([x1, x2])), expected)


def test_the_gate_starts_as_the_identity() -> None:
    tokens = torch.randn(4, 3, 3, 8)
    assert torch.equal(TimeTravellingGate(8)(tokens), tokens)


def test_the_papers_decoder(outputs: Callable[..., list]) -> None:
    with torch.device("meta"):
        decoder = TTPDecoder(token_width=256, width=256, classes=1, patch=16)
        given = torch.empty(2, 32, 32, 256), *torch.empty(2, 1, 3, 512, 512)
    sides = [128, 64, 32, 16, 8]  # strides 4 to 64 of 512 pixels
    assert outputs(decoder.levels, lambda: decoder(*given)) == [(256, side, side) for side in sides]
    assert decoder.classify[0].in_channels == 5 * 256
    assert decoder(*given).shape == (1, 1, 512, 512)


def test_gradients_reach_every_parameter(unreached: Callable) -> None:
    decoder = TTPDecoder(token_width=8, width=4, classes=3, patch=8)
    pictures = torch.rand(2, 2, 3, 64, 96)
    assert unreached(decoder, decoder(torch.randn(4, 8, 12, 8), *pictures)) == []

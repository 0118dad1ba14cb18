"""Equation 8 and every variant of Table III, written from the formula."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from semantic_cc.model.enhancer import Enhancer
from semantic_cc.model.semantic_cc import SemanticCCModel


def equation_8(layer: Enhancer, f1: Tensor, f2: Tensor, activation: bool, subtraction: bool) -> Tensor:
    if activation:
        gate1, gate2 = layer.gates
        score1 = torch.cat([f1, f2], -1) @ gate1.weight[0] + gate1.bias
        score2 = torch.cat([f2, f1], -1) @ gate2.weight[0] + gate2.bias
        f1, f2 = f1 * torch.sigmoid(score1)[..., None], f2 * torch.sigmoid(score2)[..., None]
    d = f1.shape[-1]
    weight = layer.project.weight
    result = f1 @ weight[:, :d].T + f2 @ weight[:, d : 2 * d].T + layer.project.bias
    return result + (f1 - f2) @ weight[:, 2 * d :].T if subtraction else result


@pytest.mark.parametrize("activation", [True, False])
@pytest.mark.parametrize("subtraction", [True, False])
def test_equation_8(activation: bool, subtraction: bool, shake: Callable[[nn.Module], None]) -> None:
    layer = Enhancer(6, 10, activation=activation, subtraction=subtraction)
    shake(layer)
    assert layer.project.in_features == (18 if subtraction else 12)
    assert (layer.gates is not None) == activation
    f1, f2 = torch.randn(2, 3, 4, 6)
    assert_close(layer(f1, f2), equation_8(layer, f1, f2, activation, subtraction))


VARIANTS = {
    f"{position} {activation=} {subtraction=}": {
        "position": position,
        "activation": activation,
        "subtraction": subtraction,
    }
    for position in ("after", "before")
    for activation, subtraction in [(True, True), (True, False), (False, True)]
} | {"off": {"position": "off"}}


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_each_row_of_table_3_in_its_place(
    options: dict[str, Any], build: Callable[..., SemanticCCModel]
) -> None:
    decoder = build({"enhancer": options}).caption_decoder
    active = options["position"] != "off"
    flags = active and options["activation"], active and options["subtraction"]
    tokens = torch.randn(4, 2, 3, 32)
    f1, f2 = tokens.flatten(1, 2).chunk(2)
    if options["position"] == "before":
        seen = decoder.ln_vision(equation_8(decoder.enhancer, f1, f2, *flags))
        expected = decoder.to_llm(decoder.qformer(decoder.queries, seen))
    else:
        dates = [decoder.qformer(decoder.queries, decoder.ln_vision(decoder.project(f))) for f in (f1, f2)]
        expected = equation_8(decoder.enhancer, *dates, *flags)
    assert expected.shape == (2, 4, 32)
    assert_close(decoder.visual_tokens(tokens), expected)


def test_it_starts_as_the_difference_of_the_dates() -> None:
    layer = Enhancer(6, 10, activation=False)
    first, second = torch.randn(2, 3, 4, 6)
    assert_close(layer(first, first), torch.zeros(3, 4, 10))
    assert_close(layer(first, second).norm(dim=-1), (first - second).norm(dim=-1))
    assert_close(layer(first, second), -layer(second, first))

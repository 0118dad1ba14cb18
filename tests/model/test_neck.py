"""Equations 4 and 5 written from the formula, and which neck weights each task's loss reaches."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from semantic_cc.checkpoint.build import build_neck
from semantic_cc.config import EncoderConfig, NeckConfig
from semantic_cc.model.neck import AggregationNeck, BilinearAttention, CrossAttention, intra_task_attention

ENCODER = EncoderConfig(width=8, heads=2, change_width=6)
VARIANTS: dict[str, dict[str, Any]] = {
    "paper": {},
    "one unit": {"units": 1},
    "Neck_cs": {"attention": "cross"},
    "one way": {"directions": "cd_to_cc"},
    "one way, Neck_cs": {"directions": "cd_to_cc", "attention": "cross"},
    "tensor": {"directions": "cd_to_cc", "similarity": "tensor"},
}


def neck_of(**options: Any) -> AggregationNeck:
    return build_neck(NeckConfig(**{"units": 2, "caption_heads": 2, "change_heads": 2, **options}), ENCODER)


def attend(layer: nn.MultiheadAttention, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Multi-head attention from already projected (B, n, c) queries, keys and values."""
    heads = [t.unflatten(-1, (layer.num_heads, -1)).transpose(1, 2) for t in (q, k, v)]
    score = heads[0] @ heads[1].transpose(2, 3) / heads[0].shape[-1] ** 0.5
    return layer.out_proj((score.softmax(-1) @ heads[2]).transpose(1, 2).flatten(2))


def intra(layer: nn.TransformerEncoderLayer, x: Tensor) -> Tensor:
    """A pre-norm Transformer encoder layer."""
    q, k, v = layer.self_attn.in_proj_weight.chunk(3)
    bq, bk, bv = layer.self_attn.in_proj_bias.chunk(3)
    y = layer.norm1(x)
    x = x + attend(layer.self_attn, y @ q.T + bq, y @ k.T + bk, y @ v.T + bv)
    return x + layer.linear2(F.gelu(layer.linear1(layer.norm2(x))))


def inter(layer: BilinearAttention, x1: Tensor, x2: Tensor) -> Tensor:
    """Equation 5 with the matrix W."""
    score = torch.stack([(row1 @ layer.weight[0] * row2).sum(-1) for row1, row2 in zip(x1, x2, strict=True)])
    difference = x2 * torch.sigmoid(score)[..., None]
    return torch.sigmoid(torch.cat([x1, difference], -1) @ layer.project.weight.T + layer.project.bias)


def test_equation_4_unit_by_unit(shake: Callable[[nn.Module], None]) -> None:
    neck = neck_of()
    shake(neck)
    change, caption = torch.randn(4, 3, 2, 6), torch.randn(4, 3, 2, 8)
    f1, f2 = change.reshape(4, 6, 6), caption.reshape(4, 6, 8)
    for unit in neck.units:
        intra1, intra2 = intra(unit.intra_change, f1), intra(unit.intra_caption, f2)
        f1, f2 = f1 + inter(unit.into_change, intra1, intra2), f2 + inter(unit.into_caption, intra2, intra1)
    got_change, got_caption = neck(change, caption)
    assert_close(got_change, f1.reshape(4, 3, 2, 6))
    assert_close(got_caption, f2.reshape(4, 3, 2, 8))


def test_one_way_change_detection_keeps_to_itself(shake: Callable[[nn.Module], None]) -> None:
    neck = neck_of(directions="cd_to_cc")
    shake(neck)
    change, caption = torch.randn(2, 2, 2, 6), torch.randn(2, 2, 2, 8)
    expected = change.reshape(2, 4, 6)
    for unit in neck.units:
        expected = intra(unit.intra_change, expected)
    got, with_caption = neck(change, caption)
    assert_close(got.reshape(2, 4, 6), expected)
    assert torch.equal(neck(change, caption + 1)[0], got)
    assert not torch.allclose(neck(change + torch.randn_like(change), caption)[1], with_caption)


def test_intra_attention_keeps_dates_apart() -> None:
    layer = intra_task_attention(8, 2)
    tokens = torch.randn(2, 4, 8)
    alone = layer(tokens[:1])
    assert_close(layer(tokens)[:1], alone)


def test_equation_5_as_a_tensor() -> None:
    layer = BilinearAttention(8, 6, tensor=True)
    x1, x2 = torch.randn(2, 4, 8), torch.randn(2, 4, 6)
    bilinear = nn.Bilinear(8, 6, 6, bias=False)
    bilinear.weight.data = layer.weight.data
    difference = x2 * torch.sigmoid(bilinear(x1, x2))
    assert_close(layer(x1, x2), torch.sigmoid(layer.project(torch.cat([x1, difference], -1))))


@pytest.mark.parametrize("tensor", [False, True])
def test_the_traced_form_of_equation_5_is_equal_and_has_no_einsum(tensor: bool) -> None:
    layer = BilinearAttention(8, 6, tensor=tensor)
    nn.init.normal_(layer.weight)
    x, other = torch.randn(2, 5, 8), torch.randn(2, 5, 6)
    traced = torch.jit.trace(layer, (x, other), check_trace=False)
    assert "einsum" not in str(traced.graph)
    with torch.no_grad():
        assert_close(traced(x, other), layer(x, other))


def test_similarity_starts_unsaturated() -> None:
    torch.manual_seed(0)
    layer = BilinearAttention(256, 64)
    assert layer.weight.std().item() == pytest.approx((256 * 64) ** -0.5, rel=0.05)


def test_cross_attention_variant(shake: Callable[[nn.Module], None]) -> None:
    layer = CrossAttention(8, 6, heads=2)
    shake(layer)
    x1, x2 = torch.randn(2, 3, 8), torch.randn(2, 3, 6)
    mha = layer.attention
    bq, bk, bv = mha.in_proj_bias.chunk(3)
    query, context = layer.norm(x1), layer.other_norm(x2)
    q, k, v = query @ mha.q_proj_weight.T, context @ mha.k_proj_weight.T, context @ mha.v_proj_weight.T
    assert_close(layer(x1, x2), attend(mha, q + bq, k + bk, v + bv))


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("task", ["change", "caption"])
def test_a_loss_reaches_what_the_neck_says(options: dict[str, Any], task: str) -> None:
    neck = neck_of(**options)
    change, caption = neck(torch.randn(2, 2, 2, 6), torch.randn(2, 2, 2, 8))
    (change if task == "change" else caption).square().sum().backward()
    reached = {name for name, parameter in neck.named_parameters() if parameter.grad is not None}
    assert neck.reached_by(task) == reached

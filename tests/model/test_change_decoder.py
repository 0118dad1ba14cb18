"""Equation 6 written out with functional calls: four levels, their shapes, and the fusion."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from semantic_cc.checkpoint.build import build_change_decoder
from semantic_cc.config import load_config
from semantic_cc.model.change_decoder import ChangeDecoder, ChannelNorm, GroupNorm, Lateral, norm_layer


def norm(x: Tensor, layer: nn.LayerNorm) -> Tensor:
    """LayerNorm over the channels of each pixel."""
    mean, spread = x.mean(1, keepdim=True), x.var(1, keepdim=True, unbiased=False)
    scaled = (x - mean) / (spread + layer.eps).sqrt()
    return scaled * layer.weight[:, None, None] + layer.bias[:, None, None]


def deconv(x: Tensor, layer: nn.ConvTranspose2d) -> Tensor:
    return F.conv_transpose2d(x, layer.weight, layer.bias, stride=2)


def test_the_traced_channel_norm_is_equal_and_permutes_nothing(shake: Callable[[nn.Module], None]) -> None:
    layer = ChannelNorm(6)
    shake(layer)
    x = 3 * torch.randn(2, 6, 4, 5) + 1
    traced = torch.jit.trace(layer, x, check_trace=False)
    assert "permute" not in str(traced.graph)
    with torch.no_grad():
        assert_close(traced(x), layer(x))


@pytest.mark.parametrize("channels", [6, 48])
def test_the_traced_group_norm_is_equal(channels: int, shake: Callable[[nn.Module], None]) -> None:
    layer = GroupNorm(channels)
    shake(layer)
    x = 3 * torch.randn(2, channels, 4, 5) + 1
    traced = torch.jit.trace(layer, x, check_trace=False)
    assert "group_norm" not in str(traced.graph)
    with torch.no_grad():
        assert_close(traced(x[:1]), layer(x[:1]))


@pytest.mark.parametrize("classes", [1, 3])
def test_equation_6(classes: int, shake: Callable[[nn.Module], None]) -> None:
    decoder = ChangeDecoder(token_width=8, width=6, classes=classes)
    shake(decoder)
    h, w = 4, 6
    before, after = torch.randn(2, 2, h, w, 8)
    x = torch.cat([before, after], dim=-1).permute(0, 3, 1, 2)  # (b, 16, h, w)
    up = decoder.levels[0].resample
    levels = [
        deconv(F.gelu(norm(deconv(x, up[0]), up[1])), up[3]),
        deconv(x, decoder.levels[1].resample),
        x,
        F.max_pool2d(x, 2),
    ]
    assert [tuple(level.shape[1:]) for level in levels] == [(4, 16, 24), (8, 8, 12), (16, 4, 6), (16, 2, 3)]
    fused = []
    for level, part in zip(levels, decoder.levels, strict=True):
        conv1, norm1, conv3, norm3, last, norm_last, _ = part.convs
        y = norm(F.conv2d(level, conv1.weight), norm1)
        y = norm(F.conv2d(y, conv3.weight, padding=1), norm3)
        y = F.gelu(norm(F.conv2d(y, last.weight), norm_last))
        fused.append(F.interpolate(y, (4 * h, 4 * w), mode="bilinear", align_corners=False))
    logits = F.conv2d(torch.cat(fused, 1), decoder.classify.weight, decoder.classify.bias)
    expected = F.interpolate(logits, (16 * h, 16 * w), mode="bilinear", align_corners=False)
    pictures = torch.rand(2, 2, 3, 16 * h, 16 * w)
    assert_close(decoder(torch.cat([before, after]), *pictures), expected)


def test_the_papers_channels() -> None:
    with torch.device("meta"):
        decoder = ChangeDecoder(token_width=256, width=512, classes=1)
    widths = [level.convs[0].in_channels for level in decoder.levels]
    assert widths == [128, 256, 512, 512]
    assert decoder.levels[0].resample[0].out_channels == 256
    assert decoder.classify.in_channels == 4 * 512
    assert not [m for m in decoder.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


def test_tokens_of_8_pixels_have_levels_of_the_same_strides() -> None:
    decoder = ChangeDecoder(token_width=8, width=6, classes=3, patch=8)
    tokens = torch.randn(2, 5, 4, 8)
    x = torch.cat(list(tokens.chunk(2)), dim=-1).permute(0, 3, 1, 2)
    levels = [deconv(x, decoder.levels[0].resample), x, F.max_pool2d(x, 2, ceil_mode=True)]
    for level, part in zip(levels, decoder.levels[:3], strict=True):
        assert_close(part.resample(x), level)
    shapes = [tuple(part.resample(x).shape[2:]) for part in decoder.levels]
    assert shapes == [(10, 8), (5, 4), (3, 2), (2, 1)]
    assert decoder(tokens, *torch.rand(2, 1, 3, 40, 32)).shape == (1, 3, 40, 32)


def test_details_start_as_no_correction_and_padded_pictures_are_cut() -> None:
    decoder = ChangeDecoder(token_width=8, width=6, classes=3, patch=8, detail=4)
    tokens, pictures = torch.randn(4, 5, 4, 8), torch.rand(2, 2, 3, 37, 30)
    found = decoder(tokens, *pictures)
    assert found.shape == (2, 3, 37, 30)
    detail, decoder.detail = decoder.detail, None
    assert detail is not None
    assert_close(found, decoder(tokens, *pictures), rtol=0, atol=0)
    nn.init.normal_(detail.correction.weight)
    decoder.detail = detail
    assert not torch.equal(found, decoder(tokens, *pictures))


def test_only_details_place_an_edge_to_the_pixel() -> None:
    """A roof whose edges lie on no cell of any level, under tokens that are the same everywhere."""
    roof = torch.zeros(1, 32, 32)
    roof[:, 7:21, 9:26] = 1
    before, after = torch.zeros(1, 3, 32, 32), roof.expand(1, 3, 32, 32)
    wrong = {}
    for width in (0, 8):
        torch.manual_seed(0)
        decoder = ChangeDecoder(token_width=8, width=8, classes=1, patch=8, detail=width)
        optimizer = torch.optim.AdamW(decoder.parameters(), lr=1e-2)
        for _ in range(100):
            loss = F.binary_cross_entropy_with_logits(
                decoder(torch.ones(2, 4, 4, 8), before, after)[:, 0], roof
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        found = decoder(torch.ones(2, 4, 4, 8), before, after)[:, 0] > 0
        wrong[width] = int((found != roof.bool()).sum())
    assert wrong[8] < wrong[0] / 3


TRUNK = {2: 3, 4: 5, 8: 4, 16: 6}
"""Stride -> channels of a small trunk."""


def trunk_features(pairs: int, height: int, width: int) -> list[Tensor]:
    return [torch.randn(2 * pairs, c, height // s, width // s) for s, c in TRUNK.items()]


@pytest.mark.parametrize("patch", [8, 16])
def test_every_trunk_feature_is_read(patch: int) -> None:
    decoder = ChangeDecoder(8, 6, 3, patch, laterals=True, trunk=TRUNK)
    assert sorted(decoder.laterals, key=int) == ["4", "8", "16"]
    features = [level.requires_grad_() for level in trunk_features(2, 64, 96)]
    tokens = torch.randn(4, 64 // patch, 96 // patch, 8)
    logits = decoder(tokens, *torch.rand(2, 2, 3, 64, 96), features)
    assert logits.shape == (2, 3, 64, 96)
    logits.square().sum().backward()
    assert all(level.grad is not None and level.grad.abs().sum() > 0 for level in features)


def test_a_lateral_reads_the_dates_and_their_absolute_difference() -> None:
    lateral = Lateral(5, 6)
    features = torch.randn(4, 5, 3, 3)
    first, second = features.chunk(2)
    norm_in, conv1, norm1, _, conv3, norm3, _ = lateral.convs
    joined = torch.cat([first, second, (first - second).abs()], dim=1)
    y = F.gelu(norm(F.conv2d(norm(joined, norm_in), conv1.weight, conv1.bias), norm1))
    expected = F.gelu(norm(F.conv2d(y, conv3.weight, conv3.bias, padding=1), norm3))
    assert_close(lateral(features), expected)


def test_the_fused_levels_hold_16_pixels_a_cell() -> None:
    decoder = ChangeDecoder(8, 6, 1, laterals=True, trunk=TRUNK)
    nn.init.zeros_(decoder.classify.weight)
    with torch.no_grad():
        decoder.classify.bias.copy_(torch.arange(16.0))
    logits = decoder(torch.randn(2, 2, 2, 8), *torch.rand(2, 1, 3, 32, 32), trunk_features(1, 32, 32))
    assert_close(logits[0, 0, :4, :4], torch.arange(16.0).view(4, 4))
    assert_close(logits[0, 0, 4:8, :4], torch.arange(16.0).view(4, 4))


def test_without_laterals_the_trunk_changes_nothing() -> None:
    decoder = ChangeDecoder(8, 6, 1, trunk=TRUNK)
    tokens, pictures = torch.randn(2, 2, 2, 8), torch.rand(2, 1, 3, 32, 32)
    first, second = (decoder(tokens, *pictures, trunk_features(1, 32, 32)) for _ in range(2))
    assert torch.equal(first, second)


def test_with_laterals_the_token_levels_start_silent_and_learn() -> None:
    decoder = ChangeDecoder(8, 6, 1, laterals=True, trunk=TRUNK)
    pictures, features = torch.rand(2, 1, 3, 32, 32), trunk_features(1, 32, 32)
    first, second = (decoder(torch.randn(2, 2, 2, 8), *pictures, features) for _ in range(2))
    assert torch.equal(first, second)
    first.square().sum().backward()
    assert decoder.level_scale.grad.abs().min() > 0


@given(st.integers(1, 512))
def test_groups_have_at_most_16_channels_a_group(channels: int) -> None:
    layer = GroupNorm(channels)
    assert 16 % (channels // layer.num_groups) == 0
    assert layer.num_groups == channels // 16 or channels % 16


def test_group_norm_replaces_every_layer_norm() -> None:
    decoder = ChangeDecoder(8, 32, 3, patch=8, detail=16, laterals=True, trunk=TRUNK, norm="group")
    assert not [layer for layer in decoder.modules() if isinstance(layer, nn.LayerNorm)]
    groups = {
        layer.num_channels: layer.num_groups for layer in decoder.modules() if isinstance(layer, nn.GroupNorm)
    }
    assert groups[32] == 2
    assert groups[16] == 1
    assert groups[3 * 4] == 3  # 16 channels a group do not divide 12: groups of 4
    logits = decoder(torch.randn(2, 4, 4, 8), *torch.rand(2, 1, 3, 32, 32), trunk_features(1, 32, 32))
    assert logits.shape == (1, 3, 32, 32)


def test_group_norm_keeps_where_features_are_strong() -> None:
    """LayerNorm scales every pixel by itself, so that it removes what GroupNorm keeps."""
    weak_left = torch.ones(1, 16, 4, 4) * torch.tensor([0.1, 0.1, 1.0, 1.0])
    features = weak_left * torch.randn(1, 16, 1, 1)
    by_layer, by_group = (norm_layer(norm, 16)(features) for norm in ("layer", "group"))
    assert_close(by_layer[..., 0].norm(), by_layer[..., 3].norm(), rtol=0.05, atol=0)
    assert by_group[..., 3].var() > 10 * by_group[..., 0].var()


def test_the_configuration_chooses_the_norm() -> None:
    config = load_config(
        {"preset": "small", "data": "unused", "model": {"change_decoder": {"norm": "group"}}}
    )
    with torch.device("meta"):
        decoder = build_change_decoder(config.model)
    assert isinstance(decoder.laterals["4"].convs[0], nn.GroupNorm)

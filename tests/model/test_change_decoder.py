"""Equation 6 written out with functional calls: four levels, their shapes, and the fusion."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from semantic_cc.model.change_decoder import ChangeDecoder


def norm(x: Tensor, layer: nn.LayerNorm) -> Tensor:
    """LayerNorm over the channels of each pixel."""
    mean, spread = x.mean(1, keepdim=True), x.var(1, keepdim=True, unbiased=False)
    scaled = (x - mean) / (spread + layer.eps).sqrt()
    return scaled * layer.weight[:, None, None] + layer.bias[:, None, None]


def deconv(x: Tensor, layer: nn.ConvTranspose2d) -> Tensor:
    return F.conv_transpose2d(x, layer.weight, layer.bias, stride=2)


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

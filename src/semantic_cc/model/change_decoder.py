"""Change detection decoder (paper III-D, eq. 6): SimpleFPN over the concatenated dates, fused at stride 4.

Legend: b pairs, p patch size in pixels, h = H/p, w = W/p, e channels of one date's tokens, K classes, f total channels
of the four levels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from semantic_cc.model.encoder import pad_to_patches


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of (b, c, h, w). It replaces BatchNorm because the paper's batch size is 1."""

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        # for OpenVINO, which changes the memory layout for each permutation
        if torch.jit.is_tracing():  # type: ignore[attr-defined]
            centred = x - x.mean(1, keepdim=True)
            scale = torch.rsqrt(centred.square().mean(1, keepdim=True) + self.eps)
            return centred * scale * self.weight[:, None, None] + self.bias[:, None, None]
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class GroupNorm(nn.GroupNorm):
    """GroupNorm with 16 channels a group, or fewer if 16 does not divide `channels`."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels // math.gcd(channels, 16), channels)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> the same shape."""
        if torch.jit.is_tracing():  # type: ignore[attr-defined]
            # for OpenVINO, whose own operation changes the memory layout
            centred = x - self._group_means(x)
            scale = torch.rsqrt(self._group_means(centred.square()) + self.eps)
            return centred * (scale * self.weight[:, None, None]) + self.bias[:, None, None]
        return super().forward(x)

    def _group_means(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, 1, 1): for each channel, the mean of its group."""
        groups = x.mean((2, 3)).reshape(-1, self.num_groups, self.num_channels // self.num_groups)
        means = groups.mean(2, keepdim=True).expand_as(groups)
        return means.reshape(-1, self.num_channels, 1, 1)


Norm = Literal["layer", "group"]
"""Norm of the convolutions: `ChannelNorm` or `GroupNorm`."""


def norm_layer(norm: Norm, channels: int) -> nn.Module:
    """`ChannelNorm` or `GroupNorm`."""
    return ChannelNorm(channels) if norm == "layer" else GroupNorm(channels)


STRIDES = (4, 8, 16, 32)
"""Stride of each level, in pixels."""


def _resample(width: int, stride: int, patch: int, norm: Norm) -> nn.Module:
    """Resampling from the tokens' stride to a level's stride."""
    if 4 * stride == patch:
        return nn.Sequential(
            nn.ConvTranspose2d(width, width // 2, 2, 2),
            norm_layer(norm, width // 2),
            nn.GELU(),
            nn.ConvTranspose2d(width // 2, width // 4, 2, 2),
        )
    if 2 * stride == patch:
        return nn.ConvTranspose2d(width, width // 2, 2, 2)
    # ceil_mode keeps coarser levels non-empty for a 1x1 grid
    return nn.Identity() if stride == patch else nn.MaxPool2d(stride // patch, ceil_mode=True)


class Lateral(nn.Module):
    """Lateral connection: convolutional features of the two dates at one stride -> input to the fusion.

    Args:
        channels: channels of one date.
        width: output channels.
        norm: norm of input and convolutions.
    """

    def __init__(self, channels: int, width: int, norm: Norm = "layer") -> None:
        super().__init__()
        self.convs = nn.Sequential(
            norm_layer(norm, 3 * channels),
            *_conv(3 * channels, width, norm, kernel=1),
            *_conv(width, width, norm),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(2b, channels, h, w), before first -> (b, width, h, w), from both dates and their absolute difference."""
        first, second = features.chunk(2)
        return self.convs(torch.cat([first, second, (first - second).abs()], dim=1))


class PyramidLevel(nn.Module):
    """One level: resampling, SimpleFPN's 1x1 and 3x3 convolutions, then a 1x1 convolution, LN and GELU."""

    def __init__(self, width_in: int, stride: int, width: int, patch: int, norm: Norm = "layer") -> None:
        super().__init__()
        channels = width_in // max(1, patch // stride)
        self.resample = _resample(width_in, stride, patch, norm)
        self.convs = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=False),
            norm_layer(norm, width),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            norm_layer(norm, width),
            nn.Conv2d(width, width, 1, bias=False),
            norm_layer(norm, width),
            nn.GELU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, 2e, h, w) -> (b, width, h', w') at the level's stride."""
        return self.convs(self.resample(x))


class Detail(nn.Module):
    """Refines the logits along edges, which a stride of 4 px cannot resolve. Not in the paper.

    Three convolutions at stride 4 read the levels and a hybrid encoder's features at stride 4. Three more at stride 2
    add the images. The correction starts at zero.

    Args:
        fused: channels f of the levels.
        fine: channels of a hybrid encoder's stride 4 features of one date; 0 = none.
        width: hidden channels.
        classes: K.
        norm: norm of input and convolutions.
    """

    def __init__(self, fused: int, fine: int, width: int, classes: int, norm: Norm) -> None:
        super().__init__()
        self.norm = norm_layer(norm, 2 * fine) if fine else None
        self.coarse = nn.Sequential(
            *_conv(fused + 2 * fine, width, norm, kernel=1),
            *_conv(width, width, norm),
            *_conv(width, width, norm),
        )
        self.pictures = nn.Conv2d(2 * 3 * 4, width, 3, padding=1)
        self.convs = nn.Sequential(
            norm_layer(norm, width), nn.GELU(), *_conv(width, width, norm), *_conv(width, width, norm)
        )
        self.correction = nn.Conv2d(width, 4 * classes, 1)
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)  # type: ignore[arg-type]

    def forward(self, fused: Tensor, fine: Tensor | None, before: Tensor, after: Tensor) -> Tensor:
        """Correction to add to the logits.

        Args:
            fused: the levels, (b, f, H/4, W/4).
            fine: (2b, c, H/4, W/4), before first.
            before, after: (b, 3, H, W) in [0, 1].

        Returns:
            (b, K, H, W).
        """
        if self.norm is not None and fine is not None:
            fused = torch.cat([fused, self.norm(torch.cat(fine.chunk(2), dim=1))], dim=1)
        seen = self.pictures(F.pixel_unshuffle(2 * torch.cat([before, after], dim=1) - 1, 2))
        coarse = _resize(self.coarse(fused), (seen.shape[2], seen.shape[3]))
        return F.pixel_shuffle(self.correction(self.convs(seen + coarse)), 2)


def _conv(inputs: int, width: int, norm: Norm, *, kernel: int = 3) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, width, kernel, padding=kernel // 2), norm_layer(norm, width), nn.GELU()


class ChangeDecoder(nn.Module):
    """Tokens of two dates -> change logits.

    Args:
        token_width: channels e of one date.
        width: channels of each level.
        classes: K; 1 = binary change, one logit.
        patch: p, 8 or 16. The strides of the levels do not depend on it.
        detail: channels of `Detail`; 0 = no `Detail`, as in the paper.
        laterals: whether the levels are fused with a hybrid encoder's features. 3x3 convolutions then decode
            4x4 pixels per cell, instead of bilinear resizing.
        trunk: stride -> channels of a hybrid encoder's features of one date; empty = none.
        norm: norm of all convolutions.
    """

    def __init__(
        self,
        token_width: int,
        width: int,
        classes: int,
        patch: int = 16,
        *,
        detail: int = 0,
        laterals: bool = False,
        trunk: Mapping[int, int] | None = None,
        norm: Norm = "layer",
    ) -> None:
        super().__init__()
        trunk = trunk or {}
        self.patch = patch
        self.strides = tuple(trunk)
        self.levels = nn.ModuleList(PyramidLevel(2 * token_width, s, width, patch, norm) for s in STRIDES)
        self.laterals = nn.ModuleDict()
        self.fuse: nn.Module | None = None
        if laterals:
            # stride 2 is unshuffled to stride 4, with 4 times the channels
            read = {4: 4 * trunk[2] + trunk[4], 8: trunk[8], 16: trunk[16]}
            self.laterals.update({str(s): Lateral(channels, width, norm) for s, channels in read.items()})
            # tokens of an encoder without SAM's weights start as noise: the levels start at scale 0
            self.level_scale = nn.Parameter(torch.zeros(4 * width, 1, 1))
            self.fuse = nn.Sequential(
                *_conv(7 * width, width, norm, kernel=1),
                *_conv(width, width, norm),
                *_conv(width, width, norm),
            )
        self.classify: nn.Module = nn.Conv2d(
            width if laterals else 4 * width, 16 * classes if laterals else classes, 1
        )
        self.detail = Detail(4 * width, trunk.get(4, 0), detail, classes, norm) if detail else None

    def forward(self, tokens: Tensor, before: Tensor, after: Tensor, trunk: Sequence[Tensor] = ()) -> Tensor:
        """Change logits (b, K, H, W); arguments as in `decode`."""
        return self.decode(tokens, before, after, trunk)[0][..., : before.shape[-2], : before.shape[-1]]

    def decode(
        self, tokens: Tensor, before: Tensor, after: Tensor, trunk: Sequence[Tensor] = ()
    ) -> tuple[Tensor, Tensor]:
        """Change logits with the features that they are computed from.

        Args:
            tokens: (2b, h, w, e), before first.
            before, after: images (b, 3, H, W) in [0, 1].
            trunk: a hybrid encoder's features, (2b, c, H/s, W/s) for each stride s, before first.

        Returns:
            Logits (b, K, h p, w p), which cover the padding of the images, and features (b, f', h p / 4, w p / 4).
        """
        first, second = tokens.permute(0, 3, 1, 2).chunk(2)
        x = torch.cat([first, second], dim=1)  # (b, 2e, h, w)
        h, w = self.patch * x.shape[2], self.patch * x.shape[3]
        by_stride = dict(zip(self.strides, trunk, strict=True))
        size = h // STRIDES[0], w // STRIDES[0]
        pyramid = torch.cat(
            [_resize(level(x), size) for level in self.levels], dim=1
        )  # (b, f, h p / 4, w p / 4)
        if self.fuse is None:
            fused = pyramid
            logits = _resize(self.classify(fused), (h, w))
        else:
            parts = [_resize(lateral, size) for lateral in self._laterals(by_stride)]
            fused = self.fuse(torch.cat([*parts, pyramid * self.level_scale], dim=1))
            logits = F.pixel_shuffle(self.classify(fused), STRIDES[0])
        if self.detail is not None:
            pictures = pad_to_patches(before, self.patch), pad_to_patches(after, self.patch)
            logits = logits + self.detail(pyramid, by_stride.get(4), *pictures)
        return logits, fused

    def layers(self) -> list[nn.Module]:
        """The modules that `decode` calls, in order."""
        found = [*self.levels, *self.laterals.values(), self.fuse, self.classify, self.detail]
        return [layer for layer in found if layer is not None]

    def _laterals(self, trunk: Mapping[int, Tensor]) -> list[Tensor]:
        """Lateral features at strides 4, 8 and 16; stride 2 is unshuffled to stride 4."""
        read = {**trunk, 4: torch.cat([F.pixel_unshuffle(trunk[2], 2), trunk[4]], dim=1)}
        return [lateral(read[int(stride)]) for stride, lateral in self.laterals.items()]


def _resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    return x if x.shape[-2:] == size else F.interpolate(x, size, mode="bilinear", align_corners=False)

"""Sizes and shapes of a foundation part, derived from its tensors, and resampling of position embeddings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from transformers import SamVisionConfig
from transformers.models.sam.modeling_sam import SamVisionEncoder

from semantic_cc.config import EncoderConfig, QFormerConfig
from semantic_cc.model.encoder import PIXEL_MEAN, PIXEL_STD, resample_positions
from semantic_cc.model.hybrid import HybridEmbedding
from semantic_cc.model.qformer import QFormer
from semantic_cc.model.sam_attention import fold_positions


def sam_vision(config: EncoderConfig) -> SamVisionEncoder:
    """Transformers' SAM vision encoder at the configured sizes, with random weights."""
    vision = SamVisionEncoder(
        SamVisionConfig(
            hidden_size=config.width,
            num_hidden_layers=config.depth,
            num_attention_heads=config.heads,
            mlp_dim=4 * config.width,
            window_size=config.window,
            global_attn_indexes=list(config.global_layers),
            image_size=config.image_size,
            patch_size=config.patch,
            output_channels=config.change_width,
            initializer_range=0.02,  # transformers' default 1e-10 is too small to train from scratch
        )
    )
    fold_positions(vision)
    if config.hybrid:
        vision.patch_embed.projection = HybridEmbedding(config.width, config.patch, PIXEL_MEAN, PIXEL_STD)
    return vision


@dataclass(frozen=True)
class EncoderSizes:
    """Sizes of SAM's encoder; the fields are those of `EncoderConfig`."""

    width: int
    depth: int
    heads: int
    window: int
    global_layers: tuple[int, ...]
    patch: int
    hybrid: bool
    image_size: int
    change_width: int


@dataclass(frozen=True)
class QFormerSizes:
    """Sizes of a Q-Former; the fields are those of `QFormerConfig`."""

    queries: int
    width: int
    layers: int
    encoder_width: int


@dataclass(frozen=True)
class ProjectionSizes:
    """Sizes of MiniGPT-4's projection, `Linear width -> llm_width`."""

    width: int
    llm_width: int


PartSizes = EncoderSizes | QFormerSizes | ProjectionSizes


class MissingSizeError(Exception):
    """A tensor that determines a size is missing or has the wrong number of dimensions.

    Args:
        key: our name of the tensor.
        why: what is wrong with it.
    """

    def __init__(self, key: str, why: str) -> None:
        super().__init__(key, why)
        self.key, self.why = key, why


def sizes_of(part: str, tensors: Mapping[str, Tensor]) -> PartSizes:
    """Sizes of a part.

    Raises:
        MissingSizeError: a tensor that determines a size is missing or has the wrong number of dimensions.
    """
    if part == "encoder":
        return _sam_sizes(tensors)
    if part == "qformer":
        _, queries, width = _dims(tensors, "queries", 3)
        return QFormerSizes(
            queries=queries,
            width=width,
            layers=_layers(tensors, r"qformer\.body\.encoder\.layer\.(\d+)\."),
            encoder_width=_dims(tensors, "ln_vision.weight", 1)[0],
        )
    return _projection_sizes(tensors)


def _projection_sizes(tensors: Mapping[str, Tensor]) -> ProjectionSizes:
    llm_width, width = _dims(tensors, "llama_proj.weight", 2)
    return ProjectionSizes(width, llm_width)


def _sam_sizes(tensors: Mapping[str, Tensor]) -> EncoderSizes:
    """Layers whose position tables cover the whole image have global attention."""
    _, side, _, width = _dims(tensors, "pos_embed", 4)
    depth = _layers(tensors, r"layers\.(\d+)\.")
    patch = _dims(tensors, "patch_embed.projection.weight", 4)[-1]
    tables = [_dims(tensors, f"layers.{i}.attn.rel_pos_h", 2) for i in range(depth)]
    head = _usual([columns for _, columns in tables], width)
    rows = [count for count, _ in tables]
    return EncoderSizes(
        width=width,
        depth=depth,
        heads=max(1, width // head),
        window=(_usual([count for count in rows if count != 2 * side - 1], 2 * side - 1) + 1) // 2,
        global_layers=tuple(i for i, count in enumerate(rows) if count == 2 * side - 1),
        patch=patch,
        hybrid=any(key.startswith("patch_embed.projection.trunk.") for key in tensors),
        image_size=side * patch,
        change_width=_dims(tensors, "neck.conv1.weight", 4)[0],
    )


def shapes_of(part: str, tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    """The keys and shapes of a part with the sizes of `tensors`, as in the reference implementation.

    Raises:
        MissingSizeError: see `sizes_of`.
    """
    sizes = sizes_of(part, tensors)
    if isinstance(sizes, ProjectionSizes):
        weight = (sizes.llm_width, sizes.width)
        return {"llama_proj.weight": torch.Size(weight), "llama_proj.bias": torch.Size(weight[:1])}
    with torch.device("meta"):
        if isinstance(sizes, EncoderSizes):
            module: nn.Module = sam_vision(EncoderConfig(**asdict(sizes)))
        else:  # no tensor shape depends on the number of heads
            module = qformer_part(
                nn.Parameter(torch.empty(1, sizes.queries, sizes.width)),
                nn.LayerNorm(sizes.encoder_width),
                QFormer(QFormerConfig(heads=1, **asdict(sizes))),
            )
    return {key: value.shape for key, value in module.state_dict().items()}


def qformer_part(queries: nn.Parameter, ln_vision: nn.Module, qformer: QFormer) -> nn.Module:
    """The modules that BLIP-2 initialises, under the names they have in our caption decoder."""
    part = nn.Module()
    part.queries, part.ln_vision, part.qformer = queries, ln_vision, qformer
    return part


def resampled(key: str, value: Tensor, ours: Tensor) -> Tensor:
    """Resamples SAM's position embeddings: `pos_embed` bicubic, `rel_pos` linear; returns other tensors unchanged.

    Args:
        key: its name in SAM's vision encoder.
        value: (1, h, w, c), or (positions, head width).
        ours: the tensor to initialise.
    """
    if key == "pos_embed" and value.ndim == ours.ndim == 4:
        return resample_positions(value, *ours.shape[1:3])
    if key.endswith(("rel_pos_h", "rel_pos_w")) and value.ndim == 2 and len(value) != len(ours):
        rows = value.T[None].float()  # (1, head width, positions)
        return nn.functional.interpolate(rows, len(ours), mode="linear")[0].T.to(value.dtype)
    return value


def _dims(tensors: Mapping[str, Tensor], key: str, count: int) -> tuple[int, ...]:
    if key not in tensors:
        raise MissingSizeError(key, "is missing")
    shape = tuple(tensors[key].shape)
    if len(shape) != count or 0 in shape:
        raise MissingSizeError(key, f"has the shape {shape}, but needs {count} dimensions")
    return shape


def _layers(tensors: Mapping[str, Tensor], pattern: str) -> int:
    found = (re.match(pattern, key) for key in tensors)
    return 1 + max((int(match[1]) for match in found if match), default=-1)


def _usual(values: list[int], otherwise: int) -> int:
    """The most frequent value, so that one misshaped tensor does not decide."""
    return Counter(values).most_common(1)[0][0] if values else otherwise

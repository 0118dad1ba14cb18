"""The one AdamW and the one schedule of a run (paper IV-C)."""

from __future__ import annotations

import math

import torch
from torch import nn

from semantic_cc.config import OptimConfig

_TABLES = ("pos_embed", "rel_pos_h", "rel_pos_w", "queries", "position_embeddings.weight")
"""Learned positions and queries: at zero they mean nothing special, so decay would only erase them."""


def decays(name: str, parameter: nn.Parameter) -> bool:
    """Whether weight decay applies: to matrices and kernels; not to biases, norms, positions, queries."""
    return parameter.ndim >= 2 and not name.endswith(_TABLES)


def optimizer_of(parameters: dict[str, nn.Parameter], config: OptimConfig) -> torch.optim.AdamW:
    """AdamW over every parameter that trains in some stage, in the order given.

    A parameter whose gradient is None is not stepped: neither moments nor decay touch it.
    """
    decayed = [p for name, p in parameters.items() if decays(name, p)]
    plain = [p for name, p in parameters.items() if not decays(name, p)]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=config.lr, fused=True)


def learning_rate(step: int, total: int, config: OptimConfig) -> float:
    """The rate of step `step` of `total`, counted from 0 over all stages and epochs.

    Linear warm-up over the first w = round(warmup * total) steps, lr (step + 1) / w; then
    lr (1 + cos(pi (step - w) / (total - w))) / 2, which reaches zero where step `total` would be.
    """
    warm = round(config.warmup * total)
    if step < warm:
        return config.lr * (step + 1) / warm
    return config.lr * (1 + math.cos(math.pi * (step - warm) / (total - warm))) / 2

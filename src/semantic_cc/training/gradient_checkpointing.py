"""Gradient checkpointing: layers keep their inputs alone and run again in the backward pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from semantic_cc.model.base import ChangeModel


def recompute_layers(model: ChangeModel) -> None:
    """Makes the model's `layers` forget what is between input and output.

    The libraries' own switches do so in training mode alone; here gradients pass through frozen layers in eval
    mode too (the joint stage's LLM).
    """
    for layer in model.layers():
        _recompute(layer)


def _recompute(layer: nn.Module) -> None:
    forward = layer.forward

    def recomputed(*given: Any, **named: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*given, **named)
        return checkpoint(forward, *given, use_reentrant=False, **named)

    layer.forward = recomputed

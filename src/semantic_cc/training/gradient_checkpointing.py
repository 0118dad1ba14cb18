"""Gradient checkpointing: layers store only their inputs and are recomputed in the backward pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from semantic_cc.model.base import ChangeModel


def recompute_layers(model: ChangeModel) -> None:
    """Enables gradient checkpointing for the model's `layers`.

    The libraries' own switches work only in training mode. Here gradients also pass through frozen layers in eval
    mode (the LLM in the joint stage).
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

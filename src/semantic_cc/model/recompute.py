"""Gradient checkpointing: layers keep their inputs alone and run again in the backward pass."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from semantic_cc.model.semantic_cc import SemanticCCModel


def recompute_layers(model: SemanticCCModel) -> None:
    """Makes the layers of encoder, neck, Q-Former and LLM forget what is between input and output.

    The libraries' own switches do so in training mode alone; here gradients pass through frozen layers in eval
    mode too (the joint stage's LLM).
    """
    decoder = model.caption_decoder
    body: Any = decoder.qformer.body
    layers: tuple[Iterable[nn.Module], ...] = (
        model.encoder.vision.layers,
        [] if model.neck is None else model.neck.units,
        body.encoder.layer,
        decoder.llm.get_decoder().layers,
    )
    for layer in chain(*layers):
        _recompute(layer)


def _recompute(layer: nn.Module) -> None:
    forward = layer.forward

    def recomputed(*given: Any, **named: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*given, **named)
        return checkpoint(forward, *given, use_reentrant=False, **named)

    layer.forward = recomputed

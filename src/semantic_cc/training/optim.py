"""The one AdamW and the one schedule of a run (paper IV-C), with gradient scaler and moving average."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from semantic_cc.config import OptimConfig

_TABLES = (
    "pos_embed", "rel_pos_h", "rel_pos_w", "queries", "position_embeddings.weight",
    "neck.time", "neck.class_token", "decoder.unified", "decoder.of_change",
)  # fmt: skip
"""Learned positions, queries and prompts: at zero they mean nothing special, so decay would only erase them."""


def decays(name: str, parameter: nn.Parameter) -> bool:
    """Whether weight decay applies: to matrices and kernels; not to biases, norms, positions, queries."""
    return parameter.ndim >= 2 and not name.endswith(_TABLES)


def optimizer_of(parameters: dict[str, nn.Parameter], config: OptimConfig) -> torch.optim.AdamW:
    """AdamW over every parameter that trains in some stage, in the order given.

    A parameter whose gradient is None is not stepped: neither moments nor decay touch it.
    """
    groups = []
    for scale, trunk in ((1.0, False), (config.trunk_lr_scale, True)):
        own = {name: p for name, p in parameters.items() if (".trunk." in name) == trunk}
        for decay, decayed in ((config.weight_decay, True), (0.0, False)):
            of_group = [p for name, p in own.items() if decays(name, p) == decayed]
            groups.append({"params": of_group, "weight_decay": decay, "lr_scale": scale})
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


class Updater:
    """Turns gradients into steps: AdamW on its schedule, the scaler of float16, the moving average.

    Args:
        parameters: every parameter that trains in some stage, by name, float32.
        config: optimiser and schedule.
        total: steps of the run.
        scaled: whether gradients are scaled, as float16 needs it.
        decay: of the moving average; None = no average.
    """

    def __init__(
        self,
        parameters: dict[str, nn.Parameter],
        config: OptimConfig,
        total: int,
        scaled: bool = False,
        decay: float | None = None,
    ) -> None:
        self.parameters, self.config, self.total, self.decay = parameters, config, total, decay
        self.optimizer = optimizer_of(parameters, config)
        device = next(iter(parameters.values())).device
        self.scaler = torch.amp.GradScaler(device.type, enabled=scaled)
        self.average = None if decay is None else {n: p.detach().clone() for n, p in parameters.items()}

    def rate(self, step: int) -> float:
        """The learning rate of step `step`, from 0."""
        return learning_rate(step, self.total, self.config)

    def backward(self, loss: Tensor) -> None:
        """Adds the gradients of `loss` to those there are."""
        self.scaler.scale(loss).backward()

    def gradient_norm(self) -> float | None:
        """Clips the gradients and returns their norm before that; None where none is asked for.

        With scaled gradients it may be infinite: such a step is left out and the scale lowered.
        """
        if self.config.max_grad_norm is None:
            return None
        self.scaler.unscale_(self.optimizer)
        return nn.utils.clip_grad_norm_(self.parameters.values(), self.config.max_grad_norm).item()

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Takes step `step`, from 0."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(step) * group["lr_scale"]
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None and self.decay is not None:
            decay = min(self.decay, (1 + step) / (10 + step))  # or the first weights would stay for long
            torch._foreach_lerp_(list(self.average.values()), list(self.parameters.values()), 1 - decay)

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """The model has the averaged weights meanwhile, where there is an average."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, average in (self.average or {}).items():
            held = self.parameters[name].detach().clone()
            self.parameters[name].copy_(average)
            average.copy_(held)

    def state_dict(self) -> dict[str, Any]:
        """Weights, moments, scale and average."""
        return {
            "parameters": {name: parameter.detach() for name, parameter in self.parameters.items()},
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": self.average,
        }

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what `state_dict` gave.

        Raises:
            ValueError: it is of other parameters.
        """
        saved = state["parameters"]
        if {name: value.shape for name, value in saved.items()} != {
            name: parameter.shape for name, parameter in self.parameters.items()
        }:
            raise ValueError("it holds other parameters")
        for name, parameter in self.parameters.items():
            parameter.copy_(saved[name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        for name, average in (self.average or {}).items():
            average.copy_(state["average"][name])

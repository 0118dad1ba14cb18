"""Optimiser: AdamW and learning rate schedule (paper IV-C), gradient scaler, moving average of the weights."""

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
"""Learned positions, queries and prompts, without weight decay: zero is no meaningful prior for them."""


def decays(name: str, parameter: nn.Parameter) -> bool:
    """Whether weight decay applies: to matrices and kernels, not to biases, norms, positions and queries."""
    return parameter.ndim >= 2 and not name.endswith(_TABLES)


def optimizer_of(parameters: dict[str, nn.Parameter], config: OptimConfig) -> torch.optim.AdamW:
    """AdamW over all parameters that train in some stage, in the given order.

    AdamW skips parameters whose gradient is None, decay included.
    """
    groups = []
    for scale, trunk in ((1.0, False), (config.trunk_lr_scale, True)):
        own = {name: p for name, p in parameters.items() if (".trunk." in name) == trunk}
        for decay, decayed in ((config.weight_decay, True), (0.0, False)):
            of_group = [p for name, p in own.items() if decays(name, p) == decayed]
            groups.append({"params": of_group, "weight_decay": decay, "lr_scale": scale})
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=config.lr, fused=True)


def learning_rate(step: int, total: int, config: OptimConfig) -> float:
    """Learning rate of step `step` of `total`, counted from 0 over all stages and epochs.

    Linear warm-up over the first w = round(warmup * total) steps, lr (step + 1) / w; then cosine decay to zero,
    lr (1 + cos(pi (step - w) / (total - w))) / 2.
    """
    warm = round(config.warmup * total)
    if step < warm:
        return config.lr * (step + 1) / warm
    return config.lr * (1 + math.cos(math.pi * (step - warm) / (total - warm))) / 2


class Updater:
    """AdamW with its schedule, gradient scaler for float16, and moving average.

    Args:
        parameters: all parameters that train in some stage, by name, float32.
        config: optimiser and schedule.
        total: steps of the run.
        scaled: whether to scale gradients (float16).
        decay: decay of the moving average; None = no average.
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
        """Learning rate of step `step`, from 0."""
        return learning_rate(step, self.total, self.config)

    def backward(self, loss: Tensor) -> None:
        """Accumulates the gradients of `loss`."""
        self.scaler.scale(loss).backward()

    def gradient_norm(self) -> float | None:
        """Clips the gradients and returns their norm before clipping; None if clipping is off.

        With scaled gradients the norm may be infinite: the scaler then skips the step and lowers the scale.
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
            decay = min(self.decay, (1 + step) / (10 + step))  # lowers the weight of the first steps
            torch._foreach_lerp_(list(self.average.values()), list(self.parameters.values()), 1 - decay)

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Context manager that swaps in the averaged weights, if there is an average."""
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
        """Restores a `state_dict`.

        Raises:
            ValueError: it belongs to different parameters.
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

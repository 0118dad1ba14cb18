"""Where a step's time goes: data, encoder, neck, decoders, Q-Former, LLM, optimiser."""

from __future__ import annotations

import csv
import io
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

if TYPE_CHECKING:
    from semantic_cc.model.base import ChangeModel


class Clock:
    """Gives every moment to the part that is at work, forward and backward.

    On a CUDA device each change of part waits for the device, so it runs for one epoch and is then taken off.

    Attributes:
        stage: to which the moments are booked.
        seconds: (stage, part) -> seconds so far.
    """

    def __init__(self) -> None:
        self.stage = ""
        self.seconds: dict[tuple[str, str], float] = defaultdict(float)
        self._part: str | None = None
        self._since = 0.0
        self._handles: list[RemovableHandle] = []
        self._running = False

    def attach(self, model: ChangeModel) -> None:
        """Starts; the model's parts tell when they begin and end."""
        self._running = True
        for part, modules in model.timed_parts().items():
            for module in filter(None, modules):
                self._handles += [
                    module.register_forward_pre_hook(self._begins(part)),
                    module.register_forward_hook(self._ends(part)),
                ]

    def detach(self) -> None:
        """Stops for good."""
        self.enter(None)
        self._running = False
        for handle in self._handles:
            handle.remove()

    def enter(self, part: str | None) -> None:
        """From now on `part` is at work; None = what is not to be booked."""
        if not self._running:
            return
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter()
        if self._part is not None:
            self.seconds[self.stage, self._part] += now - self._since
        self._part, self._since = part, now

    def shares(self) -> list[tuple[str, str, float, float]]:
        """Stage, part, seconds, share of the stage's seconds; in the order they were first seen."""
        totals: dict[str, float] = defaultdict(float)
        for (stage, _), seconds in self.seconds.items():
            totals[stage] += seconds
        return [(stage, part, spent, spent / totals[stage]) for (stage, part), spent in self.seconds.items()]

    def table(self) -> str:
        """`shares` as CSV."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("stage", "part", "seconds", "share"))
        writer.writerows((s, p, f"{spent:.3f}", f"{share:.4f}") for s, p, spent, share in self.shares())
        return text.getvalue()

    def lines(self) -> list[str]:
        """`shares` for people, a line for each stage."""
        by_stage: dict[str, list[str]] = defaultdict(list)
        for stage, part, _, share in self.shares():
            by_stage[stage].append(f"{part} {share:.1%}")
        return [f"time of {stage}: {', '.join(parts)}" for stage, parts in by_stage.items()]

    def _begins(self, part: str) -> Callable[..., None]:
        return lambda *_: self.enter(part)

    def _ends(self, part: str) -> Callable[..., None]:
        def hook(module: nn.Module, given: Any, output: Any) -> None:
            self.enter("losses")
            for tensor in _tensors(output):
                if tensor.requires_grad:  # its gradient arrives when the backward pass reaches this part
                    tensor.register_hook(lambda _: self.enter(part))

        return hook


def _tensors(output: Any) -> Iterator[Tensor]:
    """The tensors of a module's output: one, several, or in a value type."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, tuple | list):
        for part in output:
            yield from _tensors(part)
    elif isinstance(output, dict):
        yield from _tensors(list(output.values()))
    elif hasattr(output, "__dict__"):
        yield from _tensors(list(vars(output).values()))

"""Time of a step per part: data, encoder, neck, decoders, Q-Former, LLM, optimiser."""

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
    """Measures the forward and backward time of each part.

    On a CUDA device each change of part synchronises, so the clock runs for one epoch only.

    Attributes:
        stage: current stage.
        seconds: (stage, part) -> seconds.
    """

    def __init__(self) -> None:
        self.stage = ""
        self.seconds: dict[tuple[str, str], float] = defaultdict(float)
        self._part: str | None = None
        self._since = 0.0
        self._handles: list[RemovableHandle] = []
        self._running = False

    def attach(self, model: ChangeModel) -> None:
        """Starts the clock, with hooks on the model's parts."""
        self._running = True
        for part, modules in model.timed_parts().items():
            for module in filter(None, modules):
                self._handles += [
                    module.register_forward_pre_hook(self._begins(part)),
                    module.register_forward_hook(self._ends(part)),
                ]

    def detach(self) -> None:
        """Stops the clock and removes the hooks."""
        self.enter(None)
        self._running = False
        for handle in self._handles:
            handle.remove()

    def enter(self, part: str | None) -> None:
        """Counts the time from now on for `part`; None = do not count it."""
        if not self._running:
            return
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter()
        if self._part is not None:
            self.seconds[self.stage, self._part] += now - self._since
        self._part, self._since = part, now

    def shares(self) -> list[tuple[str, str, float, float]]:
        """Stage, part, seconds, fraction of the stage's seconds; in order of first occurrence."""
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
        """`shares` as text, one line per stage."""
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
                if tensor.requires_grad:  # its gradient hook runs when backward reaches this part
                    tensor.register_hook(lambda _: self.enter(part))

        return hook


def _tensors(output: Any) -> Iterator[Tensor]:
    """The tensors in a module's output: a tensor, a sequence or a dataclass."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, tuple | list):
        for part in output:
            yield from _tensors(part)
    elif isinstance(output, dict):
        yield from _tensors(list(output.values()))
    elif hasattr(output, "__dict__"):
        yield from _tensors(list(vars(output).values()))

"""What each part of a model takes while it runs: seconds or operations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from semantic_cc.model.semantic_cc import SemanticCCModel

LANGUAGE_MODEL = "LLM"
"""The part of `timed_parts` that does not belong to the vision part."""


def vision_parts(model: SemanticCCModel) -> dict[str, list[nn.Module]]:
    """Encoder, neck, change decoder and Q-Former -> their modules; parts that the model does not have are left out."""
    parts = {part: [one for one in own if one is not None] for part, own in model.timed_parts().items()}
    return {part: own for part, own in parts.items() if own and part != LANGUAGE_MODEL}


@contextmanager
def counted_by_part(model: SemanticCCModel, read: Callable[[], float]) -> Iterator[dict[str, float]]:
    """Gives a dict of `vision_parts`; afterwards it has what a counter counted while the modules of each part ran.

    Args:
        model: the torch model, which runs inside of the context.
        read: reads the counter: a clock, or operations so far.
    """
    found = dict.fromkeys(vision_parts(model), 0.0)
    started: list[float] = []

    def begin(*_: Any) -> None:
        started.append(read())

    def end_of(part: str) -> Callable[..., None]:
        def end(*_: Any) -> None:
            found[part] += read() - started.pop()

        return end

    handles = []
    try:
        for part, modules in vision_parts(model).items():
            for module in modules:
                handles += [
                    module.register_forward_pre_hook(begin),
                    module.register_forward_hook(end_of(part)),
                ]
        yield found
    finally:
        for handle in handles:
            handle.remove()

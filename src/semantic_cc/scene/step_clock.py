"""Seconds of the steps of a scene's description; what an inner step takes does not count for the outer one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from semantic_cc.scene.grid import ScenePair

Given = ParamSpec("Given")
Result = TypeVar("Result")

STEPS = ("read", "masks", "rasters", "polygons", "sentences", "files")
"""Opening, inspection and pixels; the model's masks; blending and both GeoTIFFs; vectorising; places; other files."""


class StepClock:
    """Adds up the seconds of each step.

    Args:
        opening: seconds that the opening of the images took before; they count as the step "read".
    """

    def __init__(self, opening: float = 0.0) -> None:
        self._start = time.perf_counter() - opening
        self._seconds = {**dict.fromkeys(STEPS, 0.0), "read": opening}

    def timings(self) -> dict[str, float]:
        """Each of `STEPS` -> seconds so far, and the ``total`` since the start; thousandths."""
        found = {**self._seconds, "total": time.perf_counter() - self._start}
        return {step: round(seconds, 3) for step, seconds in found.items()}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Counts the time inside of the context for a step, less what other steps count meanwhile."""
        start, counted = time.perf_counter(), sum(self._seconds.values())
        try:
            yield
        finally:
            inner = sum(self._seconds.values()) - counted
            self._seconds[name] += time.perf_counter() - start - inner

    def timed(self, name: str, call: Callable[Given, Result]) -> Callable[Given, Result]:
        """The same call, whose time counts for a step."""

        def counted(*args: Given.args, **options: Given.kwargs) -> Result:
            with self.step(name):
                return call(*args, **options)

        return counted


class TimedPair:
    """A `ScenePair` whose reading counts as the step "read"."""

    def __init__(self, pair: ScenePair, clock: StepClock) -> None:
        self.grid = pair.grid
        self.may_show = clock.timed("read", pair.may_show)
        self.read = clock.timed("read", pair.read)

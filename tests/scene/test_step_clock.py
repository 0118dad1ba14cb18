"""The seconds of steps, with a clock that the test turns."""

import pytest

from semantic_cc.scene import step_clock
from semantic_cc.scene.step_clock import STEPS, StepClock


def test_an_inner_step_does_not_count_for_the_outer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(step_clock.time, "perf_counter", lambda: now[0])

    def work(seconds: float) -> float:
        now[0] += seconds
        return seconds

    clock = StepClock(opening=2.0)
    read = clock.timed("read", work)
    with clock.step("rasters"):
        assert read(3.0) == 3.0
        work(0.5)
        clock.timed("masks", work)(4.0)
    work(1.0)  # of no step
    found = clock.timings()
    assert tuple(found) == (*STEPS, "total")
    assert {step: seconds for step, seconds in found.items() if seconds} == {
        "read": 5.0, "masks": 4.0, "rasters": 0.5, "total": 10.5
    }  # fmt: skip

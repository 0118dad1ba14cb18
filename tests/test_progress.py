"""Progress where stderr is no terminal: lines at intervals, also while nothing is reported."""

import time

import pytest

from semantic_cc import progress


def test_lines_are_written_while_a_step_works(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.02)
    with progress.progress_of_steps() as advance:
        advance("windows", 10, 1_200)
        advance("windows", 30, 1_200)
        time.sleep(0.2)  # no report meanwhile
        advance("places", 1, 7)
        time.sleep(0.2)
    lines = capsys.readouterr().err.splitlines()
    windows = [line for line in lines if line.startswith("windows: 30 of 1,200, ") and line.endswith(" left")]
    assert len(windows) > 1
    assert lines[-1] == "places: 1 of 7"  # one report does not tell how long the others take


def test_short_work_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.progress_of_steps() as advance:
        advance("windows", 1, 2)
    assert capsys.readouterr().err == ""


def test_the_lines_end_with_the_work(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.02)
    with progress.lines_while_working(lambda: "busy"):
        time.sleep(0.1)
    assert "busy" in capsys.readouterr().err
    time.sleep(0.1)
    assert capsys.readouterr().err == ""

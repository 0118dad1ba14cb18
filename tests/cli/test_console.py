"""Progress where stderr is no terminal."""

import pytest

from semantic_cc.cli import console


def test_a_line_every_half_minute(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 1.0, 29.0, 31.0, 40.0, 62.0])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    with console.progress_bar("pairs") as advance:
        for done in (10, 290, 310, 400, 620):
            advance(done, 1200)
    assert capsys.readouterr().err == "pairs: 310 of 1,200, 2 min left\npairs: 620 of 1,200, 1 min left\n"

"""Ray leaves what one process leaves, though an actor is killed."""

import sys
from pathlib import Path

import pytest
from batches import archive, left, run

from semantic_cc.batch.batch_run import BatchProgress

pytestmark = pytest.mark.slow
pytest.importorskip("ray", reason="Ray is not installed (pip install 'semantic-cc[ray]')")


@pytest.fixture(autouse=True)
def path_of_actors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Actors import the stand-in model, and this package, from where we do."""
    monkeypatch.setenv("PYTHONPATH", ":".join(filter(None, sys.path)))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def test_two_actors_leave_what_one_process_leaves_though_one_is_killed(tmp_path: Path) -> None:
    path = archive(tmp_path / "in", bad=True)
    run(path, tmp_path / "here")
    for name, model in (("ray", {}), ("killed", {"dies_at": 1, "once": tmp_path / "once"})):
        seen: list[BatchProgress] = []
        run(path, tmp_path / name, model=model, workers=2, engine="ray", progress=seen.append)
        assert left(tmp_path / name) == left(tmp_path / "here")
        assert (seen[-1].worked, seen[-1].failed) == (5, 1)
    assert (tmp_path / "once").exists()

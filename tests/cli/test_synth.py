from collections.abc import Callable
from pathlib import Path


def test_makes_the_same_bytes_whatever_the_workers(cli: Callable, tmp_path: Path) -> None:
    for workers in (1, 2):
        outcome = cli("synth", tmp_path / str(workers), "--pairs", 4, "--seed", 5, "--workers", workers)
        assert (outcome.code, outcome.stderr) == (0, "")
        assert "4 pairs" in outcome.stdout
    first, second = ({p.relative_to(r): p.read_bytes() for p in r.rglob("*") if p.is_file()}
                     for r in (tmp_path / "1", tmp_path / "2"))  # fmt: skip
    assert first == second
    assert Path("LevirCCcaptions.json") in first

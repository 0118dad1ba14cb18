"""The kept ablation of the sources: it is complete and in the log, and each run trains on what its row says."""

import json
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "runs" / "source_ablation.py"))
KEPT = json.loads((ROOT / "runs" / "results" / "source-ablation.json").read_text())


def test_the_kept_ablation_has_every_mix_with_every_seed() -> None:
    assert KEPT["mixes"] == SCRIPT["MIXES"] and list(KEPT["rows"]) == list(SCRIPT["MIXES"])
    for name, scores in KEPT["rows"].items():
        assert len(scores) == KEPT["seeds"]
        assert all(("guangzhou" in score) == ("guangzhou" not in KEPT["mixes"][name]) for score in scores)


def test_the_log_has_the_kept_table() -> None:
    assert SCRIPT["table"](KEPT["rows"]) in (ROOT / "docs" / "log.md").read_text()


@pytest.mark.parametrize("name", list(SCRIPT["MIXES"]))
def test_every_row_visits_equally_many_pairs(name: str) -> None:
    mix = SCRIPT["MIXES"][name]
    config = SCRIPT["configured"](mix, Path("data"), Path("out"), seed=1, visits=1472)
    (phase,) = config.phases.values()
    assert phase.epochs * phase.stages["change"].items == 1472
    folders = (phase.data,) if isinstance(phase.data, str) else phase.data
    assert folders == tuple(str(Path("data") / source) for source in mix)
    assert list(phase.source_weights or [1]) == list(mix.values())

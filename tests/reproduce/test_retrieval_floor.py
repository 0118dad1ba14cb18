"""The floor of retrieval: its scores are kept, apart for a machine with Java and one without."""

from pathlib import Path

import pytest
from torch import nn

from semantic_cc.metrics import caption_report
from semantic_cc.reproduce import retrieval_floor
from semantic_cc.reproduce.experiment_runs import FinishedRun, ReproductionSetup


def test_scores_without_meteor_are_not_kept_for_a_machine_with_java(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, truth = {"a": "a house is built"}, {"a": ["a house is built"]}
    scored: list[int] = []

    def score(*_: object) -> dict[str, object]:
        scored.append(1)
        return caption_report(given, truth, meteor=False).to_json()

    monkeypatch.setattr(retrieval_floor, "_scored", score)
    monkeypatch.setattr(retrieval_floor, "load_pretrained", lambda _: (nn.Identity(), None))
    monkeypatch.setattr(ReproductionSetup, "digest", lambda *_: "data")
    setup = ReproductionSetup(scale="levir-dev", data=("x",), test=("x",), masks=("x",), out=tmp_path)
    run = FinishedRun(tmp_path, None, {"config": {"model": {"encoder": {"weights": "starts/x/encoder"}}}})
    for java, times in ((None, 1), (None, 1), ("java", 2)):
        monkeypatch.setattr(retrieval_floor, "find_java", lambda java=java: java, raising=False)
        assert retrieval_floor.retrieval_floor(setup, run)["all"].count == 1
        assert len(scored) == times

"""An evaluation that is killed goes on where it stopped and writes the same bytes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import layouts
import numpy as np
import pytest

from semantic_cc.evaluation import evaluate as module
from semantic_cc.evaluation.evaluate import evaluate
from semantic_cc.evaluation.pair_results import EvaluationState, PairResult

KILLED = """
import os, signal, sys
from pathlib import Path
from semantic_cc.evaluation.evaluate import evaluate
def progress(done, total):
    if done == 4:
        os.kill(os.getpid(), signal.SIGKILL)
evaluate(sys.argv[1], sys.argv[2], "train", batch=2, meteor=False, state=Path(sys.argv[3]), progress=progress)
"""


def test_a_killed_evaluation_goes_on_and_gives_the_same_bytes(
    tiny_folder: Path, world_folder: Path, tmp_path: Path, one_calm_thread: None
) -> None:
    state = tmp_path / "state"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tiny_folder, world_folder, state],
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # last digits depend on the number of threads
    )
    assert done.returncode == -9, done.stderr.decode()
    kept = sorted(path.name for path in state.iterdir())
    assert kept == ["batch-0000000.npz", "batch-0000002.npz", "evaluation.json"]
    options = {"split": "train", "batch": 2, "meteor": False, "worst": 3}
    whole = evaluate(tiny_folder, world_folder, **options)
    (state / "batch-0000002.npz").unlink()  # of the two, one batch is predicted anew
    before = (state / "batch-0000000.npz").stat().st_mtime_ns
    seen = []
    resumed = evaluate(tiny_folder, world_folder, **options, state=state, progress=lambda *at: seen.append(
        (at, (state / "batch-0000000.npz").stat().st_mtime_ns)
    ))  # fmt: skip
    assert [at for at, _ in seen] == [(2 * n, 16) for n in range(1, 9)]
    assert {time for _, time in seen} == {before}  # read, not predicted
    assert json.dumps(resumed.to_json(predictions=True)) == json.dumps(whole.to_json(predictions=True))
    assert [case.pair.name for case in resumed.worst] == [case.pair.name for case in whole.worst]
    assert not state.exists()


def test_the_state_of_another_evaluation_is_not_used(tmp_path: Path) -> None:
    result = PairResult("a", "4x4", None, None, 0.25, np.zeros((4, 4), np.uint8), None, True, 1.0)
    state = EvaluationState(tmp_path / "state", "one")
    state.write(0, [result])
    found = EvaluationState(tmp_path / "state", "one").read(0)
    assert found is not None and found[0].probability == 0.25 and found[0].sentence is None
    np.testing.assert_array_equal(found[0].mask, result.mask)
    assert EvaluationState(tmp_path / "state", "two").read(0) is None


def test_a_bad_label_is_named_before_the_model_is_loaded(
    cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "load_runtime", lambda *_, **__: pytest.fail("the model was loaded"))
    root = layouts.write_levir_mci(tmp_path / "data")
    layouts.save(np.full((32, 32), 77, np.uint8), root / "images" / "test" / "label" / "test_b.png")
    outcome = cli("evaluate", "--model", "small", "--data", root, "--out", tmp_path / "scores.json")
    assert outcome.code == 2
    assert "test_b.png: label value 77 is not one of (0, 128, 255)" in outcome.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_masks_without_sentences_from_the_command_line(
    cli: Callable, tiny_folder: Path, world_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "scores.json"
    outcome = cli("evaluate", "--model", tiny_folder, "--data", world_folder, "--no-sentences", "--out", out)
    assert outcome.code == 0
    report = json.loads(out.read_text())
    assert report["captions"] is None and report["change"]["pixels"]
    assert [path.name for path in tmp_path.iterdir()] == ["scores.json"]  # the state is gone


def test_without_road_labels_no_road_is_scored(cli: Callable, tiny_folder: Path, tmp_path: Path) -> None:
    root = layouts.write_levir_mci(tmp_path / "data")
    for path in root.glob("images/*/label/*.png"):
        layouts.save(np.kron(np.eye(2, dtype=np.uint8) * 255, np.ones((16, 16), np.uint8)), path)
    outcome = cli(
        "evaluate", "--model", tiny_folder, "--data", root, "--no-meteor", "--out", tmp_path / "s.json"
    )
    report = json.loads((tmp_path / "s.json").read_text())
    assert (outcome.code, report["classes"]) == (0, ["building"])
    assert report["change"].keys() == {"building", "pixels"}
    assert "labelled classes: building\n" in outcome.stdout
    assert "roads are not labelled in every mask: only building change is scored" in outcome.stdout

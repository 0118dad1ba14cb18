"""What `evaluate` gathers beyond the confusion matrix, and the page of the worst cases."""

import json
from collections.abc import Callable
from pathlib import Path

import layouts
import numpy as np
import pytest
import torch

from semantic_cc.evaluation.diagnostics import Study
from semantic_cc.figures.worst_cases import worst_page
from semantic_cc.types import BUILDING, NOT_BUILDING, ROAD, UNKNOWN, Pair


def pair(name: str, label: np.ndarray | None, *sentences: str) -> Pair:
    image = np.full((32, 32, 3), 90, np.uint8)
    return Pair(name, image, image, label, sentences)


def label(value: int, width: int = 8) -> np.ndarray:
    out = np.zeros((32, 32), np.uint8)
    out[4:12, 4 : 4 + width] = value
    return out


def probabilities(mask: np.ndarray, classes: int = 3) -> torch.Tensor:
    """Nearly sure of `mask`."""
    order = (0, BUILDING) if classes == 2 else (0, ROAD, BUILDING)
    planes = torch.stack([torch.from_numpy(mask == value).float() for value in order])
    return (planes + 0.05) / (planes + 0.05).sum(0)


def test_a_perfect_model_and_a_blind_one() -> None:
    perfect, blind = Study(), Study()
    for study, seen in ((perfect, label(BUILDING)), (blind, label(0))):
        study.see(pair("a", label(BUILDING), "a house is built"), "a house is built", probabilities(seen))
    report = perfect.report()
    assert (report["objects"]["found"], report["objects"]["false"], report["curve"]["average_precision"]) == (
        1,
        0,
        100,
    )
    assert report["consistency"]["score"] == report["reference_consistency"]["score"] == 100
    report = blind.report()
    assert report["objects"]["missed"] == 1
    assert report["consistency"]["cases"][0]["name"] == "a"
    assert report["reference_consistency"]["score"] == 100
    json.dumps(report)


def test_nothing_to_score_is_none() -> None:
    study = Study(worst=3)
    study.see(pair("a", None, "a house is built"), "a house is built", None)
    study.see(pair("b", label(BUILDING)), "a house is built", None)
    assert study.report() == dict.fromkeys(("objects", "curve", "consistency", "reference_consistency"))
    assert study.worst == []


def test_where_roads_are_not_labelled_they_are_not_wrong() -> None:
    unsaid = label(BUILDING)
    unsaid[unsaid == 0] = NOT_BUILDING
    ours = label(BUILDING)
    ours[20:] = ROAD
    study = Study(worst=2)
    study.see(pair("cd", unsaid, "a road is built"), "a house is built", probabilities(ours))
    study.see(pair("mci", label(BUILDING)), "a house is built", probabilities(ours))
    assert [(case.pair.name, case.wrong) for case in study.worst] == [("mci", 12 / 32), ("cd", 0)]
    assert study.report()["reference_consistency"]["unchecked"] == 1


def test_where_nothing_is_known_nothing_is_wrong() -> None:
    half = label(BUILDING)
    half[20:] = UNKNOWN
    ours = label(BUILDING)
    ours[22:] = BUILDING
    study = Study(worst=1)
    study.see(pair("a", half), "a house is built", probabilities(ours))
    report = study.report()
    assert (report["objects"]["found"], report["objects"]["right"], report["objects"]["false"]) == (1, 1, 0)
    assert report["curve"]["average_precision"] == 100 and study.worst[0].wrong == 0


def test_a_binary_model_says_nothing_of_roads() -> None:
    study = Study()
    study.see(pair("a", label(0)), "a road is built", probabilities(label(0), classes=2))
    assert study.report()["consistency"]["unchecked"] == 1


def test_the_worst_are_kept_in_order() -> None:
    study = Study(worst=2)
    for name, width in (("a", 2), ("b", 8), ("c", 0), ("d", 8), ("e", 4)):
        study.see(pair(name, label(BUILDING, width)), "no change", probabilities(label(0)))
    assert [case.pair.name for case in study.worst] == ["b", "d"]
    assert study.worst[0].wrong == 64 / 1024


def test_the_page_holds_all_and_trusts_no_name() -> None:
    study = Study(worst=1)
    given = pair("<b>.png", label(BUILDING), "a <house>", "two & more")
    study.see(given, "nothing", probabilities(label(ROAD)))
    page = worst_page(study.worst, "tiny on <data>").decode()
    assert page.count("data:image/jpeg;base64,") == 4
    for words in (
        "&lt;b&gt;.png: 6.2% of the pixels wrong",
        "a &lt;house&gt;; two &amp; more",
        "tiny on &lt;data&gt;",
    ):
        assert words in page
    assert "<b>.png" not in page


def test_evaluate_reports_and_writes_the_page(
    cli: Callable, tiny_folder: Path, world_folder: Path, tmp_path: Path
) -> None:
    page, out = tmp_path / "new" / "worst.html", tmp_path / "scores.json"
    argv = ["evaluate", "--model", tiny_folder, "--data", world_folder, "--split", "test"]
    outcome = cli(*argv, "--out", out, "--worst", page)
    assert (outcome.code, outcome.stderr) == (0, "")
    assert page.read_bytes().count(b"<section>") == 2
    report = json.loads(out.read_text())
    assert (
        report["curve"]["points"]
        and report["objects"]["by_size"]
        and 0 <= report["change"]["mean_iou"] <= 100
    )
    assert report["consistency"]["pairs"] == 2 and report["reference_consistency"]["pairs"] == 10
    for words in ("mean IoU", "average precision", "buildings as objects", "consistency of its sentences"):
        assert words in outcome.stdout


def test_without_masks_the_page_is_not_written(cli: Callable, tiny_folder: Path, tmp_path: Path) -> None:
    layouts.write_levir_mci(tmp_path / "data", labels=False)
    page = tmp_path / "worst.html"
    outcome = cli("evaluate", "--model", tiny_folder, "--data", tmp_path / "data", "--worst", page)
    assert outcome.code == 0 and not page.exists()
    assert f"note: {page} is not written" in outcome.stdout


def test_a_page_that_cannot_be_written_is_refused_first(
    cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("semantic_cc.evaluation.evaluate.evaluate", lambda *_, **__: pytest.fail("worked"))
    outcome = cli("evaluate", "--model", "small", "--data", tmp_path, "--worst", tmp_path)
    assert (outcome.code, outcome.stdout) == (2, "") and "is a directory" in outcome.stderr

"""What `evaluate` gathers beyond the confusion matrix, and the page of the worst cases."""

import json
from collections.abc import Callable
from pathlib import Path

import layouts
import numpy as np
import pytest

from semantic_cc.evaluation.diagnostics import DiagnosticsMetric
from semantic_cc.evaluation.pair_results import PairResult
from semantic_cc.figures.worst_cases import Case, worst_page
from semantic_cc.metrics.precision_recall import probability_counts
from semantic_cc.types import BUILDING, NOT_BUILDING, ROAD, UNKNOWN, Pair


def pair(name: str, label: np.ndarray | None, *sentences: str) -> Pair:
    image = np.full((32, 32, 3), 90, np.uint8)
    return Pair(name, image, image, label, sentences)


def label(value: int, width: int = 8) -> np.ndarray:
    out = np.zeros((32, 32), np.uint8)
    out[4:12, 4 : 4 + width] = value
    return out


def result(
    name: str, mask: np.ndarray, sentence: str | None, truth: np.ndarray | None, roads: bool = True
) -> PairResult:
    """A model that is nearly sure of `mask`."""
    counts = None
    if truth is not None:
        known = truth != UNKNOWN
        sure = np.where(mask == BUILDING, 0.95, 0.05)
        counts = probability_counts(sure[known], truth[known] == BUILDING)
    return PairResult(name, "32x32", sentence, True, 0.9, mask, counts, roads, 0.0)


def see(
    metric: DiagnosticsMetric, name: str, truth: np.ndarray | None, mask: np.ndarray, predicted: str | None,
    *sentences: str, roads: bool = True,
) -> None:  # fmt: skip
    metric.update(truth, sentences, result(name, mask, predicted, truth, roads))


def test_a_perfect_model_and_a_blind_one() -> None:
    perfect, blind = DiagnosticsMetric(), DiagnosticsMetric()
    for metric, mask in ((perfect, label(BUILDING)), (blind, label(0))):
        see(metric, "a", label(BUILDING), mask, "a house is built", "a house is built")
    report = perfect.compute()
    assert (report.objects.found, report.objects.false, report.curve.average_precision) == (1, 0, 100)
    assert report.consistency.score == report.reference_consistency.score == 100
    report = blind.compute()
    assert report.objects.missed == 1
    assert report.consistency.cases[0].name == "a"
    assert report.reference_consistency.score == 100
    json.dumps(report.to_json())


def test_nothing_to_score_is_none() -> None:
    metric = DiagnosticsMetric(worst=3)
    without = PairResult("a", "32x32", "a house is built", True, None, None, None, False, 0.0)
    metric.update(None, ("a house is built",), without)
    metric.update(label(BUILDING), (), without)
    assert metric.compute().to_json() == dict.fromkeys(
        ("objects", "curve", "consistency", "reference_consistency")
    )
    assert metric.worst == []


def test_where_roads_are_not_labelled_they_are_not_wrong() -> None:
    unlabelled = label(BUILDING)
    unlabelled[unlabelled == 0] = NOT_BUILDING
    ours = label(BUILDING)
    ours[20:] = ROAD
    metric = DiagnosticsMetric(worst=2)
    see(metric, "cd", unlabelled, ours, "a road is removed and a house is built", "a road is built")
    see(metric, "mci", label(BUILDING), ours, "a house is built")
    assert [(found.name, wrong) for _, wrong, found in metric.worst] == [("mci", 12 / 32), ("cd", 0)]
    report = metric.compute()
    assert report.reference_consistency.unchecked == 1
    assert report.consistency.score == 100 and report.consistency.by_kind["change"].checked == 2


def test_the_share_of_wrong_pixels_is_that_of_the_labelled_ones() -> None:
    truth = label(BUILDING)
    truth[16:] = UNKNOWN
    metric = DiagnosticsMetric(worst=1)
    see(metric, "a", truth, label(0), None)
    assert metric.worst[0][1] == 64 / (16 * 32)


def test_a_model_without_roads_is_not_wrong_where_there_are_some() -> None:
    truth = label(BUILDING)
    truth[20:] = ROAD
    metric = DiagnosticsMetric(worst=1)
    see(metric, "a", truth, label(BUILDING), None, roads=False)
    assert metric.worst[0][1] == 0


def test_predicted_roads_are_not_checked_where_none_are_labelled() -> None:
    unlabelled = label(BUILDING)
    unlabelled[unlabelled == 0] = NOT_BUILDING
    metric = DiagnosticsMetric()
    see(metric, "a", unlabelled, label(BUILDING), "a road is built")
    see(metric, "b", label(BUILDING), label(BUILDING), "a road is built")
    report = metric.compute().consistency
    assert (report.unchecked, report.score) == (1, 0)


def test_unlabelled_pixels_are_not_wrong() -> None:
    half = label(BUILDING)
    half[20:] = UNKNOWN
    ours = label(BUILDING)
    ours[22:] = BUILDING
    metric = DiagnosticsMetric(worst=1)
    see(metric, "a", half, ours, "a house is built")
    report = metric.compute()
    assert (report.objects.found, report.objects.right, report.objects.false) == (1, 1, 0)
    assert report.curve.average_precision == 100 and metric.worst[0][1] == 0


def test_a_binary_model_says_nothing_of_roads() -> None:
    metric = DiagnosticsMetric()
    see(metric, "a", label(0), label(0), "a road is built", roads=False)
    assert metric.compute().consistency.unchecked == 1


def test_the_worst_are_kept_in_order() -> None:
    metric = DiagnosticsMetric(worst=2)
    for name, width in (("a", 2), ("b", 8), ("c", 0), ("d", 8), ("e", 4)):
        see(metric, name, label(BUILDING, width), label(0), "no change")
    assert [(place, found.name) for place, _, found in metric.worst] == [(1, "b"), (3, "d")]
    assert metric.worst[0][1] == 64 / 1024


def test_the_page_holds_all_and_trusts_no_name() -> None:
    given = pair("<b>.png", label(BUILDING), "a <house>", "two & more")
    page = worst_page([Case(given, label(ROAD), "nothing", 64 / 1024)], "tiny on <data>").decode()
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
    assert outcome.code == 0
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

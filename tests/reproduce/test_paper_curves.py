"""Curves over the training pairs and over the epochs: their runs, their points, and their files."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.errors import ConfigError, InputError
from semantic_cc.reproduce import paper_curves
from semantic_cc.reproduce.curve_drawing import draw_curves
from semantic_cc.reproduce.curve_types import Curve, CurveFigure, CurvePoint, read_curves
from semantic_cc.reproduce.experiment_runs import scored, trained
from semantic_cc.reproduce.paper_curves import reproduce_curves
from semantic_cc.reproduce.paper_tables import OURS, TABLES
from semantic_cc.reproduce.scales import MAIN, SCALES, configured
from semantic_cc.reproduce.table_types import DataRecord, SeedScores

TWO_EPOCHS = {"hardware": {"accelerator": "cpu"}, "phases": {MAIN: {"epochs": 2}}}


@pytest.fixture(autouse=True)
def _calm(one_calm_thread: None) -> None:
    """Numbers are compared."""


def test_a_part_of_the_pairs_is_visited_as_often(
    make_setup: Callable, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    monkeypatch.setattr(paper_curves, "FRACTIONS", (0.5, 1.0))
    setup = make_setup()
    figure = reproduce_curves("fig-data", setup, seeds=1)
    ((half, whole),) = [curve.points for curve in figure.curves]
    assert (half.x, whole.x) == (50, 100)
    full = trained(setup, OURS, 0, "ours")
    assert whole.runs == (full.folder.name,) != half.runs
    assert whole.scores["CIDEr"].values == (
        scored(setup, full, "captions", "ours").captions.scores["all"].scores["CIDEr"],
    )
    facts = json.loads((setup.out / "runs" / half.runs[0] / "trained.json").read_text())
    assert facts["pairs"] == full.facts["pairs"]
    part = open_dataset(facts["config"]["data"], "train")
    assert len(part) == pytest.approx(len(open_dataset(setup.data, "train")) / 2, abs=1)
    said.clear()
    assert reproduce_curves("fig-data", setup, seeds=1) == figure
    assert all("trained already" in line for line in said)


def test_equal_visits_at_the_other_scales() -> None:
    for name, tenfold in {"levir-dev": {"qformer"}, "small": {"qformer", "llm"}, "paper": {MAIN}}.items():
        full = configured(SCALES[name], OURS, ("data",), 0, {})
        row = replace(OURS, overrides=paper_curves._equal_visits(full, 0.1))
        part = configured(SCALES[name], row, ("data",), 0, {})
        longer = {key for key, phase in part.phases.items() if phase.epochs == 10 * full.phases[key].epochs}
        repeated = {key for key, phase in part.phases.items() if phase.source_weights == (1.0,)}
        assert longer - {"keyword_head"} == tenfold  # which the full model of the tables does not run
        assert longer | repeated == {key for key, phase in full.phases.items() if phase.kind != "encoder"}


def test_checkpoints_of_each_strategy(make_setup: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLES, "table4", replace(TABLES["table4"], rows=TABLES["table4"].rows[-2:]))
    setup = make_setup(flags=TWO_EPOCHS)
    before = trained(setup, OURS, 0, "ours")  # as a table trains it: without checkpoints
    assert not before.checkpoint(1).is_dir()
    figure = reproduce_curves("fig-convergence", setup, seeds=1)
    assert [curve.name for curve in figure.curves] == ["2-stage", "3-stage"]
    for curve in figure.curves:
        assert [point.x for point in curve.points] == [1, 2]
    two, three = (curve.points for curve in figure.curves)
    assert three[1].runs == (before.folder.name,) and three[0].runs == (f"{before.folder.name}-epochs",)
    assert two[0].runs == two[1].runs  # one run, which kept its checkpoints
    final = scored(setup, before, "captions", "ours")
    assert three[1].scores["CIDEr"].values == (final.captions.scores["all"].scores["CIDEr"],)
    repeated = setup.out / "runs" / three[0].runs[0] / "train"
    assert (repeated / "model/model.safetensors").read_bytes() == (
        before.model / "model.safetensors"
    ).read_bytes()
    first = scored(setup, replace(before, folder=repeated.parent), "captions", "first", epoch=1)
    assert first.model_digest != final.model_digest


FIGURE = CurveFigure(
    figure="fig-data",
    title="scores over pairs",
    axis="training pairs, %",
    columns=("CIDEr", "F1"),
    scale="tiny",
    seeds=(0, 1),
    command="semantic-cc reproduce fig-data",
    train=DataRecord("data", "1" * 64),
    test=DataRecord("data", "2" * 64, 10),
    curves=(
        Curve(
            "ours",
            tuple(
                CurvePoint(x, {"CIDEr": SeedScores((x, x + 2)), "F1": SeedScores((x / 2, x / 3))}, ("a", "b"))
                for x in (10.0, 100.0)
            ),
        ),
    ),
    notes=("a note",),
)


def test_numbers_come_back_from_their_file(tmp_path: Path) -> None:
    path = tmp_path / "curves.json"
    path.write_text(FIGURE.to_json())
    assert read_curves(path) == FIGURE
    path.write_text("{}")
    with pytest.raises(InputError, match="contains no curves"):
        read_curves(path)
    with pytest.raises(InputError, match="cannot read the curves"):
        read_curves(tmp_path / "none.json")


def test_a_kept_figure_is_drawn_without_training(cli: Callable, tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    path.write_text(FIGURE.to_json())
    outcome = cli("reproduce", "fig-data", "--kept", path, "--out", tmp_path / "out")
    assert outcome.code == 0
    written = [tmp_path / "out" / f"fig-data-tiny.{ending}" for ending in ("png", "pdf", "json")]
    assert outcome.stdout.split() == list(map(str, written))
    assert written[0].read_bytes().startswith(b"\x89PNG") and written[1].read_bytes().startswith(b"%PDF")
    assert read_curves(written[2]) == FIGURE
    assert draw_curves(FIGURE)["png"] == written[0].read_bytes()
    other = cli("reproduce", "fig-convergence", "--kept", path, "--out", tmp_path / "out")
    assert other.code == 2 and "holds fig-data, not fig-convergence" in other.stderr


def test_the_spread_over_seeds_is_drawn() -> None:
    no_spread = replace(
        FIGURE,
        curves=tuple(
            Curve(
                curve.name,
                tuple(
                    replace(
                        point,
                        scores={key: SeedScores((own.mean, own.mean)) for key, own in point.scores.items()},
                    )
                    for point in curve.points
                ),
            )
            for curve in FIGURE.curves
        ),
    )
    assert draw_curves(FIGURE)["png"] != draw_curves(no_spread)["png"]


def test_refusals(cli: Callable, make_setup: Callable, world_folder: Path, tmp_path: Path) -> None:
    two = replace(make_setup(), data=(str(world_folder), str(world_folder)))
    with pytest.raises(ConfigError, match="give one --data"):
        reproduce_curves("fig-data", two, seeds=1)
    words = ["--scale", "tiny", "--data", world_folder, "--out", tmp_path / "o", "--plan", "a100-80gb"]
    outcome = cli("reproduce", "fig-data", *words)
    assert outcome.code == 2 and "4 runs of the full model" in outcome.stderr

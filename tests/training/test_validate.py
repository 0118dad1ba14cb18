"""Validation: a row an epoch, the best model kept, early stop, and the same through a resume."""

import copy
import csv
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
from phases import multitask, phase_of
from PIL import Image

from semantic_cc.checkpoint.serialization import load_pretrained
from semantic_cc.config import load_config
from semantic_cc.errors import DataError
from semantic_cc.evaluation.evaluate import evaluate
from semantic_cc.training.pipeline import train
from semantic_cc.training.validate import Validation, write_pictures


def settings(world_folder, out, epochs=2, patience=None, **train):
    phases = multitask(items=2, epochs=epochs, val_metric="flag", patience=patience)
    values = {"data": str(world_folder), "out": str(out), "train": {"val_items": 2, **train}, **phases}
    return load_config("tiny", values)


def epoch_of(model):
    return load_pretrained(model)[1].training["phases"]["multitask"]["epoch"]


def rows(folder):
    return list(csv.DictReader(phase_of(folder).validation.open()))


def test_each_epoch_gets_the_scores_that_evaluate_gives(world_folder, tmp_path):
    train(settings(world_folder, tmp_path / "run"))
    first, last = rows(tmp_path / "run")
    assert (first["epoch"], last["epoch"]) == ("1", "2")
    report = evaluate(tmp_path / "run" / "model", world_folder, split="val", limit=2, meteor=False).to_json()
    assert float(last["flag"]) == pytest.approx(report["captions"]["flag_accuracy"], abs=1e-3)
    assert float(last["building_f1"]) == pytest.approx(report["change"]["building"]["f1"], abs=1e-3)
    assert float(last["cider"]) == pytest.approx(report["captions"]["all"]["CIDEr"], abs=1e-3)


def test_other_datasets_may_be_validated(world_folder, tmp_path):
    other = tmp_path / "other"
    for kind in ("A", "B", "label"):
        (other / "val" / kind).mkdir(parents=True)
        for path in sorted((world_folder / "images/val" / kind).iterdir())[:2]:
            shutil.copy(path, other / "val" / kind)
    run = settings(world_folder, tmp_path / "run", epochs=1, val_data=str(other))
    run = replace(run, phases={"multitask": replace(run.phases["multitask"], val_metric="building_f1")})
    train(run)
    (row,) = rows(tmp_path / "run")
    report = evaluate(tmp_path / "run" / "model", other, split="val", sentences=False).to_json()
    assert float(row["building_f1"]) == pytest.approx(report["change"]["building"]["f1"], abs=1e-3)
    assert row["flag"] == row["cider"] == ""  # the language model did not run


def test_validation_changes_no_step(world_folder, tmp_path):
    train(settings(world_folder, tmp_path / "with"))
    train(settings(world_folder, tmp_path / "without", val_items=0))
    logs = [list(csv.DictReader(phase_of(tmp_path / name).log.open())) for name in ("with", "without")]
    assert [row["loss"] for row in logs[0]] == [row["loss"] for row in logs[1]]
    assert not phase_of(tmp_path / "without").best.exists()


def test_the_same_pairs_are_drawn_and_told_after_each_epoch(world_folder, tmp_path):
    train(settings(world_folder, tmp_path / "run", val_pictures=1))
    folders = sorted((phase_of(tmp_path / "run").root / "pictures").iterdir())
    assert [folder.name for folder in folders] == ["0001", "0002"]
    first, second = (sorted(path.name for path in folder.iterdir()) for folder in folders)
    name, texts = sorted(first, reverse=True)
    assert first == second and name.startswith("val_") and texts == "sentences.txt"
    with Image.open(folders[0] / name) as strip:
        assert strip.size == (4 * 256 + 3 * 4, 256)  # before, after, truth, ours
    text = (folders[0] / "sentences.txt").read_text().splitlines()
    assert text[0] == name and text[1].startswith("ours: ") and text[2].startswith("truth: ")
    train(settings(world_folder, tmp_path / "none", val_pictures=0))
    assert not (phase_of(tmp_path / "none").root / "pictures").exists()


def test_pairs_of_one_name_in_two_datasets_have_a_picture_each(tmp_path):
    shown = [
        (f"{folder}/a.png", Image.new("RGB", (4, 4), colour), "") for folder, colour in (("x", 1), ("y", 2))
    ]
    write_pictures(tmp_path, shown)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-2.png", "a.png", "sentences.txt"]
    assert Image.open(tmp_path / "a-2.png").getpixel((0, 0)) == shown[1][1].getpixel((0, 0))


@pytest.fixture
def scored(monkeypatch):
    """The validated metric of each epoch, in place of what a model scores."""

    def run(*values):
        left = list(values)
        known = {"captions": {"flag_accuracy": None, "all": {}}, "change": None}

        def score(*_, **__):
            known["captions"]["flag_accuracy"] = left.pop(0)
            return SimpleNamespace(to_json=lambda: copy.deepcopy(known))

        monkeypatch.setattr("semantic_cc.training.validate.score", score)

    return run


def test_the_best_model_is_kept_and_patience_stops(world_folder, tmp_path, scored):
    scored(60.0, 70.0, 70.0, 65.0, 90.0)
    config = settings(world_folder, tmp_path / "run", epochs=5, patience=2)
    train(config)
    assert [row["flag"] for row in rows(tmp_path / "run")] == ["60.0000", "70.0000", "70.0000", "65.0000"]
    assert (
        load_pretrained(phase_of(tmp_path / "run").best)[1].training["phases"]["multitask"]["epoch"] == 2
    )  # the first of equals
    assert load_pretrained(tmp_path / "run" / "model")[1].training["phases"]["multitask"]["epoch"] == 4
    train(config, resume=True)  # it stays stopped
    assert len(rows(tmp_path / "run")) == 4


def test_a_resumed_epoch_replaces_its_row(world_folder, tmp_path, scored):
    scored(60.0, 50.0, 55.0)
    config = settings(world_folder, tmp_path / "run")
    folder = phase_of(tmp_path / "run")
    kept = tmp_path / "kept.pt"
    original = Validation.run

    def keep(self, fabric, model, epoch):
        if epoch == 2:
            shutil.copy(folder.state, kept)  # the state before epoch 2 is finished
        return original(self, fabric, model, epoch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Validation, "run", keep)
        train(config)
    shutil.copy(kept, folder.state)
    folder.finished.unlink()
    train(config, resume=True)
    assert [(row["epoch"], row["flag"]) for row in rows(tmp_path / "run")] == [
        ("1", "60.0000"),
        ("2", "55.0000"),
    ]
    assert epoch_of(folder.best) == 1


def test_refusals(world_folder, tmp_path):
    with pytest.raises(DataError, match="cannot draw 3 of 2 items"):
        train(settings(world_folder, tmp_path / "many", val_items=3))
    assert not (tmp_path / "many").exists()
    without_masks = load_config(
        "tiny+table2-enhancer",
        {"data": str(world_folder), "out": str(tmp_path / "run"),
         "train": {"val_items": 2}, **multitask(items=2, val_metric="building_f1")},
    )  # fmt: skip
    with pytest.raises(DataError, match=r"cannot measure val_metric building_f1"):
        train(without_masks)

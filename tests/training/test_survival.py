"""Runs survive: processes killed at any moment, and a disk that is full while something is saved."""

import csv
import hashlib
import resource
from pathlib import Path

import pytest
from phases import multitask, phase_of
from processes import forked, survives_kills

from semantic_cc.checkpoint.serialization import load_pretrained
from semantic_cc.config import Config, load_config
from semantic_cc.training.pipeline import train


@pytest.fixture
def config(data, tmp_path):
    """Name -> a short run with everything that could be lost: augmentation, dropout, validation, an average."""

    def make(name: str, checkpoint_every: int = 2) -> Config:
        settings = {
            "checkpoint_every": checkpoint_every, "val_items": 2, "keep_every": 1, "sort_by_length": True,
        }  # fmt: skip
        phases = multitask(epochs=2, augment=True, ema=0.9, val_metric="cider")
        overrides = {"data": str(data), "out": str(tmp_path / name), "train": settings, **phases}
        return load_config("tiny", {**overrides, "hardware": {"accelerator": "cpu"}})

    return make


def outcome(config: Config) -> dict[str, object]:
    """All that a run leaves that must not depend on how often it was cut off."""
    root = Path(config.out)
    folder = phase_of(root)
    files = sorted(
        path
        for path in root.rglob("*")
        if path.suffix in (".safetensors", ".json") and path.name != "finished.json"
    )
    left: dict[str, object] = {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }
    with folder.log.open(newline="") as file:
        left["log"] = [{**row, "seconds": ""} for row in csv.DictReader(file)]
    left["validation"] = folder.validation.read_text()
    left["unfinished"] = [path.name for path in root.rglob(".*") if path.name != ".hidden"]
    return left


def test_twenty_random_kills_change_nothing(config):
    expected = survives_kills(
        lambda name: train(config(name), resume=True), lambda name: outcome(config(name))
    )
    assert len(expected["log"]) == 18 and len(expected) == 3 + 2 * 5  # two models, best and two kept ones


@pytest.mark.parametrize("what", ["state", "model"])
def test_a_full_disk_while_saving_leaves_what_was_there(what, config, capfd):
    whole = config("whole")
    train(whole)
    expected = outcome(whole)

    full = config("full", checkpoint_every=2 if what == "state" else 500)  # 500: the model is saved first
    folder = phase_of(full.out)
    kept = _first_epoch(full)
    limit = folder.state.stat().st_size // (2 if what == "state" else 20)

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))  # a write beyond it fails as on a full disk
        train(full, resume=True)

    run = forked(limited)
    run.join()
    assert run.exitcode == 1
    assert f"cannot write the {'training state' if what == 'state' else 'model'}" in capfd.readouterr().out
    assert {path: path.read_bytes() for path in kept} == kept
    load_pretrained(folder.model)
    train(full, resume=True)
    assert outcome(full) == expected


def _first_epoch(config: Config) -> dict[Path, bytes]:
    """Runs until the first epoch's end; the model and state it left."""
    from semantic_cc.training.staged_task import StagedTask

    class Cut(Exception):
        pass

    take = StagedTask.take

    def cut(self, step):
        if step.epoch == 1:
            raise Cut
        return take(self, step)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StagedTask, "take", cut)
        with pytest.raises(Cut):
            train(config)
    folder = phase_of(config.out)
    return {path: path.read_bytes() for path in (folder.state, folder.model / "model.safetensors")}

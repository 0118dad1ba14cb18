"""Where the curves go: log.csv, TensorBoard, Weights & Biases; and where the time went."""

import csv
import importlib.util
import struct

import pytest
from phases import ALL, multitask, phase_of
from PIL import Image

from semantic_cc.config import load_config
from semantic_cc.errors import ConfigError
from semantic_cc.training import loggers
from semantic_cc.training.pipeline import train
from semantic_cc.training.state import PhaseFolder


def settings(data, out, only=ALL, epochs=1, val_metric=None, **train):
    phases = multitask(only=only, epochs=epochs, val_metric=val_metric)
    overrides = {
        "data": str(data),
        "out": str(out),
        "train": train,
        "hardware": {"accelerator": "cpu"},
        **phases,
    }
    return load_config("tiny", overrides)


def events_of(folder):
    """TensorBoard's events in the order they were written: TFRecords of Event messages."""
    from tensorboardX.proto.event_pb2 import Event

    for path in sorted(folder.glob("events.*"), key=lambda path: path.stat().st_mtime):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            yield Event.FromString(content[12 : 12 + length])
            content = content[16 + length :]


def test_tensorboard_has_the_curves_of_the_csv(data, tmp_path):
    train(settings(data, tmp_path / "run", val_metric="cider", val_items=2))
    with (phase_of(tmp_path / "run").root / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    events = list(events_of(phase_of(tmp_path / "run").root / "tensorboard"))
    scalars = {(v.tag, e.step): v.simple_value for e in events for v in e.summary.value}
    for row in rows:
        assert scalars[f"{row['stage']}/loss", int(row["step"])] == pytest.approx(float(row["loss"]))
        assert scalars["lr", int(row["step"])] == pytest.approx(float(row["lr"]))
    assert {tag for tag, step in scalars if step == 9} >= {"joint/flag", "val/cider", "val/building_f1"}


def test_no_loggers_leave_the_csv_alone(data, tmp_path):
    train(settings(data, tmp_path / "run", loggers=[]))
    assert not (phase_of(tmp_path / "run").root / "tensorboard").exists()
    assert (phase_of(tmp_path / "run").root / "log.csv").exists()


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="the extra wandb is not installed")
def test_wandb_offline(data, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    config = settings(data, tmp_path / "run", only=("change",), loggers=["wandb"])
    train(config)
    (written,) = (phase_of(tmp_path / "run").root / "wandb").glob("offline-run-*/run-*.wandb")
    assert (phase_of(tmp_path / "run").root / "wandb.id").read_text() in written.name
    assert b"change/loss" in written.read_bytes()


def test_a_logger_that_is_not_installed_is_named_before_the_run(data, tmp_path, monkeypatch):
    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"train\.loggers wandb needs the package wandb: pip install wandb"):
        train(settings(data, tmp_path / "run", loggers=["wandb"]))
    assert not (tmp_path / "run").exists()


def test_pictures_reach_tensorboard(tmp_path):
    folder = PhaseFolder(tmp_path)
    with loggers.Logs(folder, load_config("tiny"), 0) as opened:
        opened.picture(3, "val/a.png", Image.new("RGB", (8, 4), (255, 0, 0)), "a house is built")
    values = [(e.step, v) for e in events_of(tmp_path / "tensorboard") for v in e.summary.value]
    assert [(step, v.tag) for step, v in values] == [(3, "val/a.png"), (3, "val/a.png/text_summary")]
    assert (values[0][1].image.width, values[0][1].image.height) == (8, 4)
    assert values[1][1].tensor.string_val == [b"a house is built"]


def test_rows_after_the_state_are_cut_back(tmp_path):
    folder = PhaseFolder(tmp_path)
    config = load_config("tiny", {"train": {"loggers": []}})
    with loggers.Logs(folder, config, 0) as opened:
        for step in (1, 2, 3):
            opened.step(step, 1, "change", {"loss": step / 2}, 0.1, 0.5)
    with folder.log.open("a") as file:
        file.write("4,1,cha")  # killed in the middle of a line
    with loggers.Logs(folder, config, 2) as opened:
        opened.step(3, 1, "change", {"loss": 9.0}, 0.1, 0.5)
    rows = list(csv.DictReader(folder.log.open()))
    assert [(row["step"], row["loss"]) for row in rows] == [("1", "0.5"), ("2", "1.0"), ("3", "9.0")]


def test_the_profile_books_each_part(data, tmp_path, capsys):
    train(settings(data, tmp_path / "run", epochs=2))
    rows = list(csv.DictReader((phase_of(tmp_path / "run").root / "profile.csv").open()))
    parts = {(row["stage"], row["part"]) for row in rows}
    everywhere = {"data", "encoder", "neck", "losses", "optimiser", "logs and checkpoints"}
    assert parts == {
        *(("change", part) for part in everywhere | {"change decoder"}),
        *(("caption", part) for part in everywhere | {"Q-Former", "LLM"}),
        *(("joint", part) for part in everywhere | {"change decoder", "Q-Former", "LLM"}),
    }
    for stage in ("change", "caption", "joint"):
        assert sum(float(row["share"]) for row in rows if row["stage"] == stage) == pytest.approx(1, abs=1e-3)
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("time of ")]
    assert [line.split(":")[0] for line in told] == ["time of change", "time of caption", "time of joint"]


def test_kept_models(data, tmp_path):
    train(settings(data, tmp_path / "run", epochs=5, keep_every=2, only=("change",)))
    kept = sorted(path.name for path in (phase_of(tmp_path / "run").root / "epochs").iterdir())
    assert kept == ["0002", "0004"]

"""Several processes are one: the same losses, the same model, and one voice when something is wrong."""

import csv
import re
import sys

import pytest
import torch
from phases import multitask, phase_of
from processes import forked, together
from safetensors.torch import load_file

from semantic_cc.config import Config, HardwareConfig, load_config, merge
from semantic_cc.errors import ConfigError, DataError, InputError
from semantic_cc.training import devices
from semantic_cc.training.pipeline import train

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")

# Batches that do not come out even over two devices with two pieces each: 4 + 2, 4 + 2 and 5 + 1 items.
PHASES = multitask(
    epochs=4,
    augment=True,
    val_metric="cider",
    stages={"change": {"batch": 4}, "caption": {"batch": 4}, "joint": {"batch": 5}},
)


@pytest.fixture
def config(data, tmp_path):
    """Name of the run, overrides -> its configuration, on the CPU, without dropout (it is drawn by device)."""

    def make(name: str, **overrides) -> Config:
        own = {
            "data": str(data), "out": str(tmp_path / name), "train": {"val_items": 2}, **PHASES,
            "model": {"llm": {"lora": {"dropout": 0.0}}}, "hardware": {"accelerator": "cpu"},
        }  # fmt: skip
        return load_config("tiny", merge(own, overrides))

    return make


def losses(config: Config) -> list[list[float]]:
    with phase_of(config.out).log.open(newline="") as file:
        return [
            [float(row[name]) for name in ("loss", "change", "caption", "flag") if row[name]]
            for row in csv.DictReader(file)
        ]


@pytest.mark.parametrize(
    "more",
    [
        {"hardware": {"sharding": "ddp"}},
        {"hardware": {"sharding": "fsdp"}, "train": {"accumulate": 2, "gradient_checkpointing": True}},
    ],
    ids=["ddp", "fsdp"],
)
def test_two_processes_take_the_steps_of_one(more, config):
    one = config("one")
    two = config("two", **merge({"hardware": {"devices": 2}}, more))
    runs = [forked(lambda: train(one))]
    assert together([lambda: train(two)] * 2) == [0, 0]
    runs[0].join()
    assert runs[0].exitcode == 0
    expected, found = losses(one), losses(two)
    assert len(expected) == 24
    assert [len(row) for row in found] == [len(row) for row in expected]
    for step, row in zip(found, expected, strict=True):
        assert step == pytest.approx(row, rel=0, abs=1e-5)
    tensors = [load_file(f"{run.out}/model/model.safetensors") for run in (one, two)]
    # one kind of file; AdamW makes whole steps (1e-3) of gradients that are all rounding
    torch.testing.assert_close(*tensors, rtol=0, atol=1e-3)


def test_a_run_goes_on_with_other_devices(config, monkeypatch):
    whole = config("whole")
    train(whole)
    first = config("moved", hardware={"devices": 2})
    again = config("moved")
    monkeypatch.setattr("semantic_cc.training.step.Stepper.take", _stops_at(7))
    assert together([lambda: train(first)] * 2) == [1, 1]
    monkeypatch.undo()
    train(again, resume=True)
    for step, row in zip(losses(again), losses(whole), strict=True):
        assert step == pytest.approx(row, rel=0, abs=1e-5)


def _stops_at(step: int):
    from semantic_cc.training.step import Stepper

    take = Stepper.take

    def taken(self, turn, cache=None):
        if turn.number == step:
            raise DataError("stopped")
        return take(self, turn, cache)

    return taken


def test_what_one_process_cannot_read_ends_all_with_its_words(config, data, capfd):
    broken = config(
        "broken", hardware={"devices": 2}, phases={"multitask": {"stages": {"caption": None, "joint": None}}}
    )
    victim = data / "images" / "train" / "A" / "train_p3.png"
    victim.write_bytes(victim.read_bytes()[:60])
    assert together([lambda: train(broken)] * 2) == [1, 1]
    told = re.findall(r"refused: (.*)", capfd.readouterr().out)
    assert len(told) == 2 and all("train_p3.png: damaged" in line for line in told)


def test_only_the_first_process_speaks(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(SystemExit) as end, devices.first_process_speaks():
        raise InputError("wrong")
    assert end.value.code == 2
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(InputError, match="wrong"), devices.first_process_speaks():
        raise InputError("wrong")


@pytest.mark.parametrize(
    ("hardware", "message"),
    [
        ({"accelerator": "cuda", "devices": 99}, "hardware: "),
        ({"accelerator": "cpu", "sharding": "fsdp"}, r"fsdp needs hardware\.devices of at least 2"),
    ],
)
def test_hardware_that_is_not_there(hardware, message):
    with pytest.raises(ConfigError, match=message):
        devices.fabric_of("float32", HardwareConfig(**hardware))


def test_as_many_processes_as_devices(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ConfigError, match=r"3 processes were started, but .* is 2"):
        devices.fabric_of("float32", HardwareConfig(accelerator="cpu", devices=2))

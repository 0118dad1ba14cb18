"""What a run will take: counted right, and agreeing with the run itself."""

import csv

import pytest
import torch
from phases import multitask, phase_of

from semantic_cc.checkpoint.build import build_model
from semantic_cc.config import load_config, merge
from semantic_cc.errors import ConfigError
from semantic_cc.training.compute_cost import PeakMemory, cost_of
from semantic_cc.training.pipeline import train
from semantic_cc.training.run_estimate import estimate_run

MIB = 2**20


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_operations_and_memory_of_a_known_computation(device):
    x = torch.zeros(256, 512, device=device)
    w = torch.zeros(512, 1024, device=device, requires_grad=True)

    def work():
        (x @ w).sum().backward()

    operations, peak = cost_of(work)
    assert operations == 2 * (2 * 256 * 512 * 1024)  # forward, and the gradient of w
    assert peak == pytest.approx(2 * MIB, rel=0.01)  # the gradient of w, when the product is gone


def test_freed_memory_is_not_counted():
    with PeakMemory() as memory:
        for _ in range(5):
            torch.zeros(MIB, dtype=torch.uint8)
    assert MIB <= memory.peak < 2 * MIB + 1


@pytest.fixture
def settings(data, tmp_path):
    def make(**overrides):
        own = {
            "data": str(data),
            "out": str(tmp_path / "run"),
            **multitask(epochs=2),
            "hardware": {"accelerator": "cpu"},
        }
        return load_config("tiny", merge(own, overrides))

    return make


@pytest.mark.parametrize("device", [None, "a100-80gb"])
def test_the_plan_agrees_with_the_run(device, settings, tmp_path):
    config = settings()
    plan = estimate_run(config, device)
    assert not (tmp_path / "run").exists()
    train(config)
    with phase_of(tmp_path / "run").log.open() as file:
        rows = list(csv.DictReader(file))
    assert plan.steps == len(rows) == 18
    assert [(stage.stage, stage.steps) for stage in plan.phases] == [
        ("change", 6),
        ("caption", 6),
        ("joint", 6),
    ]
    model = build_model(config.model)
    assert plan.parts[-1].total == sum(p.numel() for p in model.parameters())
    assert all(stage.operations > 0 and stage.memory > 0 and stage.seconds > 0 for stage in plan.phases)
    assert plan.hours == pytest.approx(sum(6 * stage.seconds for stage in plan.phases) / 3600)
    if device:
        assert plan.phases[0].seconds == pytest.approx(plan.phases[0].operations / (0.35 * 156e12))  # float32


def test_options_show_in_the_memory(settings):
    deep = {
        "model": {"encoder": {"depth": 12}},
        **multitask(stages={"change": {"batch": 6}}),
    }  # layers take the memory
    plain = estimate_run(settings(**deep), "a100-80gb").phases[0]
    again = estimate_run(
        settings(**merge(deep, {"train": {"gradient_checkpointing": True}})), "a100-80gb"
    ).phases[0]
    assert again.memory < 0.9 * plain.memory
    assert again.operations > 1.1 * plain.operations
    plain = estimate_run(settings(), "a100-80gb")
    averaged = estimate_run(settings(phases={"multitask": {"ema": 0.9}}), "a100-80gb")
    spread = estimate_run(settings(hardware={"devices": 2, "sharding": "fsdp"}), "a100-80gb")
    assert spread.held < plain.held < averaged.held
    assert spread.phases[0].operations == pytest.approx(plain.phases[0].operations / 2, rel=0.01)
    kept = estimate_run(settings(phases={"multitask": {"cache_features": True}}), "a100-80gb")
    assert (plain.cached, kept.cached) == (0, 6 * 2 * 2 * 2 * (32 + 16) * 4)  # 6 pairs, 2 x 2 tokens a date


def test_steps_of_a_sharded_run_are_timed_in_one_process(settings):
    plan = estimate_run(settings(hardware={"devices": 2, "sharding": "fsdp"}))
    assert plan.hours > 0


def test_the_plan_keeps_no_features(settings, tmp_path):
    frozen = {"model": {"encoder": {"adapt": "frozen", "bcsf": False}}, **multitask(cache_features=True)}
    estimate_run(settings(**merge(frozen, {"train": {"features": str(tmp_path / "features")}})))
    assert not (tmp_path / "features").exists()


def test_an_unknown_device(settings):
    with pytest.raises(ConfigError, match="no device 'abacus' is known; choose one of: v100-32gb, "):
        estimate_run(settings(), "abacus")


def test_the_command_prints_and_writes_nothing(settings, cli, tmp_path, data):
    out = tmp_path / "run"
    call = ["train", "--config", "tiny", "--data", str(data), "--out", str(out), "--phases.encoder", "null"]
    done = cli(*call, "--plan", "h100-80gb")
    assert done.code == 0, done.stderr
    for word in (
        "trained in caption",
        "GFLOP a step",
        "steps",
        "hours on 1 x h100-80gb",
        "memory of each device",
    ):
        assert word in done.stdout
    assert not out.exists()
    unknown = cli("train", "--config", "tiny", "--data", str(data), "--plan", "abacus")
    assert (unknown.code, "no device 'abacus'" in unknown.stderr) == (2, True)

"""A preset's sizes with random weights are measured as the benchmark says. No figure of speed is asserted."""

import json
from collections.abc import Callable
from time import perf_counter

import pytest
import torch

from semantic_cc.bench import random_weights
from semantic_cc.bench.machine import Machine
from semantic_cc.bench.model_cost import count_batch_costs, count_costs
from semantic_cc.bench.random_weights import (
    PROMPT_TOKENS,
    SENTENCE_TOKENS,
    RandomWeightsOptions,
    bench_random_weights,
)
from semantic_cc.checkpoint.meta_model import random_model
from semantic_cc.config import load_config
from semantic_cc.errors import ConfigError, InputError
from semantic_cc.model.semantic_cc import SemanticCCModel
from semantic_cc.runtime.torch_runtime import TorchRuntime

MACHINE = Machine("a processor", 2, 0.1, {"torch": "2.13"}, {"float32": 100.0, "bfloat16": 200.0}, 10.0)
PARTS = ["encoder", "neck", "change decoder", "Q-Former", "prompt", "generation", "other"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine is not measured."""
    monkeypatch.setattr(random_weights, "measure_machine", lambda device: MACHINE)


def test_every_part_of_every_batch_is_measured() -> None:
    options = RandomWeightsOptions(config="tiny", device="cpu", rounds=2, batches=(1, 3))
    report = bench_random_weights(options)
    assert (report.device, report.llm_dtype, report.autocast, report.beams) == ("cpu", "float32", False, 1)
    assert (report.prompt_tokens, report.sentence_tokens) == (PROMPT_TOKENS, SENTENCE_TOKENS)
    assert [batch.pairs for batch in report.batches] == [1, 3]
    for batch in report.batches:
        assert list(batch.parts) == PARTS and sorted(batch.costs) == sorted(PARTS)
        # two parts are differences of times: where other work runs beside, they may be below zero
        measured = [part for part in PARTS[:-1] if part not in ("prompt", "generation")]
        assert min(batch.parts[part] for part in measured) > 0 and batch.parts["other"] >= 0
        assert batch.reached.keys() == {*PARTS[:-1], "in all"}
        assert batch.reached["in all"] * batch.pairs / batch.described == pytest.approx(
            sum(cost.limit for cost in batch.costs.values())
        )
        assert batch.peak_gigabytes is None
    assert json.loads(json.dumps(report.to_json()))["batches"][1]["pairs"] == 3


def test_on_a_gpu_memory_and_compiled_decoding_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device's name only: all tensors lie on the CPU, where transformers compiles nothing."""
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    waited: list[torch.device] = []
    monkeypatch.setattr(random_weights, "find_device", lambda name: gpu)
    monkeypatch.setattr(random_weights, "random_model", lambda config, device: random_model(config, cpu))
    monkeypatch.setattr(random_weights, "check_compiled", lambda config, device: None)
    monkeypatch.setattr(
        TorchRuntime, "_tensor", lambda self, images: torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    )
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 2_500_000_000)
    monkeypatch.setattr(random_weights, "device_time", lambda device: waited.append(device) or perf_counter())
    report = bench_random_weights(
        RandomWeightsOptions(config="tiny", device="cuda", compiled=True, rounds=1, batches=(2,))
    )
    assert report.device == "cuda" and report.compiled
    assert report.batches[0].peak_gigabytes == 2.5
    assert waited and set(waited) == {gpu}


@pytest.mark.parametrize("decoding", ["greedy", "beam"])
@pytest.mark.parametrize("template", ["minigpt4", "chatml"])
def test_no_sentence_ends_early(decoding: str, template: str) -> None:
    values = {"flag_head": False, "decoding": decoding, "llm": {"template": template, "max_new_tokens": 16}}
    model = random_model(load_config("tiny", {"model": values}).model, torch.device("cpu"))
    assert isinstance(model, SemanticCCModel)
    prompt, instruction = random_weights._fix_lengths(model.caption_decoder)
    (row,) = model.caption_decoder._prompts(torch.zeros(1, 4, 32), [instruction])
    assert len(row) == prompt == PROMPT_TOKENS
    before, after = torch.rand(2, 5, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    found = model.predict(before, after, [instruction])
    assert [len(text) for text in found.sentence] == [16] * 5
    assert all(text.isalpha() for text in found.sentence)


def test_costs_of_batches() -> None:
    model = random_model(load_config("tiny").model, torch.device("cpu"))
    assert isinstance(model, SemanticCCModel)
    decoder = model.caption_decoder
    layers = sum(value.numel() for value in decoder.llm.get_decoder().layers.parameters())
    head = decoder.llm.get_output_embeddings().weight.numel()
    found = count_batch_costs(model, 64, (1, 4), 10, 3, MACHINE)
    one, four = found[1], found[4]
    assert one["encoder"] == count_costs(model, 64, 3, MACHINE)["encoder"]
    assert four["encoder"].gflops == pytest.approx(4 * one["encoder"].gflops)
    assert four["encoder"].gigabytes == one["encoder"].gigabytes
    assert four["prompt"].gflops * 1e9 == pytest.approx(2 * 4 * (10 * layers + head))
    assert four["generation"].gflops * 1e9 == pytest.approx(2 * 4 * 2 * (layers + head))
    cached = 2 * 2 * 2 * 1 * 16  # keys and values, two bytes, two layers, one head of 16
    assert four["generation"].gigabytes * 1e9 == pytest.approx(
        2 * 2 * (layers + head) + 4 * cached * (10 + 11)
    )


def test_the_floor_of_the_papers_sizes() -> None:
    """What docs/performance.md computes for an H100's data sheet: 989 TFLOP/s in bfloat16, 3.35 TB/s."""
    h100 = Machine("", 1, 0.0, {}, {"bfloat16": 989e3}, 3350.0)
    model = random_model(load_config("paper").model, torch.device("meta"))
    assert isinstance(model, SemanticCCModel)
    found = count_batch_costs(model, 256, (1, 8, 64), PROMPT_TOKENS, SENTENCE_TOKENS, h100)
    pairs = {size: size / sum(cost.limit for cost in costs.values()) for size, costs in found.items()}
    assert pairs == pytest.approx({1: 15.6, 8: 106, 64: 334}, rel=0.005)
    parts = {part: cost.limit * 1e3 / 64 for part, cost in found[64].items()}
    assert [parts[part] for part in PARTS[:-1]] == pytest.approx(
        [0.553, 0.050, 0.031, 0.028, 1.179, 1.152], abs=0.001
    )


def test_what_cannot_be_measured_is_refused() -> None:
    def refused(error: type[InputError], match: str, **options: object) -> None:
        with pytest.raises(error, match=match):
            bench_random_weights(RandomWeightsOptions(**{"config": "tiny", "device": "cpu", **options}))

    refused(InputError, "must be at least 1", batches=(0,))
    refused(InputError, "needs the method semantic-cc, but rsiccformer has rsiccformer",
            config="rsiccformer")  # fmt: skip
    refused(InputError, "compiled decoding needs a GPU", compiled=True)
    refused(InputError, "no device 'abacus'", device="abacus")
    refused(ConfigError, "abacus", config="abacus")


def test_the_command(cli: Callable) -> None:
    words = ("bench", "--random-weights", "tiny", "--device", "cpu", "--rounds", "1", "--batches", "2")
    shown = cli(*words)
    assert shown.code == 0, shown.stderr
    text = " ".join(shown.stdout.split())
    for part in (
        "tiny with random weights: 0.00 billion parameters, pairs of 64 px; vision in float32, language model in "
        "float32, greedy search, prompts of 90 tokens, sentences of 16",
        "limit of its processor: 100 GFLOP/s float32",
        "batch described/s tokens/s reached peak GB",
        "ms of a batch (least) 2",
        *PARTS,
    ):
        assert part in text
    found = json.loads(cli(*words, "--json").stdout)
    assert [batch["pairs"] for batch in found["batches"]] == [2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--random-weights", "tiny", "--scenes", "64"], "--random-weights takes no --scenes"),
        (["--random-weights", "tiny", "--runtime", "openvino"], "--random-weights takes no --runtime"),
        (["--random-weights", "tiny", "--model", "folder"], "not allowed with argument"),
        (["--random-weights", "tiny", "--split", "val"], "--random-weights takes no --split"),
        (["--compiled"], "--compiled is only for --random-weights"),
        (["--limit", "3"], "--limit is only for --equal"),
        (["--equal", "data", "--batches", "4"], "--equal takes no --batches"),
        (["--equal", "data", "--scenes", "64"], "--equal takes no --scenes"),
    ],
)
def test_flags_that_do_not_go_together(words: list[str], message: str, cli: Callable) -> None:
    refused = cli("bench", *words)
    assert refused.code == 2 and message in refused.stderr

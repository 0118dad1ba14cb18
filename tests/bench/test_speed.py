"""The benchmark measures what it says. No figure of speed is asserted."""

import itertools
import json
import sys
from collections.abc import Callable
from copy import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from PIL import Image

from semantic_cc import SemanticCC
from semantic_cc.bench import machine, speed
from semantic_cc.bench.bench_plot import draw_bench
from semantic_cc.bench.bench_report import BatchSpeed, BenchReport, ColdStart, PairSpeed, SceneSpeed
from semantic_cc.bench.commands import Peer, PeerTiming, environment_for, read_peer, run_process, time_peers
from semantic_cc.bench.machine import Machine, measure_machine
from semantic_cc.bench.model_cost import PartCost, count_costs
from semantic_cc.bench.model_parts import counted_by_part
from semantic_cc.bench.speed import BenchOptions, baseline_runtime, run_bench, time_parts
from semantic_cc.bench.timing import Timing, time_in_turns
from semantic_cc.errors import InputError, SemanticCCError

MACHINE = Machine("a processor", 2, 0.1, {"torch": "2.13"}, {"float32": 100.0, "bfloat16": 200.0}, 10.0)


def test_a_timing_is_the_median_and_the_95th_percentile() -> None:
    assert Timing.of([5.0, 1.0, 3.0]) == Timing(3.0, 5.0, 3)
    assert Timing.of([float(n) for n in range(1, 101)]).p95 == 95.0


def test_alternatives_take_turns_after_a_run_that_is_not_counted() -> None:
    called: list[str] = []
    found = time_in_turns({name: lambda name=name: called.append(name) for name in "ab"}, 2)
    assert called == list("ababab")
    assert {name: timing.runs for name, timing in found.items()} == {"a": 2, "b": 2}


def test_the_machine_is_measured() -> None:
    found = measure_machine()
    assert min(*found.gflops.values(), found.bandwidth) > 0
    assert found.versions["torch"] and found.cores >= 1 and found.cpu and found.gpu is None


def test_a_gpu_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name only: the arrays lie on the CPU."""
    devices: list[torch.device] = []
    waited: list[torch.device] = []

    def on_cpu(make: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def made(*size: int, device: torch.device, **options: Any) -> torch.Tensor:
            devices.append(device)
            return make(*size, **options)

        return made

    for name in ("randn", "ones"):
        monkeypatch.setattr(torch, name, on_cpu(getattr(torch, name)))
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"the GPU {device}")
    monkeypatch.setattr(machine, "GPU_SIDE", 64)
    monkeypatch.setattr(machine, "GPU_BYTES", 1024)
    found = measure_machine(torch.device("cuda:1"))
    assert found.gpu == "the GPU cuda:1" and "CUDA" in found.versions
    assert min(*found.gflops.values(), found.bandwidth) > 0
    assert devices == [torch.device("cuda:1")] * 4 and len(waited) == 3 * 5 * 2


def test_costs_follow_from_the_sizes(reference: SemanticCC) -> None:
    few, many = (count_costs(reference.model, 64, tokens, MACHINE) for tokens in (3, 5))
    layers, head = reference.model.llm.get_decoder().layers, reference.model.llm.get_output_embeddings()
    llm = sum(value.numel() for value in layers.parameters()) + head.weight.numel()
    beams = reference.model.caption_decoder.beams
    assert few["vision"] == many["vision"] and few["vision"].gflops > 0
    assert many["language model"].gflops - few["language model"].gflops == pytest.approx(
        2 * 2 * llm * beams / 1e9
    )
    assert few["language model"].gigabytes == pytest.approx(2 * 3 * llm / 1e9)
    cost = many["language model"]
    assert cost.limit == pytest.approx(max(cost.gflops / 200, cost.gigabytes / 10))


def test_the_costs_of_the_parts_add_up(reference: SemanticCC) -> None:
    costs = count_costs(reference.model, 64, 3, MACHINE)
    assert list(costs) == [
        "encoder",
        "neck",
        "change decoder",
        "Q-Former",
        "other",
        "vision",
        "language model",
    ]
    parts = [costs[name] for name in list(costs)[:5]]
    assert sum(cost.gflops for cost in parts) == pytest.approx(costs["vision"].gflops)
    assert sum(cost.gigabytes for cost in parts) == pytest.approx(costs["vision"].gigabytes)
    assert min(cost.gflops for cost in parts[:4]) > 0
    neck = sum(value.numel() for value in reference.model.neck.parameters())
    assert costs["neck"].gigabytes == pytest.approx(2 * neck / 1e9)


def test_a_part_counts_what_runs_in_its_modules(reference: SemanticCC) -> None:
    model, calls = reference.model, itertools.count()
    images = torch.zeros(1, 3, 64, 64)
    with counted_by_part(model, lambda: float(next(calls))) as found:
        features = model.encode(images, images)
        assert found == {"encoder": 1, "neck": 0, "change decoder": 0, "Q-Former": 0}
        model.decode(images, images, features)
    assert found["neck"] == 1 and found["change decoder"] >= 1 and found["Q-Former"] == 0
    model.encode(images, images)
    assert found["encoder"] == 1 and next(calls) == 2 * sum(found.values())  # no hook is left


@pytest.mark.parametrize("is_torch", [True, False])
def test_the_parts_of_a_description(is_torch: bool, reference: SemanticCC, tmp_path: Path) -> None:
    files = tmp_path / "before.png", tmp_path / "after.png"
    for seed, path in enumerate(files):
        pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(path)
    model = reference
    if not is_torch:
        model = copy(reference)
        model.runtime = MagicMock(wraps=reference.runtime)  # as a runtime whose torch model is not at hand
    found = time_parts(model, files)
    inner = ["encoder", "neck", "change decoder", "Q-Former"] if is_torch else []
    assert list(found) == ["read", *inner, "vision", "language model"]
    assert min(found.values()) > 0
    assert found["vision"] >= sum(found[part] for part in inner)


PEER = """
import json, pathlib, sys
pairs, out = map(pathlib.Path, sys.argv[1:3])
names = sorted(path.name for path in (pairs / "A").iterdir())
assert names == sorted(path.name for path in (pairs / "B").iterdir())
if sys.argv[3] == "masks":
    for name in names:
        (out / name).write_bytes((pairs / "A" / name).read_bytes())
else:
    (out / "sentences.json").write_text(json.dumps({name: "a house" for name in names[: int(sys.argv[4])]}))
"""


def peer(*words: str, writes: str) -> Peer:
    return Peer("theirs", (sys.executable, "-c", PEER, "{pairs}", "{out}", *words), writes)


def test_the_pair_that_is_timed_by_itself_has_a_sentence_of_median_length() -> None:
    lengths = [3, 9, 4, 0, 12, 5, 8, 2, 7, 6]  # 0 = unchanged
    images: list[np.ndarray] = []

    def describe(before: np.ndarray, after: np.ndarray) -> SimpleNamespace:
        images.append(after)
        length = lengths[len(images) - 1]
        return SimpleNamespace(changed=length > 0, sentence=" ".join(["word"] * length))

    model: Any = SimpleNamespace(describe=describe)
    changed, unchanged, sentence = speed._find_pairs(model, 64, 2)
    assert sentence.split() == ["word"] * 6
    assert len(images) == len(lengths)
    assert np.array_equal(changed[1][0], images[lengths.index(6)])
    assert np.array_equal(
        changed[1][1:], [images[i] for i, length in enumerate(lengths) if length not in (0, 6)]
    )
    assert np.array_equal(unchanged[1], images[3:4])


def test_a_peer_is_run_on_pairs(tmp_path: Path) -> None:
    images = np.zeros((3, 16, 16, 3), np.uint8)
    peers = [peer("masks", writes="masks"), peer("sentences", "3", writes="sentences")]
    found = time_peers(peers, images, images, 1)
    assert [timing.writes for timing in found] == ["masks", "sentences"]
    assert all(timing.start > 0 and timing.peak_gigabytes > 0 for timing in found)
    with pytest.raises(SemanticCCError, match="theirs wrote no result for 1 of 3 pairs"):
        time_peers([peer("sentences", "2", writes="sentences")], images, images, 1)


def test_the_memory_of_a_process_is_its_own() -> None:
    held = np.ones(400_000_000, np.uint8)  # of this process, which must not count
    assert run_process([sys.executable, "-S", "-c", "pass"]).peak_gigabytes < 0.1
    assert held[-1] == 1
    grown = run_process([sys.executable, "-S", "-c", "x = b'1' * 300_000_000"])
    assert 0.3 < grown.peak_gigabytes < 0.4


@pytest.mark.parametrize(
    ("device", "shown", "expected"),
    [
        (None, None, {}),
        ("cuda", "4,7", {}),
        ("cpu", "4,7", {"CUDA_VISIBLE_DEVICES": ""}),
        ("cuda:1", None, {"CUDA_VISIBLE_DEVICES": "1"}),
        ("cuda:1", "4,7", {"CUDA_VISIBLE_DEVICES": "7"}),
    ],
)
def test_a_process_computes_on_the_device(
    device: str | None, shown: str | None, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if shown is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)
    assert environment_for(device) == expected
    program = "import os; print(os.environ.get('CUDA_VISIBLE_DEVICES'))"
    seen = run_process([sys.executable, "-S", "-c", program], environment_for(device)).output.strip()
    assert seen == str(expected.get("CUDA_VISIBLE_DEVICES", shown))


def test_a_failing_program_is_one_line() -> None:
    with pytest.raises(SemanticCCError, match=r"ended with exit code 3: no weights"):
        run_process([sys.executable, "-c", "import sys; print('no weights', file=sys.stderr); sys.exit(3)"])
    with pytest.raises(SemanticCCError, match=r"no-such-program cannot be started: .*No such file"):
        run_process(["no-such-program"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "needs name, command"),
        ('{"name": "x", "command": ["run", "{pairs}"], "writes": "masks"}', "must contain {pairs} and {out}"),
        ('{"name": "x", "command": ["run", "{pairs}", "{out}"], "writes": "maps"}', "masks or sentences"),
    ],
)
def test_a_wrong_adapter_is_refused(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "peer.json"
    with pytest.raises(InputError, match="cannot be read"):
        read_peer(path)
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_peer(path)


@pytest.mark.parametrize("method", ["rsiccformer", "fc-siam-diff"])
def test_a_baseline_runs_at_the_models_sizes(
    method: str, reference: SemanticCC, pairs: tuple[np.ndarray, np.ndarray]
) -> None:
    runtime = baseline_runtime(reference, method)
    assert runtime.config.encoder.width == reference.info.config.encoder.width
    found = runtime.predict(pairs[0][:1], pairs[1][:1])
    assert (found.class_probabilities is None) == (method == "rsiccformer")
    with pytest.raises(InputError, match="no method 'abacus' to compare with; choose from rsiccformer"):
        baseline_runtime(reference, "abacus")


def report() -> BenchReport:
    """A report with made-up figures."""
    timing = Timing(0.5, 0.75, 5)
    return BenchReport(
        machine=MACHINE, model="small", digest="0123456789abcdef", runtime="openvino", image_size=256,
        pair=PairSpeed(timing, timing, timing, {"read": 0.007, "vision": 0.1, "language model": 0.4}),
        batches=(BatchSpeed(1, 2.0, 3.0, 40.0), BatchSpeed(8, 5.0, 6.0, 90.0)),
        cold_start=ColdStart(timing, 0.6),
        scenes=(SceneSpeed(2048, 30.0, 10.0, {"masks": 10.0, "sentences": 20.0}, 7, 1.1),),
        costs={
            "neck": PartCost(1.25, 0.1, 0.05),
            "vision": PartCost(10.0, 0.1, 0.05),
            "language model": PartCost(20.0, 1.5, 0.15),
        },
        reached={"vision": 0.5, "language model": 0.375},
        baselines={"rsiccformer": timing},
        peers=(PeerTiming("theirs", "masks", 3.0, 0.2, 1.5),),
    )  # fmt: skip


def test_a_report_is_drawn_and_plain() -> None:
    assert draw_bench(report()).startswith(b"\x89PNG")
    content = json.loads(json.dumps(report().to_json()))
    assert content["pair"]["changed"]["median"] == 0.5
    assert content["scenes"][0]["parts"]["sentences"] == 20.0


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    from semantic_cc.cli.bench import _print_speed

    _print_speed(report())
    text = " ".join(capsys.readouterr().out.split())
    for part in (
        "200 GFLOP/s bfloat16",
        "rsiccformer",
        "38%",
        "0.007",
        "neck 1.25 0.10 0.050 - -",
        "--runtime torch measures its parts",
        "scene, s 2048 px",
        "sentences 20.0",
        "theirs",
        "90.0",
        "load average 0.10",
    ):
        assert part in text


def test_wrong_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="must be at least 1"):
        run_bench(BenchOptions(rounds=0))


@pytest.mark.slow
def test_the_command(cli: Callable, reference: SemanticCC, shaken_folder: Path, tmp_path: Path) -> None:
    plot = tmp_path / "bench.png"
    outcome = cli("bench", "--model", shaken_folder, "--runtime", "torch", "--rounds", "1", "--batches", "1", "2",
                  "--scenes", "64", "--against", "rsiccformer", "--plot", plot, "--json")  # fmt: skip
    assert outcome.code == 0, outcome.stderr  # on a busy machine it has lines of progress
    found = json.loads(outcome.stdout)
    assert [batch["pairs"] for batch in found["batches"]] == [1, 2]
    assert found["runtime"] == "torch" and found["baselines"].keys() == {"rsiccformer"}
    assert found["reached"].keys() == found["costs"].keys() - {"other"}
    steps = ("start", "read", "masks", "rasters", "polygons", "sentences", "files")
    assert tuple(found["scenes"][0]["parts"]) == steps
    assert found["scenes"][0]["side"] == 64 and found["cold_start"]["peak_gigabytes"] > 0
    assert plot.is_file()

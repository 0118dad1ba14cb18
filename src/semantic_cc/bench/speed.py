"""Measures latency, throughput, cold start and scenes of a model, beside baselines, peers and the machine's limit."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from semantic_cc.bench.bench_report import BatchSpeed, BenchReport, ColdStart, PairSpeed, SceneSpeed
from semantic_cc.bench.commands import Peer, environment_for, own_command, run_process, time_peers
from semantic_cc.bench.machine import measure_machine
from semantic_cc.bench.model_cost import PartCost, count_costs
from semantic_cc.bench.model_parts import counted_by_part
from semantic_cc.bench.timing import Timing, time_in_turns
from semantic_cc.compute_device import find_device
from semantic_cc.errors import InputError
from semantic_cc.model.base import device_time
from semantic_cc.model.prompter import Prompter
from semantic_cc.model.semantic_cc import SemanticCCModel
from semantic_cc.predictor import SemanticCC
from semantic_cc.progress import Advance
from semantic_cc.runtime.interface import Runtime, RuntimeName
from semantic_cc.synth.procedural import generate_pair

SEED = 2027
"""Seed of the drawn pairs and scenes; no training set uses it."""

MOST_DRAWN = 64
"""Pairs drawn in search of changed and unchanged ones."""

LEAST_CHANGED = 9
"""Changed pairs, at least, among which the one with a sentence of median length is timed by itself."""

PEER_PAIRS = 8
"""Pairs that a peer gets."""


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """What is measured.

    Attributes:
        model, device, runtime: as in `SemanticCC.from_pretrained`.
        rounds: counted runs of each piece of work, which take turns.
        batches: batch sizes of the throughput.
        scenes: sides of synthetic scenes in pixels; empty = none.
        against: compared methods of `baselines`, at the model's sizes with random weights.
        peers: other programs.
    """

    model: str = "small"
    device: str | None = None
    runtime: RuntimeName = "auto"
    rounds: int = 5
    batches: tuple[int, ...] = (1, 4, 8, 16, 32)
    scenes: tuple[int, ...] = (2048, 4096)
    against: tuple[str, ...] = ()
    peers: tuple[Peer, ...] = ()


def run_bench(options: BenchOptions, progress: Advance | None = None) -> BenchReport:
    """Measures a model on this machine.

    Args:
        options: what is measured.
        progress: called with (step, done, of all).

    Raises:
        InputError: a number is below 1, an unknown method, or the model calls no drawn pair changed (unchanged).
        CheckpointError, SemanticCCError: the model cannot be loaded, or a process fails.
    """
    if min((options.rounds, *options.batches, *options.scenes)) < 1:
        raise InputError("bench: rounds, batch sizes and scene sides must be at least 1")
    report = progress or (lambda step, done, total: None)
    machine = measure_machine(find_device(options.device))
    model = SemanticCC.from_pretrained(
        options.model, options.device, runtime=options.runtime, progress=progress
    )
    torch_model = model.model
    side = model.info.config.encoder.image_size
    changed, unchanged, sentence = _find_pairs(model, side, max(options.batches))
    prompter: Prompter = torch_model.caption_decoder.prompter
    pair, baselines = _time_pairs(model, changed, unchanged, options, report)
    batches = _time_batches(model, prompter, changed, options, report)
    costs: dict[str, PartCost] = {}
    reached: dict[str, float] = {}
    if isinstance(torch_model, SemanticCCModel):
        costs = count_costs(torch_model, side, len(prompter.answer_ids(sentence)), machine)
        reached = {part: cost.limit / pair.parts[part] for part, cost in costs.items() if part in pair.parts}
    peers = time_peers(options.peers, changed[0][:PEER_PAIRS], changed[1][:PEER_PAIRS], options.rounds)
    return BenchReport(
        machine=machine,
        model=model.info.name,
        digest=model.info.digest,
        runtime=model.runtime.name,
        image_size=side,
        pair=pair,
        batches=batches,
        cold_start=_time_cold_start(options, changed, report),
        scenes=tuple(_time_scene(options, scene, report) for scene in options.scenes),
        costs=costs,
        reached=reached,
        baselines=baselines,
        peers=tuple(peers),
    )


Dates = tuple[np.ndarray, np.ndarray]
"""Earlier and later images, (n, H, W, 3) uint8."""


def _find_pairs(model: SemanticCC, side: int, count: int) -> tuple[Dates, Dates, str]:
    """Drawn pairs that the model calls changed, `count` or more, repeated if need be; and one unchanged pair.

    The first changed pair is the one whose sentence has the median length, which is returned too: time grows with it.
    """
    count = max(count, LEAST_CHANGED)
    found: dict[bool, list[tuple[np.ndarray, np.ndarray]]] = {True: [], False: []}
    sentences: list[str] = []
    for index in range(MOST_DRAWN):
        drawn = generate_pair(SEED, index, side)
        described = model.describe(drawn.before, drawn.after)
        found[described.changed].append((drawn.before, drawn.after))
        if described.changed:
            sentences.append(described.sentence)
        if len(found[True]) >= count and found[False]:
            break
    for kind, word in ((True, "changed"), (False, "unchanged")):
        if not found[kind]:
            raise InputError(
                f"bench: the model calls none of {MOST_DRAWN} drawn pairs {word}; use another model"
            )
    by_length = sorted(range(len(sentences)), key=lambda place: len(sentences[place].split()))
    median = by_length[len(sentences) // 2]
    found[True].insert(0, found[True].pop(median))
    repeated = [found[True][i % len(found[True])] for i in range(count)]
    return _stacked(repeated), _stacked(found[False][:1]), sentences[median]


def _stacked(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> Dates:
    before, after = (np.stack(dates) for dates in zip(*pairs, strict=True))
    return before, after


def _time_pairs(
    model: SemanticCC, changed: Dates, unchanged: Dates, options: BenchOptions, report: Advance
) -> tuple[PairSpeed, dict[str, Timing]]:
    one: Dates = changed[0][:1], changed[1][:1]
    steps: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        files = _write_pair(Path(folder) / "changed", changed)
        unchanged_files = _write_pair(Path(folder) / "unchanged", unchanged)

        def describe_changed() -> None:
            for part, seconds in time_parts(model, files).items():
                steps.setdefault(part, []).append(seconds)

        work: dict[str, Callable[[], object]] = {
            "changed": describe_changed,
            "unchanged": lambda: model.describe(*unchanged_files),
            "mask": lambda: model.runtime.predict_class_probabilities(*one),
        }
        for method in options.against:
            baseline = baseline_runtime(model, method)
            work[method] = lambda baseline=baseline: baseline.predict(*one)  # type: ignore[misc]
        timings = time_in_turns(work, options.rounds, lambda done, total: report("pairs", done, total))
    parts = {part: statistics.median(seconds[1:]) for part, seconds in steps.items()}
    pair = PairSpeed(timings["changed"], timings["unchanged"], timings["mask"], parts)
    return pair, {method: timings[method] for method in options.against}


def time_parts(model: SemanticCC, files: tuple[Path, Path]) -> dict[str, float]:
    """Part -> seconds of one description; see `PairSpeed`. The vision part of openvino is one graph, without parts."""
    from semantic_cc.runtime.torch_runtime import TorchRuntime

    parts: dict[str, float] = {}
    if isinstance(model.runtime, TorchRuntime) and isinstance(model.runtime.model, SemanticCCModel):
        clock = partial(device_time, model.runtime.torch_device)
        with counted_by_part(model.runtime.model, clock) as parts:
            timings = model.describe(*files).timings
    else:
        timings = model.describe(*files).timings
    qformer = parts.get("Q-Former", 0.0)  # torch counts it among the sentence
    vision = sum(timings.get(step, 0.0) for step in ("vision", "encode", "mask")) + qformer
    language = timings.get("sentence", 0.0) - qformer
    return {"read": timings["read"], **parts, "vision": vision, "language model": language}


def _write_pair(stem: Path, dates: Dates) -> tuple[Path, Path]:
    """Writes the first pair as two PNG files and returns their paths."""
    before, after = (stem.with_name(f"{stem.name}_{name}.png") for name in ("before", "after"))
    for path, date in zip((before, after), dates, strict=True):
        Image.fromarray(date[0]).save(path)
    return before, after


def baseline_runtime(model: SemanticCC, method: str) -> Runtime:
    """A compared method at the sizes of a model, with random weights, on the torch runtime.

    Raises:
        InputError: there is no such method.
    """
    import torch

    from semantic_cc.checkpoint.build import build_model
    from semantic_cc.config.model import CAPTIONING_METHODS, CHANGE_METHODS
    from semantic_cc.foundation.llm import load_llm
    from semantic_cc.runtime.torch_runtime import TorchRuntime

    if method not in (*CAPTIONING_METHODS, *CHANGE_METHODS):
        known = ", ".join((*CAPTIONING_METHODS, *CHANGE_METHODS))
        raise InputError(f"bench: no method {method!r} to compare with; choose from {known}")
    config = replace(
        model.info.config,
        method=method,  # type: ignore[arg-type]
        change_task=method in CHANGE_METHODS,
        flag_head=False,
        keywords=(),
        decoding="greedy",
        baseline=replace(model.info.config.baseline, vocabulary=("many", "houses", "are", "built")),
    )
    llm = load_llm(config.llm) if config.has_llm else None
    device = model.runtime.torch_device if isinstance(model.runtime, TorchRuntime) else torch.device("cpu")
    return TorchRuntime(build_model(config, llm=llm).to(device), device)


def _time_batches(
    model: SemanticCC, prompter: Prompter, changed: Dates, options: BenchOptions, report: Advance
) -> tuple[BatchSpeed, ...]:
    writing: dict[int, list[float]] = {size: [] for size in options.batches}
    tokens: dict[int, int] = {}

    def describe(size: int) -> None:
        found = model.runtime.predict(changed[0][:size], changed[1][:size])
        writing[size].append(found.timings["sentence"])
        tokens[size] = sum(len(prompter.answer_ids(text)) for text in found.sentence)

    work: dict[str, Callable[[], object]] = {}
    for size in options.batches:
        work[f"described {size}"] = lambda size=size: describe(size)  # type: ignore[misc]
        work[f"masks {size}"] = (
            lambda size=size: model.runtime.predict_class_probabilities(  # type: ignore[misc]
                changed[0][:size], changed[1][:size]
            )
        )
    timings = time_in_turns(work, options.rounds, lambda done, total: report("batches", done, total))
    return tuple(
        BatchSpeed(
            pairs=size,
            described=size / timings[f"described {size}"].median,
            masks=size / timings[f"masks {size}"].median,
            tokens=tokens[size] / statistics.median(writing[size][1:]),
        )
        for size in options.batches
    )


def _time_cold_start(options: BenchOptions, changed: Dates, report: Advance) -> ColdStart:
    with tempfile.TemporaryDirectory() as folder:
        files = _write_pair(Path(folder) / "changed", changed)
        command = own_command("describe", *map(str, files), *_model_words(options))
        runs = []
        for number in range(options.rounds + 1):
            runs.append(run_process(command, environment_for(options.device)))
            report("cold starts", number + 1, options.rounds + 1)
    return ColdStart(Timing.of([run.seconds for run in runs[1:]]), max(run.peak_gigabytes for run in runs))


def _time_scene(options: BenchOptions, side: int, report: Advance) -> SceneSpeed:
    with tempfile.TemporaryDirectory() as folder:
        drawn, out = Path(folder) / "scene", Path(folder) / "out"
        run_process(own_command("synth", str(drawn), "--scene", str(side), "--seed", str(SEED)))
        images = (str(drawn / "before.tif"), str(drawn / "after.tif"))
        report(f"scene of {side}", 0, 1)
        run = run_process(
            own_command("describe", *images, "--out", str(out), "--json", *_model_words(options)),
            environment_for(options.device),
        )
        report(f"scene of {side}", 1, 1)
    found = json.loads(run.output)
    timings = {step: float(seconds) for step, seconds in found["timings"].items()}
    parts = {"start": run.seconds - timings.pop("total"), **timings}
    return SceneSpeed(
        side=side,
        seconds=run.seconds,
        without_sentences=run.seconds - parts["sentences"],
        parts=parts,
        places=len(found["places"]),
        peak_gigabytes=run.peak_gigabytes,
    )


def _model_words(options: BenchOptions) -> tuple[str, ...]:
    return "--model", options.model, "--runtime", options.runtime

"""Measure how fast this machine describes pairs and scenes, or compare two runtimes.

Measures a warm pair, throughput by batch size, a cold start and synthetic scenes, counts the model's operations and
bytes, and measures the limits of the machine. Methods of --against and programs of --peer take turns with the model in
the same run (docs/performance.md). Nothing else should run meanwhile; the load average is part of the result.

With --random-weights, measures a model of a preset's sizes with random weights instead, on one device: throughput by
batch size, the parts of a batch, the peak memory of a GPU, and the limits of the device.

With --equal, predicts the pairs of a dataset with the torch reference on a CPU, and with --runtime on --device, and
compares masks, flags, sentences and scores. The exit code is 1 if they are not equal within the documented limits.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from semantic_cc.cli.console import add_runtime, positive, say, show, stdout_for_us
from semantic_cc.types import SPLITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table

    from semantic_cc.bench.bench_report import BenchReport
    from semantic_cc.bench.equality import EqualityReport
    from semantic_cc.bench.machine import Machine
    from semantic_cc.bench.random_weights import RandomWeightsReport

AnyReport = TypeVar("AnyReport", "BenchReport", "EqualityReport", "RandomWeightsReport")

NAME = "bench"
HELP = "measure the speed of this machine, or compare two runtimes"
_ROUNDS, _BATCHES = 5, (1, 4, 8, 16, 32)
_EQUALITY = ("--split", "--limit", "--batch")
_SPEED = ("--plot", "--against", "--peer", "--scenes")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--model", metavar="NAME|DIR", default="small", help="a shipped model, a folder or a hub id [small]"
    )
    what.add_argument(
        "--random-weights", metavar="NAME|FILE.yaml",
        help="the sizes of a preset or a configuration, with random weights; needs no download",
    )  # fmt: skip
    add_runtime(parser)
    parser.add_argument(
        "--device", metavar="DEVICE", help="for example cpu or cuda:1 [cuda where there is one, else cpu]"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the result as one JSON object and nothing else"
    )
    speed = parser.add_argument_group("speed")
    speed.add_argument("--rounds", metavar="N", type=positive, help="timed runs of each measurement [5]")
    speed.add_argument(
        "--batches", metavar="N", type=positive, nargs="+",
        help="batch sizes [1 4 8 16 32]",
    )  # fmt: skip
    speed.add_argument(
        "--scenes", metavar="PIXELS", type=positive, nargs="*",
        help="sides of synthetic scenes; without a value, no scenes are measured [2048 4096]",
    )  # fmt: skip
    speed.add_argument(
        "--against", metavar="METHOD", nargs="+", default=[],
        help="compared methods (rsiccformer, changeformer, ...) at the model's sizes, with random weights",
    )  # fmt: skip
    speed.add_argument(
        "--peer", metavar="FILE.json", nargs="+", default=[], help="adapter files of other programs"
    )
    speed.add_argument("--plot", metavar="FILE.png", help="also draw the result (semantic-cc[figures])")
    speed.add_argument(
        "--compiled", action="store_true",
        help="on a GPU, with --random-weights: compile a step of greedy search for each batch size",
    )  # fmt: skip
    equal = parser.add_argument_group("equality of runtimes")
    equal.add_argument("--equal", metavar="DIR", nargs="+", help="dataset to compare on, or several to join")
    equal.add_argument("--split", choices=SPLITS, help="split to compare on [test]")
    equal.add_argument("--limit", metavar="N", type=positive, help="compare only N pairs, drawn with seed 0")
    equal.add_argument("--batch", metavar="N", type=positive, help="pairs predicted at once [8]")


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from semantic_cc.errors import InputError

    if arguments.random_weights is not None:
        given = ("--runtime",) if arguments.runtime == "openvino" else ()
        _refuse(arguments, "--random-weights", "--equal", *_EQUALITY, *_SPEED, *given)
        _run_random_weights(arguments)
    elif arguments.equal is not None:
        _refuse(arguments, "--equal", "--rounds", "--batches", *_SPEED, "--compiled")
        _run_equality(arguments)
    else:
        for flag, owner in (*((flag, "--equal") for flag in _EQUALITY), ("--compiled", "--random-weights")):
            if getattr(arguments, flag[2:]):
                raise InputError(f"bench: {flag} is only for {owner}; leave it out")
        _run_speed(arguments)


def _refuse(arguments: argparse.Namespace, what: str, *flags: str) -> None:
    from semantic_cc.errors import InputError

    given = [flag for flag in flags if getattr(arguments, flag[2:]) not in (None, [], False)]
    if given:
        raise InputError(f"bench: {what} takes no {', '.join(given)}; leave it out")


def _give(report: AnyReport, as_json: bool, print_tables: Callable[[AnyReport], None]) -> None:
    if as_json:
        print(json.dumps(report.to_json(), ensure_ascii=False))
    else:
        print_tables(report)


def _run_random_weights(arguments: argparse.Namespace) -> None:
    with stdout_for_us():
        from semantic_cc.bench.random_weights import RandomWeightsOptions, bench_random_weights
        from semantic_cc.progress import progress_of_steps

        options = RandomWeightsOptions(
            config=arguments.random_weights,
            device=arguments.device,
            compiled=arguments.compiled,
            rounds=arguments.rounds or _ROUNDS,
            batches=tuple(arguments.batches or _BATCHES),
        )
        with progress_of_steps() as advance:
            report = bench_random_weights(options, advance)
    _give(report, arguments.json, _print_random_weights)


def _print_random_weights(report: RandomWeightsReport) -> None:
    search = f"beam search ({report.beams} beams)" if report.beams > 1 else "greedy search"
    say(
        f"{report.config} with random weights: {report.parameters / 1e9:.2f} billion parameters, pairs of "
        f"{report.image_size} px; vision in {'bfloat16' if report.autocast else 'float32'}, language model in "
        f"{report.llm_dtype}, {'compiled ' if report.compiled else ''}{search}, prompts of {report.prompt_tokens} "
        f"tokens, sentences of {report.sentence_tokens}"
    )
    _print_machine(report.machine)
    table = _table("batch", "described/s", "tokens/s", "reached", "peak GB")
    for batch in report.batches:
        peak = "-" if batch.peak_gigabytes is None else f"{batch.peak_gigabytes:.1f}"
        table.add_row(str(batch.pairs), f"{batch.described:.1f}", f"{batch.tokens:.0f}",
                      f"{batch.reached['in all']:.0%}", peak)  # fmt: skip
    show(table)
    table = _table("ms of a batch (least)", *(str(batch.pairs) for batch in report.batches))
    for part in report.batches[0].parts:
        table.add_row(part, *(f"{batch.parts[part] * 1e3:.2f} ({batch.costs[part].limit * 1e3:.2f})"
                              for batch in report.batches))  # fmt: skip
    show(table)


def _run_equality(arguments: argparse.Namespace) -> None:
    from semantic_cc.errors import SemanticCCError

    with stdout_for_us():
        from semantic_cc.bench.equality import compare_with_reference
        from semantic_cc.progress import progress_of_steps

        with progress_of_steps() as advance:
            report = compare_with_reference(
                arguments.model, arguments.equal, arguments.split or "test",
                runtime=arguments.runtime, device=arguments.device, limit=arguments.limit,
                batch=arguments.batch or 8, progress=partial(advance, "pairs"),
            )  # fmt: skip
    _give(report, arguments.json, _print_equality)
    if not report.is_equal:
        failed = [criterion.name for criterion in report.criteria if not criterion.holds]
        raise SemanticCCError(f"{report.runtime} is not equal to {report.reference}: {', '.join(failed)}")


def _print_equality(report: EqualityReport) -> None:
    table = _table(f"{report.runtime} against {report.reference}", "found", "limit", "")
    for criterion in report.criteria:
        found = "-" if criterion.value is None else f"{criterion.value:.4f}"
        limit = f"{'at most' if criterion.is_maximum else 'at least'} {criterion.limit:g}"
        table.add_row(criterion.name, found, limit, "" if criterion.holds else "not kept")
    say(f"{report.pairs} pairs")
    show(table)
    if report.worst_pair is not None:
        say(f"lowest IoU of buildings: {report.worst_pair}")
    for name, (expected, found) in report.sentences.items():
        say(f"{name}: {expected} | {found}")


def _run_speed(arguments: argparse.Namespace) -> None:
    from semantic_cc.files import check_file, write_files

    plot = None if arguments.plot is None else check_file(arguments.plot)
    with stdout_for_us():
        from semantic_cc.bench.bench_plot import draw_bench
        from semantic_cc.bench.commands import read_peer
        from semantic_cc.bench.speed import BenchOptions, run_bench
        from semantic_cc.progress import progress_of_steps

        options = BenchOptions(
            model=arguments.model,
            device=arguments.device,
            runtime=arguments.runtime,
            rounds=arguments.rounds or _ROUNDS,
            batches=tuple(arguments.batches or _BATCHES),
            scenes=BenchOptions.scenes if arguments.scenes is None else tuple(arguments.scenes),
            against=tuple(arguments.against),
            peers=tuple(read_peer(Path(path)) for path in arguments.peer),
        )
        with progress_of_steps() as advance:
            report = run_bench(options, advance)
    if plot is not None:
        write_files(plot.parent, {plot.name: draw_bench(report)})
    _give(report, arguments.json, _print_speed)


def _print_speed(report: BenchReport) -> None:
    pair = report.pair
    say(
        f"{report.model} (sha256 {report.digest[:12]}), runtime {report.runtime}, pairs of {report.image_size} px"
    )
    _print_machine(report.machine)
    table = _table("one warm pair", "median s", "p95 s", "runs")
    rows = {
        "changed": pair.changed,
        "unchanged": pair.unchanged,
        "mask without a sentence": pair.mask,
        **report.baselines,
    }
    for name, timing in rows.items():
        table.add_row(name, f"{timing.median:.3f}", f"{timing.p95:.3f}", str(timing.runs))
    cold = report.cold_start
    table.add_row("cold start", f"{cold.time.median:.2f}", f"{cold.time.p95:.2f}", str(cold.time.runs))
    show(table)
    say(f"a cold start holds {cold.peak_gigabytes:.2f} GB at most")
    table = _table("batch", "described/s", "masks/s", "tokens/s")
    for batch in report.batches:
        table.add_row(str(batch.pairs), *(f"{v:.1f}" for v in (batch.described, batch.masks, batch.tokens)))
    show(table)
    _print_parts(report)
    if report.scenes:
        table = _table("scene, s", *(f"{scene.side} px" for scene in report.scenes))
        table.add_row("in all", *(f"{scene.seconds:.1f}" for scene in report.scenes))
        table.add_row("without sentences", *(f"{scene.without_sentences:.1f}" for scene in report.scenes))
        for step in report.scenes[0].parts:
            table.add_row(f"  {step}", *(f"{scene.parts[step]:.1f}" for scene in report.scenes))
        table.add_row("places", *(str(scene.places) for scene in report.scenes))
        table.add_row("peak GB", *(f"{scene.peak_gigabytes:.2f}" for scene in report.scenes))
        show(table)
    if report.peers:
        table = _table("peer", "writes", "one pair s", "each further s", "peak GB")
        for peer in report.peers:
            table.add_row(peer.name, peer.writes, f"{peer.start:.2f}", f"{peer.per_pair:.3f}",
                          f"{peer.peak_gigabytes:.2f}")  # fmt: skip
        show(table)


def _print_machine(machine: Machine) -> None:
    say(f"machine: {machine.cpu}, {machine.cores} logical cores, load average {machine.load:.2f} at the start; "
        + ", ".join(f"{name} {version}" for name, version in machine.versions.items()))  # fmt: skip
    say(f"limit of {machine.gpu or 'its processor'}: "
        + ", ".join(f"{value:,.0f} GFLOP/s {kind}" for kind, value in machine.gflops.items())
        + f", {machine.bandwidth:.1f} GB/s")  # fmt: skip
    if machine.load > 1:
        say("note: other work was running; the times are too long")


def _print_parts(report: BenchReport) -> None:
    table = _table("part of a changed pair", "GFLOP", "GB read", "least s", "measured s", "reached")
    measured = report.pair.parts
    for part in dict.fromkeys(["read", *report.costs, *measured]):
        cost = report.costs.get(part)
        counted = ["-"] * 3
        if cost is not None:
            counted = [f"{cost.gflops:.2f}", f"{cost.gigabytes:.2f}", f"{cost.limit:.3f}"]
        seconds = f"{measured[part]:.3f}" if part in measured else "-"
        table.add_row(
            part, *counted, seconds, f"{report.reached[part]:.0%}" if part in report.reached else "-"
        )
    show(table)
    if report.runtime == "openvino":
        say("vision is one graph of openvino; --runtime torch measures its parts")


def _table(first: str, *columns: str) -> Table:
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(first, box=SIMPLE)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table

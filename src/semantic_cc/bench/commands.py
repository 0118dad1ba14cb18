"""Timed processes: a cold start, a scene, and other programs that follow a small protocol."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from semantic_cc.errors import InputError, SemanticCCError

LINES = 3
"""Last lines of a failed program's output that an error shows."""


VISIBLE = "CUDA_VISIBLE_DEVICES"
"""CUDA's variable for the GPUs that a process is shown."""


@dataclass(frozen=True)
class ProcessRun:
    """A process that has ended well.

    Attributes:
        seconds: from its start to its end.
        peak_gigabytes: most memory that it held.
        output: what it printed.
    """

    seconds: float
    peak_gigabytes: float
    output: str


def run_process(command: Sequence[str], environment: Mapping[str, str] | None = None) -> ProcessRun:
    """Runs a command and waits for it.

    Args:
        command: its words.
        environment: variables that it gets besides those of this process.

    Raises:
        SemanticCCError: it cannot be started, or fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        usage = Path(folder) / "usage.json"
        done = subprocess.run(
            [sys.executable, "-S", "-c", _WATCH, str(usage), *command],
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, **(environment or {})},
        )
        if not usage.is_file():
            raise SemanticCCError(f"{command[0]} cannot be started: {_last_line(done.stderr)}")
        seconds, peak, code = json.loads(usage.read_text())
    if code:
        last = " / ".join(done.stderr.strip().splitlines()[-LINES:])
        raise SemanticCCError(f"{' '.join(command)} ended with exit code {code}: {last}")
    return ProcessRun(seconds, peak * 1024 / 1e9, done.stdout)


_WATCH = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
code = subprocess.run(sys.argv[2:]).returncode
seconds = time.perf_counter() - start
with open(sys.argv[1], "w") as file:
    json.dump([seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, code], file)
"""
"""Runs a command and writes its seconds, peak kilobytes and exit code.

In a small process of its own: Linux counts the memory of the process that starts a command towards the command's peak.
"""


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


def own_command(*words: str) -> list[str]:
    """A command line of this package, in a process of its own."""
    return [sys.executable, "-m", "semantic_cc", *words]


def environment_for(device: str | None) -> dict[str, str]:
    """Variables for a command of this package, which computes on the first GPU it is shown, without one on the CPU.

    Args:
        device: as in `SemanticCC.from_pretrained`.
    """
    kind, _, number = (device or "cuda").partition(":")
    if kind == "cpu":
        return {VISIBLE: ""}
    shown = os.environ.get(VISIBLE)
    return {VISIBLE: shown.split(",")[int(number)] if shown else number} if number else {}


@dataclass(frozen=True)
class Peer:
    """Another program that finds changes: its adapter file as values.

    Attributes:
        name: its name in tables.
        command: words; ``{pairs}`` and ``{out}`` stand for the input and output folders.
        writes: masks (``{out}/NAME.png``) or sentences (``{out}/sentences.json``, name -> sentence).
    """

    name: str
    command: tuple[str, ...]
    writes: str


@dataclass(frozen=True)
class PeerTiming:
    """Times of a peer.

    Attributes:
        name: the peer.
        writes: masks or sentences.
        start: seconds of a run on one pair.
        per_pair: seconds that each further pair adds.
        peak_gigabytes: most memory that it held.
    """

    name: str
    writes: str
    start: float
    per_pair: float
    peak_gigabytes: float


def read_peer(path: Path) -> Peer:
    """Reads an adapter file, see docs/performance.md.

    Raises:
        InputError: the file is missing or a value is wrong.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        peer = Peer(str(content["name"]), tuple(map(str, content["command"])), str(content["writes"]))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give a peer's adapter file") from error
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: needs name, command (a list of words) and writes: {error}") from error
    joined = " ".join(peer.command)
    if peer.writes not in ("masks", "sentences") or "{pairs}" not in joined or "{out}" not in joined:
        raise InputError(
            f"{path}: writes must be masks or sentences, and command must contain {{pairs}} and {{out}}"
        )
    return peer


def time_peers(peers: Sequence[Peer], before: np.ndarray, after: np.ndarray, rounds: int) -> list[PeerTiming]:
    """Runs every peer on one pair and on all pairs, in turns, and checks that it wrote its results.

    Args:
        peers: the programs.
        before, after: (n, H, W, 3) uint8, n at least 2.
        rounds: number of turns.

    Raises:
        SemanticCCError: a peer fails or leaves out a pair.
    """
    count = len(before)
    runs: dict[tuple[str, int], list[ProcessRun]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for pairs in (1, count):
            _write_pairs(Path(folder) / str(pairs), before[:pairs], after[:pairs])
        for _ in range(rounds):
            for peer in peers:
                for pairs in (1, count):
                    run = _run_peer(peer, Path(folder) / str(pairs), pairs)
                    runs.setdefault((peer.name, pairs), []).append(run)
    timings = []
    for peer in peers:
        one, all_ = (min(run.seconds for run in runs[peer.name, pairs]) for pairs in (1, count))
        peak = max(run.peak_gigabytes for run in runs[peer.name, count])
        timings.append(PeerTiming(peer.name, peer.writes, one, max(0.0, all_ - one) / (count - 1), peak))
    return timings


def _write_pairs(folder: Path, before: np.ndarray, after: np.ndarray) -> None:
    for date, images in (("A", before), ("B", after)):
        (folder / date).mkdir(parents=True)
        for number, image in enumerate(images):
            Image.fromarray(image).save(folder / date / f"{number:04d}.png")


def _run_peer(peer: Peer, pairs: Path, count: int) -> ProcessRun:
    with tempfile.TemporaryDirectory() as out:
        places = {"{pairs}": str(pairs), "{out}": out}
        command = list(peer.command)
        for mark, value in places.items():
            command = [word.replace(mark, value) for word in command]
        run = run_process(command)
        names = {f"{number:04d}.png" for number in range(count)}
        if peer.writes == "masks":
            written = {path.name for path in Path(out).glob("*.png")}
        else:
            file = Path(out) / "sentences.json"
            written = set(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else set()
        if not names <= written:
            raise SemanticCCError(f"{peer.name} wrote no result for {len(names - written)} of {count} pairs")
    return run

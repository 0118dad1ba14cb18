"""A whole batch: what is done already is left, the rest is worked on, and the tables are written at the end."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import secrets
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from semantic_cc import __version__
from semantic_cc.batch.batch_outputs import DATASET, write_changes, write_table
from semantic_cc.batch.local_engine import in_processes
from semantic_cc.batch.manifest import Entry
from semantic_cc.batch.pair_worker import Load, Outcome, Settings, Worker
from semantic_cc.batch.ray_engine import check_ray, over_ray
from semantic_cc.batch.result_folder import PAIRS, clear, read_record
from semantic_cc.files import check_folder, locked, write_files

SUMMARY = "batch.json"

Engine = Literal["local", "ray"]


@dataclass(frozen=True)
class Progress:
    """How far a batch is.

    Attributes:
        pairs: of the manifest.
        before: finished by an earlier run.
        worked: by this one, failed ones among them.
        failed: of those.
        last: how it went with the last one; None at the start.
    """

    pairs: int
    before: int
    worked: int = 0
    failed: int = 0
    last: Outcome | None = None


def run_batch(
    entries: Sequence[Entry],
    load: Load,
    settings: Settings,
    out: str | Path,
    *,
    workers: int = 1,
    engine: Engine = "local",
    progress: Callable[[Progress], None] | None = None,
) -> dict[str, Any]:
    """Describes all pairs of a manifest.

    A pair that an earlier run finished, with the same files, settings, model and version, is left as it is; one that
    fails is recorded, and the others go on. A run that is killed and started again ends with the same bytes as one that
    was not, but for what docs/batch.md lists.

    - ``pairs/ID/``: the results of each pair.
    - ``changes/``: the changes of all pairs, GeoParquet in parts.
    - ``pairs.csv``: a row for each pair.
    - ``batch.json``: what is returned.

    Args:
        entries: the pairs.
        load: loads the model; in other processes too, so it must be picklable for more than one worker.
        settings: how they are described.
        out: the folder.
        workers: processes, or actors; one local worker is this process.
        engine: who does the work.
        progress: called at the start and after each pair.

    Returns:
        Model, settings, numbers of pairs, seconds.

    Raises:
        InputError: Ray is not installed or not there.
        OutputError: `out` cannot be written, or another run is writing there.
        As `load`.
    """
    out = check_folder(out).absolute()
    if engine == "ray":
        check_ray()
    start = time.perf_counter()
    with locked(out / ".lock", wait=False):
        here = engine == "local" and workers == 1
        # Even where others do the work: the model is converted and found fit once, and its digest is known.
        run = secrets.token_hex(8)
        worker = Worker(load, settings, out, run, device=None if here else "cpu")
        model = {"name": worker.model.info.name, "digest": worker.model.info.digest}
        left = [entry for entry in entries if not worker.is_finished(entry)]
        if here:
            outcomes: Generator[Outcome] = (worker(entry) for entry in left)
        else:
            del worker
            work = over_ray if engine == "ray" else in_processes
            make = functools.partial(Worker, load, settings, out, run)
            outcomes = work(left, make, min(workers, len(left)))
        reasons = _follow(outcomes, len(entries), len(left), progress)
        _sweep(out)
        write_changes(out, [entry for entry in entries if entry.id not in reasons])
        write_table(out, entries, reasons)
        summary = {
            "version": __version__,
            "model": model,
            "settings": _plain(settings),
            "pairs": len(entries),
            "done": len(entries) - len(reasons),
            "failed": len(reasons),
            "timings": {"total": round(time.perf_counter() - start, 3)},
        }
        write_files(out, {SUMMARY: (json.dumps(summary, indent=2) + "\n").encode()})
    return summary


def _follow(
    outcomes: Generator[Outcome], pairs: int, left: int, progress: Callable[[Progress], None] | None
) -> dict[str, str]:
    """Waits for all outcomes; id -> reason of the failed pairs."""
    reasons: dict[str, str] = {}
    if progress:
        progress(Progress(pairs, pairs - left))
    with contextlib.closing(outcomes):
        for worked, outcome in enumerate(outcomes, 1):
            if outcome.reason is not None:
                reasons[outcome.id] = outcome.reason
            if progress:
                progress(Progress(pairs, pairs - left, worked, len(reasons), outcome))
    return reasons


def _sweep(out: Path) -> None:
    """Takes away what processes left that were killed, now that no pair is worked on."""
    for lock in (out / PAIRS).glob(".*.lock"):
        folder = lock.with_name(lock.name.removeprefix(".").removesuffix(".lock"))
        if read_record(folder) is None:
            clear(folder)
        lock.unlink()
    for path in (*out.glob(".*.tmp"), *(out / DATASET).glob("part=*/.*.tmp")):
        path.unlink()


def _plain(settings: Settings) -> dict[str, Any]:
    """Settings in plain JSON values."""
    options = settings.options
    found = asdict(dataclasses.replace(settings, options=dataclasses.replace(options, crs=None)))
    found["options"]["crs"] = None if options.crs is None else options.crs.to_string()
    return found

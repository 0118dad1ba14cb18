"""Runs a batch: keeps finished pairs, describes the others, and writes the tables at the end."""

from __future__ import annotations

import contextlib
import functools
import json
import secrets
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from semantic_cc import __version__
from semantic_cc.batch.batch_outputs import DATASET, TABLE, write_changes, write_table
from semantic_cc.batch.local_engine import in_processes, in_this_process
from semantic_cc.batch.manifest import ManifestEntry
from semantic_cc.batch.pair_worker import BatchSettings, Load, PairOutcome, PairWorker
from semantic_cc.batch.ray_engine import check_ray, over_ray
from semantic_cc.batch.result_folder import PAIRS, clear, folder_of, read_record
from semantic_cc.files import check_folder, check_not_inputs, identities, locked, write_files
from semantic_cc.scene.image_sources import is_remote
from semantic_cc.types import Json, ModelIdentity, to_json_value

SUMMARY = "batch.json"

Engine = Literal["local", "ray"]


@dataclass(frozen=True)
class BatchProgress:
    """The progress of a batch.

    Attributes:
        pairs: number of pairs in the manifest.
        before: number of pairs that an earlier run finished.
        worked: number of pairs that ended in this run, including failed ones.
        failed: number of pairs that failed in this run.
        last: the pair that ended last; None at the start.
    """

    pairs: int
    before: int
    worked: int = 0
    failed: int = 0
    last: PairOutcome | None = None


@dataclass(frozen=True)
class BatchSummary:
    """The result of a batch, as in batch.json.

    Attributes:
        version: version of semantic_cc.
        model: the model that described the pairs.
        settings: settings of the batch.
        pairs: number of pairs in the manifest.
        done: number of finished pairs, including those of earlier runs.
        failed: number of pairs that failed in this run.
        seconds: duration of this run.
    """

    version: str
    model: ModelIdentity
    settings: BatchSettings
    pairs: int
    done: int
    failed: int
    seconds: float

    def to_json(self) -> dict[str, Json]:
        """The summary as plain JSON values; the seconds are under ``timings``."""
        values = {part.name: to_json_value(getattr(self, part.name)) for part in fields(self)}
        return values | {"timings": {"total": values.pop("seconds")}}


def run_batch(
    entries: Sequence[ManifestEntry],
    load: Load,
    settings: BatchSettings,
    out: str | Path,
    *,
    workers: int = 1,
    engine: Engine = "local",
    progress: Callable[[BatchProgress], None] | None = None,
) -> BatchSummary:
    """Describes all pairs of a manifest.

    A pair that an earlier run finished with the same files, settings, model and version stays as it is. If a pair
    fails, the failure is recorded and the other pairs continue. A run that was killed and restarted writes the same
    bytes as an uninterrupted run, except for those that docs/batch.md lists. The output folder contains:

    - ``pairs/ID/``: the results of each pair.
    - ``changes/``: the change polygons of all pairs, as a GeoParquet dataset.
    - ``pairs.csv``: one row for each pair.
    - ``batch.json``: `BatchSummary.to_json`.

    Args:
        entries: the pairs.
        load: loads the model. Other worker processes call it too, so it must be picklable for more than one worker.
        settings: how the pairs are described.
        out: output folder.
        workers: number of processes or Ray actors; one local worker runs in this process.
        engine: "local" or "ray".
        progress: called at the start and after each pair.

    Raises:
        InputError: Ray is not installed or cannot be reached.
        OutputError: `out` cannot be written, another run uses it, or the batch would overwrite one of its images.
        Any error that `load` raises.
    """
    out = check_folder(out).absolute()
    if engine == "ray":
        check_ray()
    start = time.perf_counter()
    _check_inputs(out, entries)
    with locked(out / ".lock", wait=False):
        here = engine == "local" and workers == 1
        # Even where others do the work: the model is converted and found fit once, and its digest is known.
        run = secrets.token_hex(8)
        worker = PairWorker(load, settings, out, run, device=None if here else "cpu")
        model = ModelIdentity(worker.model.info.name, worker.model.info.digest)
        left = [entry for entry in entries if not worker.is_finished(entry)]
        if here:
            outcomes: Generator[PairOutcome] = in_this_process(left, worker)
        else:
            del worker
            work = over_ray if engine == "ray" else in_processes
            make = functools.partial(PairWorker, load, settings, out, run)
            outcomes = work(left, make, min(workers, len(left)))
        reasons = _follow(outcomes, len(entries), len(left), progress)
        _sweep(out)
        write_changes(out, [entry for entry in entries if entry.id not in reasons])
        write_table(out, entries, reasons)
        summary = BatchSummary(
            version=__version__,
            model=model,
            settings=settings,
            pairs=len(entries),
            done=len(entries) - len(reasons),
            failed=len(reasons),
            seconds=round(time.perf_counter() - start, 3),
        )
        write_files(out, {SUMMARY: (json.dumps(summary.to_json(), indent=2) + "\n").encode()})
    return summary


def _check_inputs(out: Path, entries: Sequence[ManifestEntry]) -> None:
    """Checks that no image lies where the batch writes or removes files; by identity, so links are found too.

    Raises:
        OutputError: one does.
    """
    images = identities(
        path for entry in entries for path in (entry.before, entry.after) if not is_remote(path)
    )
    check_not_inputs((out / TABLE, out / SUMMARY), images)
    for entry in entries:
        check_not_inputs(folder_of(out, entry).rglob("*"), images)


def _follow(
    outcomes: Generator[PairOutcome], pairs: int, left: int, progress: Callable[[BatchProgress], None] | None
) -> dict[str, str]:
    """Waits for all outcomes; id -> reason of the failed pairs."""
    reasons: dict[str, str] = {}
    if progress:
        progress(BatchProgress(pairs, pairs - left))
    with contextlib.closing(outcomes):
        for worked, outcome in enumerate(outcomes, 1):
            if outcome.reason is not None:
                reasons[outcome.id] = outcome.reason
            if progress:
                progress(BatchProgress(pairs, pairs - left, worked, len(reasons), outcome))
    return reasons


def _sweep(out: Path) -> None:
    """Removes what killed processes left, now that no pair is worked on."""
    for lock in (out / PAIRS).glob(".*.lock"):
        folder = lock.with_name(lock.name.removeprefix(".").removesuffix(".lock"))
        if read_record(folder) is None:
            clear(folder)
        lock.unlink()
    for path in (*out.glob(".*.tmp"), *(out / DATASET).glob("part=*/.*.tmp")):
        path.unlink()

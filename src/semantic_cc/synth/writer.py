"""Writes synthetic pairs as a dataset in the LEVIR-MCI layout: images, labels and the caption file."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from PIL import Image

from semantic_cc.data.labels import write_classes
from semantic_cc.data.layouts.caption_files import levir_entry
from semantic_cc.errors import InputError
from semantic_cc.files import new_folder
from semantic_cc.types import SPLITS as KNOWN_SPLITS

SPLITS: Mapping[str, float] = MappingProxyType({"train": 0.8, "val": 0.1, "test": 0.1})
"""Default fraction of the pairs in each split."""

RECORD = "synth.json"
"""Name of the file that records how a dataset was generated."""


@dataclass(frozen=True)
class MadePair:
    """One synthetic pair to be written.

    Attributes:
        images: folder ("A", "B", "label", ...) -> (H, W, 3) or (H, W) uint8.
        sentences: the captions.
        changed: the change flag.
    """

    images: Mapping[str, np.ndarray]
    sentences: tuple[str, ...]
    changed: bool


def write_pairs(
    out: Path,
    make: Callable[[int, str], MadePair],
    *,
    pairs: int,
    splits: Mapping[str, float],
    folders: Sequence[str],
    title: str,
    record: Callable[[Sequence[str]], Mapping[str, object]],
    workers: int | None,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Generates pairs in several processes and writes them to the new or empty folder `out`, completely or not at all.

    The output for given `make`, `pairs` and `splits` is byte-identical for any number of `workers`.

    Args:
        out: output folder.
        make: (index, split) -> pair; must be picklable.
        pairs: number of pairs.
        splits: split -> fraction; splits take consecutive ranges of the indices.
        folders: the image folders, the keys of `MadePair.images`.
        title: dataset title for the caption file.
        record: file names in order -> the content of `RECORD` other than the pair counts.
        workers: number of processes; None = one per core; 1 = the current process.
        progress: called with (done, total) after each pair.

    Raises:
        InputError: a number or share is out of range.
        OutputError: `out` is not empty or cannot be written.
        Any error that `make` raises.
    """
    if pairs < 1:
        raise InputError(f"synthetic pairs: pairs is {pairs}; give at least 1")
    if workers is not None and workers < 1:
        raise InputError(f"synthetic pairs: workers is {workers}; give at least 1")
    names = split_names(pairs, splits)
    with new_folder(out) as work:
        for split in dict.fromkeys(split for split, _ in names):
            for folder in folders:
                (work / "images" / split / folder).mkdir(parents=True)
        jobs = [(work, make, index, split, name) for index, (split, name) in enumerate(names)]
        entries = _run(jobs, min(workers or os.cpu_count() or 1, len(jobs)), progress)
        write_classes(work, ("road", "building"))  # label 0 means no road change, not unknown roads
        _write_json(work / "LevirCCcaptions.json", {"images": entries, "dataset": title})
        counts = {split: sum(own == split for own, _ in names) for split in splits}
        _write_json(work / RECORD, {"pairs": pairs, "splits": counts, **record([name for _, name in names])})


def split_names(pairs: int, splits: Mapping[str, float]) -> list[tuple[str, str]]:
    """The (split, file name) of each pair in order.

    Raises:
        InputError: a split is unknown, a share is negative, or the shares do not sum to 1.
    """
    if not splits or any(split not in KNOWN_SPLITS for split in splits) or min(splits.values()) < 0:
        raise InputError(
            f"synthetic pairs: splits are {dict(splits)}; give shares >= 0 of {', '.join(KNOWN_SPLITS)}"
        )
    if abs(sum(splits.values()) - 1) > 1e-6:
        raise InputError(
            f"synthetic pairs: the shares {dict(splits)} sum to {sum(splits.values()):g}; make them sum to 1"
        )
    names: list[tuple[str, str]] = []
    total = 0.0
    for split, share in splits.items():
        total += share
        start = len(names)
        names += [(split, f"{split}_{i - start + 1:06d}.png") for i in range(start, round(total * pairs))]
    return names


Job = tuple[Path, Callable[[int, str], MadePair], int, str, str]
"""Work folder, `make`, pair index, split and file name."""


def _run(
    jobs: Sequence[Job], workers: int, progress: Callable[[int, int], None] | None
) -> list[dict[str, object]]:
    """Runs the jobs and returns the entries of the caption file in job order."""
    report = progress or (lambda done, total: None)
    entries: list[dict[str, object]] = [{}] * len(jobs)
    if workers == 1:
        for number, job in enumerate(jobs):
            entries[number] = _write_pair(*job)
            report(number + 1, len(jobs))
        return entries
    # Spawn instead of fork, because the caller may use threads (torch does).
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        running = {pool.submit(_write_pair, *job): number for number, job in enumerate(jobs)}
        try:
            for done, future in enumerate(as_completed(running), 1):
                entries[running[future]] = future.result()
                report(done, len(jobs))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return entries


def _write_pair(
    work: Path, make: Callable[[int, str], MadePair], index: int, split: str, name: str
) -> dict[str, object]:
    """Writes the images of one pair and returns its caption file entry."""
    pair = make(index, split)
    for folder, image in pair.images.items():
        Image.fromarray(image).save(work / "images" / split / folder / name, compress_level=3)
    return levir_entry(index, 5 * index, name, split, pair.sentences, pair.changed)


def _write_json(path: Path, data: Mapping[str, object]) -> None:
    path.write_text(json.dumps(data, separators=(", ", ": ")) + "\n", encoding="utf-8")

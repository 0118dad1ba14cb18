"""Writes made pairs as a dataset in the layout of LEVIR-MCI: splits, file names, pictures and the caption file."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image

from semantic_cc.data.labels import write_classes
from semantic_cc.data.layouts.caption_files import levir_entry
from semantic_cc.errors import InputError
from semantic_cc.types import SPLITS as KNOWN_SPLITS

SPLITS: Mapping[str, float] = MappingProxyType({"train": 0.8, "val": 0.1, "test": 0.1})
"""Default shares of the splits."""


def check_workers(workers: int | None) -> None:
    """Raises `InputError` for a number of processes below 1."""
    if workers is not None and workers < 1:
        raise InputError(f"world: workers is {workers}, but at least 1 is needed; give a larger number")


def split_names(pairs: int, splits: Mapping[str, float]) -> list[tuple[str, str]]:
    """(split, file name) of each pair in order: the first share is the first split, and so on.

    Raises:
        InputError: the shares do not fit.
    """
    if not splits or any(s not in KNOWN_SPLITS for s in splits) or any(v < 0 for v in splits.values()):
        raise InputError(
            f"world: splits are {dict(splits)}, but must be shares >= 0 of {', '.join(KNOWN_SPLITS)}; correct them"
        )
    if abs(sum(splits.values()) - 1) > 1e-6:
        raise InputError(
            f"world: the shares of {dict(splits)} sum to {sum(splits.values()):g}; make them sum to 1"
        )
    out: list[tuple[str, str]] = []
    total = 0.0
    for split, share in splits.items():
        total += share
        start = len(out)
        out += [(split, f"{split}_{i - start + 1:06d}.png") for i in range(start, round(total * pairs))]
    return out


Made = tuple[dict[str, np.ndarray], tuple[str, ...], bool]
"""Part ("A", "B", "label", ...) -> picture, the sentences, and the change flag of one pair."""


def fill(
    work: Path,
    names: list[tuple[str, str]],
    make: Callable[[int, str], Made],
    parts: Sequence[str],
    title: str,
    workers: int | None,
    progress: Callable[[int], None] | None,
) -> None:
    """Makes pairs in several processes and writes their pictures and the caption file below `work`.

    Args:
        names: split and file name of each pair, in order.
        make: (index, split) -> the pair; goes to the processes by pickle.
        parts: the folders, as `make` names them.
        title: of the dataset, for its caption file.
        workers, progress: as in `write_dataset`.
    """
    for split in dict.fromkeys(s for s, _ in names):
        for part in parts:
            (work / "images" / split / part).mkdir(parents=True)
    entries: list[dict[str, Any]] = [{}] * len(names)
    jobs = [(work, make, i, split, name) for i, (split, name) in enumerate(names)]
    count = min(workers or os.cpu_count() or 1, len(jobs))
    if count == 1:
        for done, job in enumerate(jobs, 1):
            entries[job[2]] = _write_pair(*job)
            if progress:
                progress(done)
    else:
        # Spawned, not forked: the caller may run threads (torch does).
        with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn")) as pool:
            running = {pool.submit(_write_pair, *job): job[2] for job in jobs}
            try:
                for done, future in enumerate(as_completed(running), 1):
                    entries[running[future]] = future.result()
                    if progress:
                        progress(done)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    write_classes(work, ("road", "building"))  # where a label is 0, no road changed
    write_json(work / "LevirCCcaptions.json", {"images": entries, "dataset": title})


def _write_pair(
    work: Path, make: Callable[[int, str], Made], index: int, split: str, name: str
) -> dict[str, Any]:
    """Writes one pair's pictures; returns its entry of the captions file."""
    pictures, sentences, changed = make(index, split)
    for part, image in pictures.items():
        Image.fromarray(image).save(work / "images" / split / part / name, compress_level=3)
    return levir_entry(index, 5 * index, name, split, sentences, changed)


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Writes `data` as JSON in one line."""
    path.write_text(json.dumps(data, indent=None, separators=(", ", ": ")) + "\n", encoding="utf-8")

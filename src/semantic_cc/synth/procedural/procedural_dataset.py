"""Writes procedural pairs as a dataset in the layout of LEVIR-MCI."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path

from semantic_cc.errors import InputError
from semantic_cc.files import new_folder
from semantic_cc.synth.procedural.pair_plan import plan_pair
from semantic_cc.synth.procedural.procedural_pair import check_numbers, draw_cover, generate_pair
from semantic_cc.synth.writer import SPLITS, Made, check_workers, fill, split_names, write_json

VERSION = 3
"""Version of the generator: a change of what (seed, index) gives raises it."""


def write_dataset(
    out: Path,
    pairs: int,
    seed: int,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
    splits: Mapping[str, float] = SPLITS,
) -> None:
    """Writes `pairs` pairs of world `seed` (256 x 256 px) to the new or empty directory `out`.

    The layout is LEVIR-MCI's: ``images/SPLIT/{A,B,label}/SPLIT_000001.png``, ``LevirCCcaptions.json``, and
    ``world.json`` with generator version, seed and numbers; beside the label ``cover_A`` and ``cover_B``, the
    land cover of each date (indices of `COVERS`), which LEVIR-MCI has not. The same `pairs`, `seed` and
    `splits` give the same bytes whatever `workers` is. Nothing half-written stays: all is made beside `out`
    and renamed at the end.

    Args:
        workers: processes; None takes one per core, 1 works in this process.
        progress: called with the number of finished pairs after each pair.
        splits: split name (train, val, test) -> share; the shares sum to 1.

    Raises:
        InputError: a number or a share is out of its range.
        OutputError: `out` is not empty or cannot be written.
    """
    out = Path(out)
    if pairs < 1:
        raise InputError(f"world: pairs is {pairs}, but a data set needs at least 1; give a larger number")
    check_workers(workers)
    check_numbers(seed=seed)
    names = split_names(pairs, splits)
    with new_folder(out) as work:
        make = functools.partial(_world_pair, seed)
        parts = ("A", "B", "label", "cover_A", "cover_B")
        fill(work, names, make, parts, "semantic-cc synthetic world", workers, progress)
        info = {"generator": "semantic_cc.synth.procedural", "version": VERSION, "seed": seed, "pairs": pairs,
                "splits": {s: sum(n == s for n, _ in names) for s in splits}}  # fmt: skip
        write_json(work / "world.json", info)


def _world_pair(seed: int, index: int, split: str) -> Made:
    pair, plan = generate_pair(seed, index), plan_pair(seed, index)
    assert pair.label is not None  # a synthetic pair always has its label
    pictures = {"A": pair.before, "B": pair.after, "label": pair.label}
    pictures |= {"cover_A": draw_cover(plan, "before"), "cover_B": draw_cover(plan, "after")}
    return pictures, pair.sentences, bool(pair.changed)

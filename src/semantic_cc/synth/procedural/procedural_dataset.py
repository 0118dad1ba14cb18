"""Writes procedural pairs as a dataset in the layout of LEVIR-MCI."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path

from semantic_cc.synth.procedural.pair_plan import plan_pair
from semantic_cc.synth.procedural.procedural_pair import check_numbers, draw_cover, generate_pair
from semantic_cc.synth.writer import SPLITS, MadePair, write_pairs

VERSION = 3
"""Version of the generator; it is raised if the same seed and index draw another pair."""


def write_dataset(
    out: Path,
    pairs: int,
    seed: int,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    splits: Mapping[str, float] = SPLITS,
) -> None:
    """Writes the first `pairs` pairs of a seed (256 x 256 px) to the new or empty folder `out`.

    The layout is LEVIR-MCI's: ``images/SPLIT/{A,B,label}/SPLIT_000001.png`` and ``LevirCCcaptions.json``. Besides, the
    folders ``cover_A`` and ``cover_B`` hold the land cover of each date (indices of `COVERS`), and ``synth.json``
    records version, seed and numbers. The same `pairs`, `seed` and `splits` give the same bytes for any number of
    `workers`.

    Args:
        out: the dataset's folder; it appears completely or not at all.
        pairs: number of pairs, all splits together.
        seed: 0 or more.
        workers: processes; None = one for each core; 1 = this process.
        progress: called with (done, total) after each pair.
        splits: split (train, val, test) -> share; the shares sum to 1.

    Raises:
        InputError: a number or a share is out of its range.
        OutputError: `out` is not empty or cannot be written.
    """
    check_numbers(seed=seed)
    write_pairs(
        Path(out),
        functools.partial(_make, seed),
        pairs=pairs,
        splits=splits,
        folders=("A", "B", "label", "cover_A", "cover_B"),
        title="semantic-cc procedural pairs",
        record=lambda names: {"generator": "semantic_cc.synth.procedural", "version": VERSION, "seed": seed},
        workers=workers,
        progress=progress,
    )


def _make(seed: int, index: int, split: str) -> MadePair:
    pair, plan = generate_pair(seed, index), plan_pair(seed, index)
    assert pair.label is not None  # a procedural pair always has a label
    images = {"A": pair.before, "B": pair.after, "label": pair.label}
    images |= {"cover_A": draw_cover(plan, "before"), "cover_B": draw_cover(plan, "after")}
    return MadePair(images, pair.sentences, bool(pair.changed))

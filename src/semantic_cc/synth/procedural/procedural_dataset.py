"""Writes procedural pairs as a dataset in the layout of LEVIR-MCI."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path

from semantic_cc.synth.procedural.pair_plan import plan_pair
from semantic_cc.synth.procedural.procedural_pair import check_numbers, draw_cover, generate_pair
from semantic_cc.synth.writer import SPLITS, MadePair, write_pairs

VERSION = 3
"""Version of the generator; incremented when the output for a given seed and index changes."""


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

    The layout is that of LEVIR-MCI: ``images/SPLIT/{A,B,label}/SPLIT_000001.png`` and ``LevirCCcaptions.json``. The
    additional folders ``cover_A`` and ``cover_B`` contain the land cover of each date (indices into `COVERS`), and
    ``synth.json`` records the version, seed and pair counts. The output for given `pairs`, `seed` and `splits` is
    byte-identical for any number of `workers`.

    Args:
        out: output folder; written completely or not at all.
        pairs: total number of pairs over all splits.
        seed: integer >= 0.
        workers: number of processes; None = one per core; 1 = the current process.
        progress: called with (done, total) after each pair.
        splits: split (train, val, test) -> share; the shares sum to 1.

    Raises:
        InputError: a number or share is out of range.
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

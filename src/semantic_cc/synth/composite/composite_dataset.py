"""Writes the pairs of a mixture as a dataset in the layout of LEVIR-MCI."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from semantic_cc.errors import InputError
from semantic_cc.synth.composite.mixture import make_pair, open_mixture, source_of
from semantic_cc.synth.procedural.procedural_dataset import VERSION as PROCEDURAL_VERSION
from semantic_cc.synth.writer import MadePair, write_pairs

VERSION = 1
"""Version of the generator; it is raised if the same recipe, images, seed and index give another pair."""


def write_mixture(
    out: Path,
    recipe: Path,
    pairs: int | None = None,
    seed: int | None = None,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[int, int]:
    """Writes the pairs of a recipe (256 x 256 px) to the new or empty folder `out`.

    The layout is that of `semantic_cc.synth.procedural.write_dataset` without land cover. ``synth.json`` records
    versions, recipe, seed and numbers, and the source of each pair. The same recipe, images, `pairs` and `seed` give
    the same bytes for any number of `workers`, with the same versions of the libraries.

    Args:
        out: the dataset's folder; it appears completely or not at all.
        recipe: the YAML file.
        pairs, seed: None = the recipe's.
        workers: processes; None = one for each core; 1 = this process.
        progress: called with (done, total) after each pair.

    Returns:
        The number of pairs and the seed.

    Raises:
        ConfigError, DataError, ImageError: as `open_mixture` and `make_pair`.
        InputError: pairs or seed is missing or out of its range.
        OutputError: `out` is not empty or cannot be written.
    """
    path = Path(os.path.abspath(recipe))
    settings = open_mixture(path).recipe
    pairs = _required(recipe, "pairs", settings.pairs if pairs is None else pairs, 1)
    seed = _required(recipe, "seed", settings.seed if seed is None else seed, 0)
    write_pairs(
        Path(out),
        functools.partial(_make, path, seed),
        pairs=pairs,
        splits=settings.splits,
        folders=("A", "B", "label"),
        title="semantic-cc composite pairs",
        record=lambda names: {
            "generator": "semantic_cc.synth.composite",
            "version": VERSION,
            "procedural_version": PROCEDURAL_VERSION,
            "seed": seed,
            "recipe": asdict(settings),
            "sources": {name: source_of(settings, seed, index) for index, name in enumerate(names)},
        },
        workers=workers,
        progress=progress,
    )
    return pairs, seed


def _required(recipe: Path, what: str, number: int | None, least: int) -> int:
    if number is None or number < least:
        given = "neither given nor in the recipe" if number is None else f"{number}"
        raise InputError(f"recipe {recipe}: {what} is {given}; give --{what} of at least {least}")
    return number


def _make(recipe: Path, seed: int, index: int, split: str) -> MadePair:
    pair = make_pair(open_mixture(recipe), seed, index, split)
    assert pair.label is not None  # every source labels its pairs
    images = {"A": pair.before, "B": pair.after, "label": pair.label}
    return MadePair(images, pair.sentences, bool(pair.changed))

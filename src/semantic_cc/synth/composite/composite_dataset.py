"""Writes the pairs of a mixture as a dataset in the LEVIR-MCI layout."""

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
"""Version of the generator; incremented when the output for a given recipe, images, seed and index changes."""


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

    The layout is that of `semantic_cc.synth.procedural.write_dataset` without land cover. ``synth.json`` records the
    versions, recipe, seed, pair counts and the source of each pair. The output for a given recipe, images, `pairs` and
    `seed` is byte-identical for any number of `workers` with the same library versions.

    Args:
        out: output folder; written completely or not at all.
        recipe: path of the YAML recipe.
        pairs, seed: None = the value in the recipe.
        workers: number of processes; None = one per core; 1 = the current process.
        progress: called with (done, total) after each pair.

    Returns:
        The number of pairs and the seed.

    Raises:
        ConfigError, DataError, ImageError: as `open_mixture` and `make_pair`.
        InputError: pairs or seed is missing or out of range.
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
    assert pair.label is not None  # every source creates a label
    images = {"A": pair.before, "B": pair.after, "label": pair.label}
    return MadePair(images, pair.sentences, bool(pair.changed))

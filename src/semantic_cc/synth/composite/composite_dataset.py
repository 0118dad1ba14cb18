"""Writes a mixture as a dataset in the layout of LEVIR-MCI."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from semantic_cc.errors import InputError
from semantic_cc.files import new_folder
from semantic_cc.synth.composite.mixture import make_pair, open_mixture, source_of
from semantic_cc.synth.procedural.procedural_dataset import VERSION as WORLD_VERSION
from semantic_cc.synth.writer import Made, check_workers, fill, split_names, write_json

VERSION = 1
"""Version of the engine: a change of what (recipe, images, seed, index) gives raises it."""
PARTS = ("A", "B", "label")


def write_mixture(
    out: Path,
    recipe: Path,
    pairs: int | None = None,
    seed: int | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[int, int]:
    """Writes the pairs of a recipe (256 x 256 px) to the new or empty directory `out`.

    The layout is LEVIR-MCI's, as in `write_dataset` without land cover. ``engine.json`` has versions, the recipe, seed
    and numbers, and the source of each pair. The same recipe, images, `pairs` and `seed` give the same bytes whatever
    `workers` is, with the same versions of the libraries.

    Args:
        recipe: the YAML file.
        pairs, seed: None = as the recipe says.
        workers: processes; None takes one per core, 1 works in this process.
        progress: called with (done, of all) after each pair.

    Returns:
        The number of pairs and the seed.

    Raises:
        ConfigError, DataError, ImageError: as `open_mixture` and `make_pair`.
        InputError: no number of pairs or no seed, or one is out of its range.
        OutputError: `out` is not empty or cannot be written.
    """
    path = Path(os.path.abspath(recipe))
    mixture = open_mixture(path)
    pairs = mixture.recipe.pairs if pairs is None else pairs
    seed = mixture.recipe.seed if seed is None else seed
    for what, number, least in (("pairs", pairs, 1), ("seed", seed, 0)):
        if number is None or number < least:
            given = "neither given nor in the recipe" if number is None else f"{number}"
            raise InputError(f"recipe {recipe}: {what} is {given}; give --{what} of at least {least}")
    check_workers(workers)
    assert pairs is not None and seed is not None  # told above
    names = split_names(pairs, mixture.recipe.splits)
    with new_folder(Path(out)) as work:
        make = functools.partial(_make, path, seed)
        fill(
            work, names, make, PARTS, "semantic-cc data engine", workers,
            None if progress is None else lambda done: progress(done, len(names)),
        )  # fmt: skip
        sources = {name: source_of(mixture.recipe, seed, index) for index, (_, name) in enumerate(names)}
        info = {
            "generator": "semantic_cc.synth.composite", "version": VERSION, "world": WORLD_VERSION, "seed": seed,
            "pairs": pairs, "splits": {s: sum(n == s for n, _ in names) for s in mixture.recipe.splits},
            "recipe": asdict(mixture.recipe), "sources": sources,
        }  # fmt: skip
        write_json(work / "engine.json", info)
    return pairs, seed


def _make(recipe: Path, seed: int, index: int, split: str) -> Made:
    pair = make_pair(open_mixture(recipe), seed, index, split)
    assert pair.label is not None  # every source labels its pairs
    return {"A": pair.before, "B": pair.after, "label": pair.label}, pair.sentences, bool(pair.changed)

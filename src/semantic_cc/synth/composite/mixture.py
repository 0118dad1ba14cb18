"""Generates one pair of a mixture by index: source, scene, lighting of both dates and captions."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from semantic_cc.data.text_files import read_text
from semantic_cc.errors import DataError
from semantic_cc.synth.composite.cars import park_cars
from semantic_cc.synth.composite.composite_scene import CompositeScene, SplitImages
from semantic_cc.synth.composite.image_folders import SourceImage, open_folders
from semantic_cc.synth.composite.lighting import apply_lighting, draw_shift
from semantic_cc.synth.composite.mixture_recipe import SOURCES, MixtureRecipe, parse_recipe
from semantic_cc.synth.composite.pasted_roofs import paste_roofs
from semantic_cc.synth.composite.unchanged_pairs import unchanged
from semantic_cc.synth.composite.unrelated_pairs import buildings_to_buildings, ground_to_buildings
from semantic_cc.synth.procedural import generate_pair
from semantic_cc.synth.procedural.caption_writer import write_sentences
from semantic_cc.types import Pair

ATTEMPTS = 200
"""Maximum number of attempts to draw a scene before an error."""
_NEEDS = {
    "ground_to_buildings": ("bare", "built"),
    "buildings_to_buildings": ("built",),
    "pasted": ("grounds", "built"),
    "unchanged": ("every",),
    "procedural": (),
}
_MEANS = {
    "every": "images",
    "bare": "images without buildings",
    "built": "images with buildings (a mask with at least 2% of 255)",
    "grounds": "images without buildings in a group that `grounds` names",
}


@dataclass(frozen=True)
class Mixture:
    """A recipe and its images.

    Attributes:
        recipe: the recipe.
        pools: split -> the images of the split.
    """

    recipe: MixtureRecipe
    pools: dict[str, SplitImages]


def open_mixture(path: Path) -> Mixture:
    """Opens a recipe file and all its folders. Reads every mask once.

    Each process caches the last recipe and its list of images.

    Raises:
        ConfigError: as `parse_recipe`.
        DataError: as `read_text` and `open_folders`, or a source has no images in a requested split.
    """
    return _open(path, read_text(path))


@functools.lru_cache(maxsize=1)
def _open(path: Path, text: str) -> Mixture:
    recipe = parse_recipe(text, path)
    sources = open_folders(recipe, path.parent) if recipe.folders else ()
    wanted = [split for split, share in recipe.splits.items() if share > 0]
    mixture = Mixture(recipe, {split: _pool(sources, split) for split in wanted})
    for split, pool in mixture.pools.items():
        for name in SOURCES:
            for need in _NEEDS[name] if getattr(recipe.shares, name) else ():
                if not getattr(pool, need):
                    raise DataError(
                        f"recipe {path}: {name} finds no {_MEANS[need]} in split {split}; add some, or change "
                        "held_back or the shares"
                    )
    return mixture


def _pool(sources: tuple[SourceImage, ...], split: str) -> SplitImages:
    own = tuple(source for source in sources if source.split == split)
    return SplitImages(
        every=own,
        bare=tuple(source for source in own if source.bare),
        built=tuple(source for source in own if source.has_buildings),
        grounds=tuple(source for source in own if source.takes_roofs),
    )


def source_of(recipe: MixtureRecipe, seed: int, index: int) -> str:
    """The source of pair `index`, one of `SOURCES`."""
    weights = np.array([getattr(recipe.shares, name) for name in SOURCES], float)
    rng = np.random.default_rng(np.random.SeedSequence([seed, index, 10]))
    return SOURCES[int(rng.choice(len(SOURCES), p=weights / weights.sum()))]


def make_pair(mixture: Mixture, seed: int, index: int, split: str) -> Pair:
    """Generates pair `index` from the images of `split`.

    The pair depends only on the recipe, the images, `seed`, `index` and `split`.

    Raises:
        ImageError, DataError: an image or mask cannot be read, or no scene can be built from the images.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, index, 11]))
    recipe = mixture.recipe
    name = source_of(recipe, seed, index)
    if name == "procedural":
        return generate_pair(seed, index)
    scene = _scene(name, mixture.pools[split], rng, recipe)
    closed, light = scene.roofs, recipe.light
    before, after = (park_cars(image, closed, light.cars, rng) for image in (scene.before, scene.after))
    return Pair(
        name=f"{name}_{index:06d}.png",
        before=apply_lighting(before, rng, True, light, draw_shift(rng, light)),
        after=apply_lighting(after, rng, False, light),
        label=scene.label,
        sentences=write_sentences(scene.events, rng),
        changed=bool(scene.events),
    )


def _scene(name: str, pool: SplitImages, rng: np.random.Generator, recipe: MixtureRecipe) -> CompositeScene:
    # Drawn once, so that rejections in one direction do not bias the fraction of exchanged pairs.
    exchanged = bool(rng.random() < recipe.exchanged)
    for _ in range(ATTEMPTS):
        match name:
            case "ground_to_buildings":
                scene = ground_to_buildings(pool, rng, exchanged)
            case "buildings_to_buildings":
                scene = buildings_to_buildings(pool, rng, exchanged)
            case "pasted":
                scene = paste_roofs(pool, rng, exchanged)
            case _:
                scene = unchanged(pool, rng)
        if scene is not None:
            return scene
    raise DataError(
        f"{name}: {ATTEMPTS} draws gave no pair; the masks hold too few whole buildings for this source"
    )

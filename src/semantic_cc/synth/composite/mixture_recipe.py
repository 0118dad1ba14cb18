"""The recipe of a mixture: image folders, source weights and source settings."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

from semantic_cc.config.loading import build, parse_yaml
from semantic_cc.errors import ConfigError
from semantic_cc.types import SPLITS

Ground = Literal["grassland", "bareland", "desert", "woods", "field"]


@dataclass(frozen=True)
class ImageFolder:
    """Single-date images with building masks, all at about the same ground resolution.

    Args:
        images: a folder of images, or of subfolders of images (groups); relative to the recipe.
        masks: a folder laid out like `images` with masks for some or all images, NAME.png for NAME.jpg: 255 building,
            128 uncertain, 0 other; null = no masks.
        scale: the range of image scale factors; pixel size / 0.5 m gives true object sizes.
        roof_scale: the range of scale factors for roof cut-outs.
        hall_scale: the range of scale factors for roof cut-outs outside the `houses` groups; null = roof_scale.
        grounds: the groups onto which buildings may be pasted; null = all.
        houses: the groups whose buildings are houses; captions call all other buildings "building".
        covers: group -> the ground type of all its images, for the captions.
        complete: whether the masks contain every building, so that building counts are exact.
        partial: the groups whose masks omit whole buildings; pixels outside the mask are unknown there.
        same: lists of images of the same area, as GROUP/NAME without extension; each list stays in one split.
    """

    images: str
    masks: str | None = None
    scale: tuple[float, float] = (0.8, 1.2)
    roof_scale: tuple[float, float] = (0.8, 1.2)
    hall_scale: tuple[float, float] | None = None
    grounds: tuple[str, ...] | None = None
    houses: tuple[str, ...] = ()
    covers: dict[str, Ground] = field(default_factory=dict)
    complete: bool = False
    partial: tuple[str, ...] = ()
    same: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Shares:
    """Relative sampling weights of the sources: 35 and 15 are equivalent to 0.7 and 0.3.

    Args:
        ground_to_buildings: two unrelated images, the first without buildings.
        buildings_to_buildings: two unrelated images, both with buildings.
        pasted: roofs pasted onto the same ground image at both dates.
        unchanged: the same image at both dates with different lighting and cars.
        procedural: procedural pairs; need no images.
    """

    ground_to_buildings: float = 0.0
    buildings_to_buildings: float = 0.0
    pasted: float = 0.0
    unchanged: float = 0.0
    procedural: float = 0.0


@dataclass(frozen=True)
class LightConfig:
    """Differences between the dates that are not changes; drawn independently for each date.

    Args:
        gamma: the range of gamma; 1 = unchanged.
        colour: maximum relative change of each channel.
        shift: maximum registration offset of the earlier date along each axis, in pixels.
        cars: maximum number of cars per date, drawn on paved areas.
    """

    gamma: tuple[float, float] = (0.6, 1.6)
    colour: float = 0.06
    shift: int = 2
    cars: int = 6


@dataclass(frozen=True)
class MixtureRecipe:
    """The recipe file of `semantic-cc synth --recipe`.

    Args:
        shares: weights of the sources.
        folders: the image folders.
        pairs: number of pairs; the command line overrides it.
        seed: seed of the pairs; the command line overrides it.
        splits: split -> its fraction of the pairs.
        held_back: split -> its fraction of the images, used by no other split; the other images belong to train.
        split_seed: seed of the assignment of images to splits; keep it when the seed of the pairs changes.
        exchanged: fraction of the pairs with changed buildings whose dates are swapped, so that buildings disappear.
        light: lighting of the dates.
    """

    shares: Shares
    folders: tuple[ImageFolder, ...] = ()
    pairs: int | None = None
    seed: int | None = None
    splits: dict[str, float] = field(default_factory=lambda: {"train": 0.8, "val": 0.1, "test": 0.1})
    held_back: dict[str, float] = field(default_factory=lambda: {"val": 0.1, "test": 0.1})
    split_seed: int = 0
    exchanged: float = 0.5
    light: LightConfig = field(default_factory=LightConfig)


SOURCES = tuple(share.name for share in fields(Shares))
"""Names of the sources, in the order of `Shares`."""


def parse_recipe(text: str, where: str | Path) -> MixtureRecipe:
    """Parses and validates the YAML text of a recipe.

    Args:
        where: the file name for error messages.

    Raises:
        ConfigError: invalid YAML, an unknown key, or a value of the wrong type or out of range; names the key.
    """
    recipe: MixtureRecipe = build(MixtureRecipe, parse_yaml(text, where), f"recipe {where}")
    for wrong, what in _problems(recipe):
        if wrong:
            raise ConfigError(f"recipe {where}: {what}")
    return recipe


def _problems(recipe: MixtureRecipe) -> list[tuple[bool, str]]:
    shares = {name: getattr(recipe.shares, name) for name in SOURCES}
    held, splits = recipe.held_back, recipe.splits
    real = any(share for name, share in shares.items() if name != "procedural")
    gamma = recipe.light.gamma
    return [
        (
            min(shares.values()) < 0 or not 0 < sum(shares.values()) < float("inf"),
            "shares must be at least 0, and one of them more",
        ),
        (
            real and not recipe.folders,
            "folders is empty, but every source except procedural needs images; name one",
        ),
        (
            not {*splits} <= {*SPLITS}
            or min([*splits.values(), 0]) < 0
            or not abs(sum(splits.values()) - 1) < 1e-6,
            f"splits must be shares of {', '.join(SPLITS)} that sum to 1",
        ),
        (not {*held} <= {*SPLITS[1:]}, f"held_back may name only {' and '.join(SPLITS[1:])}"),
        (
            min([*held.values(), 0]) < 0 or not sum(held.values()) < 1,
            "held_back must be shares of at least 0 that leave some images to train",
        ),
        (not 0 <= recipe.exchanged <= 1, "exchanged must lie in [0, 1]"),
        (recipe.split_seed < 0, "split_seed must not be negative"),
        (recipe.pairs is not None and recipe.pairs < 1, "pairs must be at least 1"),
        (recipe.seed is not None and recipe.seed < 0, "seed must not be negative"),
        (not 0.1 <= gamma[0] <= gamma[1] <= 10, "light.gamma must be two ascending numbers from 0.1 to 10"),
        (not 0 <= recipe.light.colour < 1, "light.colour must lie in [0, 1)"),
        (not 0 <= recipe.light.shift <= 16, "light.shift must lie in 0..16"),
        (not 0 <= recipe.light.cars <= 100, "light.cars must lie in 0..100"),
        *(
            (
                not 0.05 <= low <= high <= 8,
                "scale, roof_scale and hall_scale must each be two ascending numbers from 0.05 to 8",
            )
            for folder in recipe.folders
            for low, high in (folder.scale, folder.roof_scale, folder.hall_scale or folder.roof_scale)
        ),
    ]

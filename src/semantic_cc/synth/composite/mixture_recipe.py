"""The recipe of a mixture: which image folders, how much of each source, and the settings of the sources."""

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
    """Single-date images with building masks, all of about one ground resolution.

    Args:
        images: a folder of images, or of subfolders of images, which are then groups; relative to the recipe.
        masks: a folder like `images` with a mask for some or all of them, NAME.png for NAME.jpg: 255 building, 128
            uncertain, 0 neither; null = no masks.
        scale: the range of factors by which images are resized; size of a pixel / 0.5 m gives true sizes.
        roof_scale: the same for roofs that are cut out.
        hall_scale: the same for roofs that are cut out and no houses'; null = roof_scale.
        grounds: the groups that buildings may be pasted on; null = all.
        houses: the groups whose buildings are houses; what stands elsewhere is called a building.
        covers: group -> the ground that all of its images show, which sentences then name.
        complete: the masks miss no building, so that a count of them is exact.
        partial: the groups whose masks miss whole buildings: there, what is not building is not known.
        same: images that show the same ground, as GROUP/NAME without suffix; each list stays in one split.
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
    """How often each source is drawn, as weights: 35 and 15 mean the same as 0.7 and 0.3.

    Args:
        ground_to_buildings: two unrelated images, the first without buildings.
        buildings_to_buildings: two unrelated images, both with buildings.
        pasted: roofs pasted on a ground that both dates share.
        unchanged: one image twice, in another light, with other cars.
        procedural: procedural pairs, which need no images.
    """

    ground_to_buildings: float = 0.0
    buildings_to_buildings: float = 0.0
    pasted: float = 0.0
    unchanged: float = 0.0
    procedural: float = 0.0


@dataclass(frozen=True)
class LightConfig:
    """How the dates differ though nothing changed; drawn for each date on its own.

    Args:
        gamma: the range of gamma, 1 = unchanged.
        colour: largest relative change of each channel.
        shift: largest shift of the earlier date, in pixels each way.
        cars: most cars drawn on a date, where it is paved.
    """

    gamma: tuple[float, float] = (0.6, 1.6)
    colour: float = 0.06
    shift: int = 2
    cars: int = 6


@dataclass(frozen=True)
class MixtureRecipe:
    """What `semantic-cc synth --recipe` reads.

    Args:
        shares: how much of each source.
        folders: the images.
        pairs: number of pairs, unless the command line says it.
        seed: seed of the pairs, unless the command line says it.
        splits: split -> its share of the pairs.
        held_back: split -> its share of the images, which no other split sees; the rest is train's.
        split_seed: seed of that division; keep it, whatever the seed of the pairs.
        exchanged: share of the pairs with changed buildings whose dates are exchanged: buildings disappear.
        light: the light of the dates.
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
    """A checked recipe from a YAML text.

    Args:
        where: its file, for messages.

    Raises:
        ConfigError: no YAML, an unknown key, a value of the wrong kind or out of its range; naming the key.
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
        (not {*held} <= {*SPLITS[1:]}, f"held_back may name {' and '.join(SPLITS[1:])} alone"),
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

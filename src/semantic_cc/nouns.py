"""The nouns of change captions by what they name. Every rule that reads sentences takes its nouns from here.

Singular forms; `pattern` adds the plurals. The words are those of LEVIR-CC's sentences and common synonyms.
"""

from __future__ import annotations

from collections.abc import Sequence

BUILDINGS = (
    "building", "house", "villa", "bungalow", "mansion", "warehouse", "residence", "home", "factory", "school",
    "apartment", "hut", "cabin",
)  # fmt: skip
"""One building each; a mask labels them."""

SETTLEMENTS = (
    "residential area", "residential district", "residential zone", "housing area", "housing district",
    "housing zone", "village", "neighborhood", "neighbourhood", "complex", "settlement",
)  # fmt: skip
"""Several buildings, without a number."""

ROADS = ("road", "street", "lane", "crossroad", "roundabout", "highway", "intersection", "boulevard")
"""A mask with roads labels them."""

PATHS = ("path", "driveway")
"""Ways that masks do not label as roads."""

TREES = ("tree", "wood", "forest", "bush", "shrub", "plant", "woodland", "jungle")

PLANTED = ("vegetation", "greenery")
"""Plants without a plural."""

GRASS = ("grass", "grassland", "meadow", "lawn", "field")

BARE_GROUND = ("bareland", "bare", "desert", "soil", "sand", "ground", "wasteland", "land")

WATER = ("pool", "pond", "lake", "river", "water")

SPORTS_GROUNDS = ("playground", "court", "stadium")


def pattern(*groups: Sequence[str]) -> str:
    """A regular expression, without groups, that matches any noun of `groups` in singular or plural."""
    return "(?:" + "|".join(_forms(noun) for group in groups for noun in group) + ")"


def plural(noun: str) -> str:
    """The plural of a noun of this module.

    Example:
        >>> plural("factory"), plural("bush"), plural("house")
        ('factories', 'bushes', 'houses')
    """
    if noun.endswith("y"):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("sh", "ch", "s", "x")) else f"{noun}s"


def _forms(noun: str) -> str:
    return f"{plural(noun)}|{noun}"

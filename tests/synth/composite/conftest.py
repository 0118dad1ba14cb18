"""Single-date images with building masks that the tests draw themselves, and a recipe for them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image, ImageDraw, ImageFilter
from shared import SHARED

GROUPS = {"meadow": 12, "wood": 12, "suburb": 12, "town": 12}
"""Group -> images; the last two have buildings."""


def draw_image(group: str, number: int, side: int = 160) -> tuple[Image.Image, Image.Image]:
    """An image and its mask: noise in the group's colour, and in built groups rows of roofs with shadows."""
    rng = np.random.default_rng([sorted(GROUPS).index(group), number])
    colour = {
        "meadow": (120, 130, 80),
        "wood": (50, 80, 45),
        "suburb": (130, 125, 100),
        "town": (140, 138, 130),
    }[group]
    noise = rng.normal(0, 14, (side, side, 1)) + rng.normal(0, 5, (side, side, 3))
    image = Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8))
    image = image.filter(ImageFilter.GaussianBlur(0.7))
    mask = Image.new("L", image.size)
    if group in ("suburb", "town"):
        high, wide = (24, 32) if group == "suburb" else (30, 55)
        roof = tuple(int(c) for c in rng.integers(150, 230, 3))
        pen, marker = ImageDraw.Draw(image), ImageDraw.Draw(mask)
        for y in range(18, side - high - 12, high + 26):
            for x in range(14, side - wide - 12, wide + 20):
                pen.rectangle(
                    (x - 6, y - 6, x + wide - 6, y + high - 6), fill=(25, 25, 30)
                )  # shadow, up and left
                pen.rectangle((x, y, x + wide, y + high), fill=roof)
                marker.rectangle((x, y, x + wide, y + high), fill=255)
    return image, mask


def write_images(root: Path, groups: dict[str, int] = GROUPS, side: int = 160) -> Path:
    for group, count in groups.items():
        for part in ("images", "masks"):
            (root / part / group).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            image, mask = draw_image(group, number, side)
            image.save(root / "images" / group / f"{group}{number:02d}.jpg", quality=92)
            if group in ("suburb", "town"):
                mask.save(root / "masks" / group / f"{group}{number:02d}.png")
    return root


FOLDER = {
    "images": "images", "masks": "masks", "grounds": ["meadow", "wood"], "houses": ["suburb"],
    "covers": {"wood": "woods", "meadow": "grassland"},
}  # fmt: skip
RECIPE = {
    "shares": {
        "ground_to_buildings": 2,
        "buildings_to_buildings": 1,
        "pasted": 2,
        "unchanged": 1,
        "procedural": 1,
    },
    "folders": [FOLDER],
    "held_back": {"val": 0.2, "test": 0.2},
}

Write = Callable[..., Path]


@pytest.fixture(scope="session")
def images_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("single"))


@pytest.fixture
def write_recipe(images_root: Path) -> Write:
    """Keys laid over `RECIPE` -> the path of a recipe beside the images."""

    def write(name: str = "recipe", **values: object) -> Path:
        path = images_root / f"{name}.yaml"
        path.write_text(yaml.safe_dump({**RECIPE, **values}))
        return path

    return write


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The data pack with the folders that the shipped recipes name."""
    if not (SHARED / "data" / "ucmerced").is_dir():
        pytest.skip(f"no images at {SHARED / 'data' / 'ucmerced'}; set SEMANTIC_CC_SHARED")
    return SHARED / "data"

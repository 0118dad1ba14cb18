"""Recipes and folders: what is read, and what is refused in one line."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from semantic_cc.errors import ConfigError, DataError
from semantic_cc.synth.composite.image_folders import open_folders, read_source
from semantic_cc.synth.composite.mixture import open_mixture
from semantic_cc.synth.composite.mixture_recipe import ImageFolder, MixtureRecipe, Shares, parse_recipe

RUNS = Path(__file__).parents[3] / "runs"


@pytest.mark.parametrize("name", ["real", "unchanged"])
def test_the_shipped_recipes_are_read(name):
    recipe = parse_recipe((RUNS / f"{name}.yaml").read_text(), name)
    assert recipe.folders[0].images.endswith("ucmerced")
    assert (recipe.split_seed, recipe.held_back) == (
        0,
        {"val": 0.1, "test": 0.1},
    )  # so that they divide alike


def test_shares_of_the_shipped_recipe():
    shares = parse_recipe((RUNS / "real.yaml").read_text(), "real").shares
    assert shares == Shares(35, 15, 30, 20, 0)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"shares": {}}, "shares must be at least 0, and one of them more"),
        ({"shares": {"pasted": -1, "procedural": 2}}, "shares must be at least 0"),
        ({"shares": {"glued": 1}}, "'shares.glued' is not accepted"),
        ({"shares": {"pasted": "much"}}, "shares"),
        ({"sheep": 3}, "'sheep' is not accepted"),
        ({"folders": []}, "folders is empty, but every source except procedural needs images"),
        ({"folders": [{"pictures": "x"}]}, "pictures"),
        (
            {"folders": [{"images": "images", "scale": [2, 1]}]},
            "scale, roof_scale and hall_scale must each be two ascending",
        ),
        ({"folders": [{"images": "images", "covers": {"wood": "sea"}}]}, "sea"),
        ({"splits": {"train": 0.5}}, "splits must be shares of train, val, test that sum to 1"),
        ({"splits": {"train": 0.5, "dev": 0.5}}, "splits must be shares"),
        ({"splits": {"train": float("nan")}}, "splits must be shares"),
        ({"held_back": {"val": float("nan")}}, "leave some images"),
        ({"held_back": {"val": 0.6, "test": 0.4}}, "leave some images to train"),
        ({"held_back": {"train": 0.4}}, "held_back may name only val and test"),
        ({"exchanged": 2}, r"exchanged must lie in \[0, 1\]"),
        ({"light": {"gamma": [0, 1]}}, "light.gamma"),
        ({"light": {"shift": 40}}, "light.shift"),
        ({"light": {"cars": -1}}, "light.cars"),
        ({"light": {"colour": 1.5}}, "light.colour"),
        ({"pairs": 0}, "pairs must be at least 1"),
        ({"seed": -1}, "seed must not be negative"),
        ({"split_seed": -1}, "split_seed must not be negative"),
    ],
)
def test_bad_recipes(values, words, write_recipe):
    path = write_recipe(**values)
    with pytest.raises(ConfigError, match=words) as raised:
        parse_recipe(path.read_text(), path)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)


def test_no_recipe_at_all(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        open_mixture(tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(ConfigError, match="must hold keys and values"):
        open_mixture(tmp_path / "list.yaml")
    (tmp_path / "list.yaml").write_text("shares: {procedural: 1}\n")
    assert open_mixture(tmp_path / "list.yaml").recipe.shares.procedural == 1  # as it is now


def test_an_old_name_is_refused_with_the_new_one():
    with pytest.raises(
        ConfigError, match=r"recipe mix\.yaml: shares\.world is now called shares\.procedural"
    ):
        parse_recipe("shares: {world: 1}\n", "mix.yaml")


def recipe(**folder: object) -> MixtureRecipe:
    return MixtureRecipe(Shares(pasted=1), (ImageFolder(**{"images": "images", "masks": "masks", **folder}),))


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint8)).save(path)


@pytest.fixture
def flat(tmp_path):
    """Two images without groups, a mask for one of them."""
    for name in ("a.png", "b.tif"):
        save(tmp_path / "images" / name, np.full((32, 48, 3), 90))
    mask = np.zeros((32, 48))
    mask[:16] = 255
    mask[16:20] = 128
    save(tmp_path / "masks" / "a.png", mask)
    return tmp_path


def test_a_flat_folder(flat):
    built, bare = open_folders(recipe(), flat)
    assert (built.group, built.built, built.uncertain, built.has_buildings, built.bare) == (
        "",
        0.5,
        1 / 8,
        True,
        False,
    )
    assert (bare.mask, bare.bare, bare.takes_roofs, bare.ground) == (None, True, True, "")
    assert set(np.unique(read_source(built)[1])) == {0, 128, 255}
    assert not read_source(bare)[1].any()


def test_groups(images_root, write_recipe):
    sources = open_folders(parse_recipe(write_recipe().read_text(), "recipe"), images_root)
    assert len(sources) == 48
    by_group = {source.group: source for source in sources}
    assert [by_group[g].takes_roofs for g in ("meadow", "wood", "suburb", "town")] == [
        True,
        True,
        False,
        False,
    ]
    assert [by_group[g].houses for g in ("suburb", "town")] == [True, False]
    assert [by_group[g].ground for g in ("meadow", "wood", "town")] == ["grassland", "woods", ""]


@pytest.mark.parametrize(
    ("change", "folder", "words"),
    [
        (lambda root: None, {"images": "nowhere"}, "nowhere: no such folder; correct the recipe"),
        (lambda root: (root / "empty").mkdir(), {"images": "empty"}, "empty: no images in it"),
        (lambda root: (root / "images/a.png").unlink(), {}, r"masks/a\.png: no image a in .*images"),
        (lambda root: save(root / "images/a.jpg", np.zeros((32, 48, 3))), {}, r"a\.jpg has the same name"),
        (
            lambda root: save(root / "masks/a.png", np.full((32, 48), 7)),
            {},
            r"a\.png: a building mask has 0, 128",
        ),
        (lambda root: None, {"houses": ["village"]}, "no group village; its groups are none"),
        (lambda root: None, {"same": [["a", "c"]]}, "no image c, which `same` names"),
    ],
)
def test_bad_folders(change, folder, words, flat):
    change(flat)
    with pytest.raises(DataError, match=words) as raised:
        open_folders(recipe(**folder), flat)
    assert "\n" not in str(raised.value)


def test_a_mask_of_another_size(flat):
    save(flat / "masks/a.png", np.full((16, 48), 255))
    with pytest.raises(DataError, match="its size differs"):
        read_source(open_folders(recipe(), flat)[0])


def test_images_are_divided_by_name_alone(images_root, write_recipe):
    def splits(**values):
        path = write_recipe(**values)
        sources = open_folders(parse_recipe(path.read_text(), path), images_root)
        return {source.image: source.split for source in sources}

    first = splits()
    assert set(first.values()) == {"train", "val", "test"}
    assert splits(seed=9, splits={"test": 1.0}) == first  # whatever else is asked for
    assert splits(split_seed=1) != first
    alike = ["town/town00", "town/town01", "town/town02", "wood/wood03"]
    told = splits(
        folders=[{**yaml.safe_load((images_root / "recipe.yaml").read_text())["folders"][0], "same": [alike]}]
    )
    assert len({split for image, split in told.items() if any(name in image for name in alike)}) == 1


def test_a_split_without_images_is_refused(write_recipe):
    with pytest.raises(
        DataError, match=r"pasted finds no images without buildings in a group .* in split val"
    ):
        open_mixture(write_recipe("few", held_back={"val": 1e-9, "test": 0.2}, shares={"pasted": 1}))
    open_mixture(write_recipe("few2", held_back={"val": 1e-9, "test": 0.2}, splits={"test": 1.0}))

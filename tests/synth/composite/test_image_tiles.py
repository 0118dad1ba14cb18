"""Windows, roofs, light and cars: the parts of the sources."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from semantic_cc.synth.composite.cars import park_cars
from semantic_cc.synth.composite.image_folders import SourceImage, open_folders
from semantic_cc.synth.composite.image_tiles import SIDE, cut_tile
from semantic_cc.synth.composite.lighting import apply_lighting
from semantic_cc.synth.composite.mixture import open_mixture
from semantic_cc.synth.composite.mixture_recipe import ImageFolder, LightConfig, MixtureRecipe, Shares
from semantic_cc.synth.composite.roof_cutouts import find_roofs, make_stamp, tightest


def one(path: Path, image: np.ndarray, mask: np.ndarray, **folder: object) -> SourceImage:
    for part, array in (("images", image), ("masks", mask)):
        (path / part).mkdir(exist_ok=True)
        Image.fromarray(array.astype(np.uint8)).save(path / part / "a.png")
    return open_folders(MixtureRecipe(Shares(pasted=1), (ImageFolder("images", "masks", **folder),)), path)[0]


@pytest.mark.parametrize(("high", "wide"), [(100, 140), (300, 300), (300, 90), (1000, 700)])
def test_masks_stay_on_their_images(high, wide, tmp_path):
    """Whatever is cut, joined, turned and resized: white is where the mask says building, grey where it is unsure."""
    rng = np.random.default_rng(high + wide)
    mask = rng.choice([0, 128, 255], (high // 10, wide // 10)).repeat(10, 0).repeat(10, 1)
    source = one(tmp_path, np.repeat(mask[..., None], 3, 2), mask, scale=(0.7, 1.4))
    for seed in range(4):
        tile = cut_tile([source], np.random.default_rng(seed))
        assert tile.image.shape == (SIDE, SIDE, 3) and tile.image.dtype == np.float32
        assert not (tile.building & tile.uncertain).any()
        grey = tile.image[..., 0]
        assert (grey[tile.building] > 100).mean() > 0.97
        assert ((grey > 60) & (grey < 200))[tile.uncertain].mean() > 0.9
        assert (grey[~tile.building & ~tile.uncertain] < 150).mean() > 0.97
        assert tile.building.any() and tile.uncertain.any()


def test_scale_is_the_size_of_things(tmp_path):
    mask = np.zeros((600, 600))
    mask[100::200, 100::200] = 255  # every 200 pixels
    source = one(tmp_path, np.repeat(mask[..., None], 3, 2), mask, scale=(0.5, 0.5))
    bright = cut_tile([source], np.random.default_rng(0)).image[..., 0] > 20
    rows = np.flatnonzero(bright.any(axis=1))
    assert {99, 100, 101} & set(np.diff(rows).tolist())


def test_a_window_shows_one_group_and_several_images(write_recipe):
    sources = open_mixture(write_recipe()).pools["train"].every
    tile = cut_tile(sources, np.random.default_rng(1))  # 160 pixels a side: at least two by two
    assert tile.source.group in ("meadow", "wood", "suburb", "town")
    same = cut_tile([tile.source], np.random.default_rng(1))
    assert (same.image != tile.image).any()


@pytest.fixture
def houses(tmp_path):
    """Three roofs on a lawn: one turned by 30 degrees, one at the edge, one half uncertain; shadows to the right."""
    image, mask = Image.new("RGB", (200, 200), (120, 140, 90)), Image.new("L", (200, 200))
    c, s = math.cos(math.pi / 6), math.sin(math.pi / 6)
    box = [(60 + c * u - s * v, 60 + s * u + c * v) for u, v in ((-20, -12), (20, -12), (20, 12), (-20, 12))]
    ImageDraw.Draw(image).polygon([(x + 7, y) for x, y in box], fill=(30, 32, 40))
    for pen, colour in ((ImageDraw.Draw(image), (200, 90, 80)), (ImageDraw.Draw(mask), 255)):
        pen.polygon(box, fill=colour)
        pen.rectangle((0, 120, 30, 150), fill=colour)
        pen.rectangle((120, 120, 150, 150), fill=colour)
    around = np.asarray(mask).copy()
    around[110:160, 110:160][around[110:160, 110:160] == 0] = 128
    return one(tmp_path, np.asarray(image), around)


def test_whole_roofs_are_found_with_their_shadows(houses):
    (roof,) = find_roofs(houses)
    assert roof.angle == pytest.approx(math.pi / 6, abs=0.06)
    assert roof.size == pytest.approx((41, 25), abs=3)
    assert (roof.image[roof.roof].mean(axis=0) > [180, 70, 60]).all()
    assert (roof.image[roof.shadow] < 90).all() and roof.shadow.sum() > 60
    _, x = np.nonzero(roof.shadow)
    assert x.mean() > np.nonzero(roof.roof)[1].mean() + 10  # to the right, as it was drawn


def test_tightest_rectangle():
    area = np.zeros((50, 50), bool)
    area[10:20, 5:45] = True
    assert tightest(area) == (0.0, (40, 10))
    assert tightest(area.T)[0] == pytest.approx(math.pi / 2)


@pytest.mark.parametrize("turn", [0.0, 0.5, math.pi / 2, -2.0])
@pytest.mark.parametrize("scale", [0.5, 1.0, 1.4])
def test_stamps_turn_and_scale(houses, turn, scale):
    (roof,) = find_roofs(houses)
    stamp = make_stamp(roof, scale, turn, 1.0)
    assert stamp.roof.sum() == pytest.approx(roof.roof.sum() * scale**2, rel=0.1)
    angle, size = tightest(stamp.roof)
    assert size == pytest.approx([side * scale for side in roof.size], abs=3.5)
    assert math.sin(angle - roof.angle - turn) == pytest.approx(0, abs=0.15)  # with the clock, y being down
    assert (stamp.alpha[stamp.roof] == 1).all() and stamp.alpha.min() == 0
    assert (stamp.image[stamp.roof].mean(axis=0) > [170, 60, 50]).all()


def test_light_is_mild_and_keeps_the_scene():
    rng = np.random.default_rng(3)
    scene = rng.integers(0, 256, (16, 16, 3)).repeat(16, 0).repeat(16, 1).astype(np.float32)
    for seed in range(30):
        for early in (True, False):
            picture = apply_lighting(scene, np.random.default_rng(seed), early, LightConfig())
            assert picture.shape == scene.shape and picture.dtype == np.uint8
            assert np.corrcoef(picture.mean(2).ravel(), scene.mean(2).ravel())[0, 1] > 0.75
            assert 25 < picture.mean() < 245


def test_the_earlier_date_is_softer_and_the_shift_is_kept():
    rng = np.random.default_rng(3)
    scene = rng.integers(60, 200, (128, 128, 1)).repeat(3, 2).astype(np.float32)

    def edges(early):
        pictures = (apply_lighting(scene, np.random.default_rng(k), early, LightConfig()) for k in range(40))
        return np.mean([np.abs(np.diff(p.astype(float), axis=0)).mean() for p in pictures])

    assert edges(True) < 0.85 * edges(False)
    calm = replace(LightConfig(), gamma=(1.0, 1.0), colour=0.0)
    moved = apply_lighting(scene, np.random.default_rng(0), False, calm, (2, -1)).mean(2)
    still = apply_lighting(scene, np.random.default_rng(0), False, calm).mean(2)
    assert np.abs(moved[5:-5, 7:-3] - still[6:-4, 5:-5]).mean() < 12 < np.abs(moved - still).mean()


def test_cars_park_on_grey_and_never_on_roofs():
    image = np.full((128, 128, 3), (90, 140, 60), np.float32)
    image[40:100] = 130
    closed = np.zeros((128, 128), bool)
    closed[40:100, :64] = True
    seen = np.zeros((128, 128), bool)
    for seed in range(20):
        parked = park_cars(image, closed, 6, np.random.default_rng(seed))
        seen |= (parked != image).any(axis=2)
    assert seen[45:95, 75:].any() and not seen[:, :58].any() and not seen[:34].any()
    np.testing.assert_array_equal(park_cars(image, closed, 0, np.random.default_rng(0)), image)

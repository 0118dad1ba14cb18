"""Land cover of single images, as pretraining reads it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semantic_cc.data.land_cover import CoverDataset
from semantic_cc.errors import DataError
from semantic_cc.synth.procedural import draw_cover, draw_label, plan_pair
from semantic_cc.types import COVERS


def test_both_dates_of_every_pair_with_their_maps(world_folder: Path) -> None:
    images = CoverDataset(world_folder, "train")
    assert len(images) == 32
    assert len(CoverDataset([world_folder, world_folder], "train")) == 64
    image, cover = images[5]
    assert image.shape == (3, 256, 256)
    assert cover.shape == (256, 256)
    assert 0 <= image.min() < image.max() <= 1
    assert 0 <= cover.min() < cover.max() < len(COVERS)


def test_an_image_and_its_map_are_turned_together(world_folder: Path) -> None:
    images = CoverDataset(world_folder, "train", seed=3)
    for index in range(8):
        image, cover = images[index]
        path, cover_path = images.paths[index]
        with Image.open(path) as opened, Image.open(cover_path) as opened_cover:
            both = [np.asarray(opened), np.asarray(opened_cover)]
        turned = [
            [np.rot90(a[:, ::-1] if mirrored else a, k) for a in both]
            for k in range(4)
            for mirrored in (0, 1)
        ]
        pixels = np.round(image.permute(1, 2, 0).numpy() * 255).astype(np.uint8)
        assert any(np.array_equal(a, pixels) and np.array_equal(c, cover.numpy()) for a, c in turned)


@pytest.mark.parametrize("index", range(0, 40, 2))
def test_the_label_is_where_building_came_or_went(index: int) -> None:
    for i in (index, index + 1):
        plan = plan_pair(5, i)
        before, after = (draw_cover(plan, date) == COVERS.index("building") for date in ("before", "after"))
        label = draw_label(plan) == 255
        # trees may hang over a roof in the cover, never in the label
        crowns = [draw_cover(plan, date) == COVERS.index("tree") for date in ("before", "after")]
        seen = ~(crowns[0] | crowns[1])
        assert np.array_equal((before ^ after) & seen, label & seen)


def test_a_dataset_without_cover_maps_is_refused(world_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="needs images in A, B and land-cover maps"):
        CoverDataset(tmp_path, "train")
    folder = tmp_path / "images" / "train" / "A"
    folder.mkdir(parents=True)
    Image.new("RGB", (16, 16)).save(folder / "train_000001.png")
    with pytest.raises(DataError, match=r"train_000001\.png is missing; `semantic-cc synth`"):
        CoverDataset(tmp_path, "train")


def test_a_map_with_other_values_is_refused(tmp_path: Path) -> None:
    for part, mode in (("A", "RGB"), ("cover_A", "L")):
        (tmp_path / "images" / "train" / part).mkdir(parents=True)
        Image.new(mode, (16, 16), 255).save(tmp_path / "images" / "train" / part / "x.png")
    images = CoverDataset(tmp_path, "train")
    with pytest.raises(DataError, match="values below 6"):
        images[0]
    cover = tmp_path / "images/train/cover_A/x.png"
    for broken in (cover.read_bytes()[:-30], b"x"):
        cover.write_bytes(broken)
        with pytest.raises(DataError, match=r"cover_A/x\.png: not an image, or a damaged one"):
            images[0]

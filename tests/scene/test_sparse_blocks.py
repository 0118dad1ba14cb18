"""Sparse scenes: what the files do not hold is neither read nor predicted, and the result is that of a full file."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window as RasterWindow
from scenes import PLACE, UTM, PixelModel, landscape

from semantic_cc.errors import ImageError
from semantic_cc.scene.common_grid import AlignedPair, open_pair
from semantic_cc.scene.describe_scene import describe_scene
from semantic_cc.scene.grid import Window
from semantic_cc.scene.input_checks import inspect_pair
from semantic_cc.scene.scene_options import SceneOptions
from semantic_cc.scene.scene_plan import plan_scene
from semantic_cc.scene.sparse_blocks import BlockIndex, find_blocks, runs
from semantic_cc.scene.tiling import Tiling

SPOTS = ((700, 300), (1500, 1700))
"""Top and left of the two parts of a scene that hold something, 200 x 300 pixels each."""


def write_sparse(path: Path, seed: int, side: int = 2048, spots: tuple = SPOTS, **profile: object) -> Path:
    """A picture in each of `spots`, and nothing elsewhere."""
    settings = {"nodata": 0, "SPARSE_OK": True, "tiled": True, "blockxsize": 128, "blockysize": 128} | profile
    with rasterio.open(
        path, "w", driver="GTiff", width=side, height=side, count=3, dtype="uint8", crs=UTM, transform=PLACE,
        compress="deflate", BIGTIFF="YES", **settings,
    ) as file:  # fmt: skip
        for number, (top, left) in enumerate(spots):
            picture = landscape(200, 300, number)
            picture[40:90, 50:110] = landscape(50, 60, 10 * seed + number)
            file.write(picture.transpose(2, 0, 1), window=RasterWindow(left, top, 300, 200))
    return path


class Counting(PixelModel):
    seen = 0

    def predict_masks(self, before: np.ndarray, after: np.ndarray):
        self.seen += len(before)
        return super().predict_masks(before, after)


def test_a_sparse_scene_is_described_as_a_full_one(tmp_path: Path) -> None:
    found = []
    for name, sparse in (("full", False), ("sparse", True)):
        folder = tmp_path / name
        folder.mkdir()
        pair = [write_sparse(folder / f"{seed}.tif", seed, SPARSE_OK=sparse) for seed in (1, 2)]
        model = Counting()
        report = describe_scene(model, *pair, out=folder / "out", options=SceneOptions(formats=("gpkg",)))
        with rasterio.open(folder / "out" / "mask.tif") as mask:
            found.append((report.figures, report.measured, model.seen, mask.read(1)))
            assert mask.tags()["SEMANTIC_CC_MODEL"] == "pixels"
    (figures, measured, seen, mask), (same, also, _, sparse_mask) = found
    assert figures == same and measured["blank"] == also["blank"] and figures.changed_pixels > 100
    np.testing.assert_array_equal(mask, sparse_mask)
    assert seen == found[1][2] < 20


def test_an_interrupted_sparse_scene_continues_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    pair = [write_sparse(tmp_path / f"{seed}.tif", seed) for seed in (1, 2)]
    options = SceneOptions(formats=("fgb",), batch=1)

    class Interrupted(Counting):
        def predict_masks(self, before: np.ndarray, after: np.ndarray):
            if self.seen == 10:
                raise KeyboardInterrupt
            return super().predict_masks(before, after)

    whole, rest = Counting(), Counting()
    report = describe_scene(whole, *pair, out=tmp_path / "whole", options=options)
    with pytest.raises(KeyboardInterrupt):
        describe_scene(Interrupted(), *pair, out=tmp_path / "cut", options=options)
    again = describe_scene(rest, *pair, out=tmp_path / "cut", options=options)
    assert again.figures == report.figures and rest.seen < whole.seen
    for name in ("mask.tif", "probability.tif", "changes.fgb"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_windows_of_missing_blocks_are_not_read(tmp_path: Path) -> None:
    pair = [write_sparse(tmp_path / f"{seed}.tif", seed) for seed in (1, 2)]
    with open_pair(*pair) as opened:
        assert not opened.may_show([0], [0], 256, 256) and opened.may_show([600], [200], 256, 256)
        check_shown(opened, range(-300, 2400, 100), 256)


def check_shown(pair: AlignedPair, starts: range, side: int) -> None:
    """What may not show anything shows nothing; both kinds of windows occur."""
    shown = pair.may_show(starts, starts, side, side)
    assert 0 < shown.sum() < shown.size
    for row, column in np.argwhere(~shown):
        assert not pair.read(Window(starts[row], starts[column], side, side))[2].any()


@pytest.mark.parametrize("block", [16, 96, 400])
def test_windows_touch_the_blocks_that_they_overlap(block: int) -> None:
    held = np.random.default_rng(block).random((5, 7)) > 0.7
    index, pixels = BlockIndex(held, block, block + 1), held.repeat(block, 0).repeat(block + 1, 1)
    tops, lefts = np.arange(-200, 5 * block + 100, 37), np.arange(-200, 7 * block + 100, 41)
    found = index.touches(tops[:, None], lefts, tops[:, None] + 90, lefts + 60)
    for row, top in enumerate(tops):
        for column, left in enumerate(lefts):
            part = pixels[max(top, 0) : max(top + 90, 0), max(left, 0) : max(left + 60, 0)]
            assert found[row, column] == part.any()


def test_a_resampled_sparse_image_shows_what_it_did(tmp_path: Path) -> None:
    pair = [write_sparse(tmp_path / f"{seed}.tif", seed) for seed in (1, 2)]
    with open_pair(*pair, resolution=0.8) as opened:
        check_shown(opened, range(0, 1280, 64), 128)


def test_a_huge_sparse_scene_is_planned_and_measured_in_what_it_holds(tmp_path: Path) -> None:
    side = 200_000
    spots = ((90_000, 150_000), (150_500, 20_000))
    pair = [
        write_sparse(tmp_path / f"{seed}.tif", seed, side, spots, blockxsize=1024, blockysize=1024)
        for seed in (1, 2)
    ]
    with open_pair(*pair) as opened:
        plan = plan_scene(opened, Tiling())
        inspection = inspect_pair(opened)
    assert plan.windows < 150 and plan.windows + plan.empty_windows == 1043**2
    assert plan.work_bytes < 0.25e9  # of 200,000 columns, two segments are blended
    assert plan.disk_bytes < 0.1e9 and plan.write_seconds < 60  # 152,881 blocks are empty
    assert inspection.measured["radiometric_difference"] is not None and inspection.measured["blank"] == 1


@pytest.mark.parametrize("profile", [{"nodata": None}, {"SPARSE_OK": False}, {"interleave": "band"}])
def test_missing_blocks_count_only_where_they_are_unknown(profile: dict, tmp_path: Path) -> None:
    with rasterio.open(write_sparse(tmp_path / "a.tif", 1, **profile)) as file:
        index = find_blocks(file, (1, 2, 3), None)
    assert (index is not None) == ("interleave" in profile)


def test_a_sparse_file_without_any_block_is_refused(tmp_path: Path) -> None:
    pair = [write_sparse(tmp_path / f"{seed}.tif", seed, spots=()) for seed in (1, 2)]
    with pytest.raises(ImageError, match=r"1.tif: no pixel of it is known"), open_pair(*pair):
        pass


def test_rectangles_hold_all_blocks_and_do_not_touch() -> None:
    held = np.random.default_rng(0).random((30, 40)) > 0.9
    held[10:14] = held[:, 20:25] = False
    covered = np.zeros(held.shape, int)
    for top, left, bottom, right in BlockIndex(held, 10, 10).rectangles():
        covered[top // 10 : bottom // 10, left // 10 : right // 10] += 1
    assert covered.max() == 1 and (covered[held] == 1).all() and not covered[10:14].any()
    assert runs(np.array([True, True, False, True])) == [(0, 2), (3, 4)] and runs(np.zeros(3, bool)) == []

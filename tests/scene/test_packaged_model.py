"""The shipped model on scenes: however the images are stored, the same changes; and no seams."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image
from rasterio.enums import Resampling
from rasterio.warp import reproject, transform_bounds
from scenes import write_raster
from shared import SHARED

from semantic_cc.predictor import SemanticCC
from semantic_cc.scene.change_map import MASK, PROBABILITY, map_changes, open_scene
from semantic_cc.scene.gdal_files import read_crs
from semantic_cc.scene.grid import Grid
from semantic_cc.scene.scene_options import SceneOptions
from semantic_cc.scene.step_clock import StepClock
from semantic_cc.scene.synthetic_scene import write_scene
from semantic_cc.scene.tiling import scene_tiling

pytestmark = pytest.mark.slow

SIDE = 640
REAL = SHARED / "data" / "levir" / "dev"
UTM = read_crs("EPSG:32614")


@pytest.fixture(scope="module")
def model() -> SemanticCC:
    return SemanticCC.from_pretrained("small")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scene") / "out"
    write_scene(folder, SIDE, UTM, seed=5)
    return folder


@pytest.fixture(scope="module")
def plain(scene: Path, model: SemanticCC, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("plain")
    mapped(scene / "before.tif", scene / "after.tif", model, out)
    return out


def mapped(before: Path, after: Path, model: SemanticCC, out: Path, **options) -> tuple[str, ...]:
    """Writes mask and probability, without sentences; returns the notes on the images."""
    with open_scene(before, after, SceneOptions(**options)) as (pair, inspection):
        tiling = scene_tiling(pair.grid)
        state = map_changes(pair, inspection, model, out, tiling=tiling, batch=4, clock=StepClock())
        for name in (MASK, PROBABILITY):
            (state.drafts / name).replace(out / name)
        return pair.notes


def read(path: Path) -> tuple[np.ndarray, Affine]:
    with rasterio.open(path) as file:
        return file.read().transpose(1, 2, 0), file.transform


def agreement(plain: Path, out: Path) -> float:
    """Intersection over union of the change in two masks, where both know it; their grids differ by whole pixels."""
    (first, place), (second, other) = read(plain / "mask.tif"), read(out / "mask.tif")
    step = ~place @ other
    top, left = round(step.f), round(step.c)
    assert (step.a, step.e) == (pytest.approx(1), pytest.approx(1))
    first = first[top : top + len(second), left : left + second.shape[1]]
    known = (first != 1) & (second != 1)
    changed = (first > 1) & known, (second > 1) & known
    assert changed[0].sum() > 1000
    return float((changed[0] & changed[1]).sum() / (changed[0] | changed[1]).sum())


def carried(scene: Path, path: Path, transform: Affine, crs: str, size: tuple[int, int]) -> Path:
    """The later image on another grid."""
    picture, place = read(scene / "after.tif")
    out = np.zeros((3, *size), np.uint8)
    reproject(
        np.ascontiguousarray(picture.transpose(2, 0, 1)), out, src_transform=place, src_crs=UTM,
        dst_transform=transform, dst_crs=crs, resampling=Resampling.cubic, init_dest_nodata=True, dst_nodata=0,
    )  # fmt: skip
    return write_raster(path, out.transpose(1, 2, 0), transform, crs, nodata=0)


def test_another_coordinate_system(scene: Path, plain: Path, model: SemanticCC, tmp_path: Path) -> None:
    _, place = read(scene / "after.tif")
    corner = place @ (SIDE, SIDE)
    west, south, east, north = transform_bounds(UTM, "EPSG:3857", place.c, corner[1], corner[0], place.f)
    grid = Affine.translation(west, north) @ Affine.scale((east - west) / SIDE, (south - north) / SIDE)
    after = carried(scene, tmp_path / "mercator.tif", grid, "EPSG:3857", (SIDE, SIDE))
    mapped(scene / "before.tif", after, model, tmp_path / "out")
    assert agreement(plain, tmp_path / "out") > 0.85


def test_six_tenths_of_a_metre(scene: Path, plain: Path, model: SemanticCC, tmp_path: Path) -> None:
    _, place = read(scene / "after.tif")
    side = round(SIDE / 1.2)
    after = carried(scene, tmp_path / "coarse.tif", place @ Affine.scale(1.2), "EPSG:32614", (side, side))
    mapped(scene / "before.tif", after, model, tmp_path / "out")
    assert agreement(plain, tmp_path / "out") > 0.85


def test_a_turned_image(scene: Path, plain: Path, model: SemanticCC, tmp_path: Path) -> None:
    _, place = read(scene / "after.tif")
    middle = SIDE / 2
    turned = place @ Affine.rotation(30, (middle, middle)) @ Affine.translation(-140, -140)
    after = carried(scene, tmp_path / "turned.tif", turned, "EPSG:32614", (SIDE + 280, SIDE + 280))
    mapped(scene / "before.tif", after, model, tmp_path / "out")
    assert agreement(plain, tmp_path / "out") > 0.85


def test_half_an_overlap_and_a_nodata_wedge(
    scene: Path, plain: Path, model: SemanticCC, tmp_path: Path
) -> None:
    picture, place = read(scene / "after.tif")
    half = write_raster(
        tmp_path / "half.tif", picture[:, SIDE // 2 :], place @ Affine.translation(SIDE // 2, 0)
    )
    mapped(scene / "before.tif", half, model, tmp_path / "half")
    assert agreement(plain, tmp_path / "half") > 0.8
    wedge = np.where(np.tri(SIDE, SIDE, -SIDE // 3, dtype=bool)[..., None], 0, picture)
    cut = write_raster(tmp_path / "wedge.tif", wedge, place, nodata=0)
    mapped(scene / "before.tif", cut, model, tmp_path / "wedge")
    assert agreement(plain, tmp_path / "wedge") > 0.9


def test_sixteen_bits_and_swapped_bands(scene: Path, plain: Path, model: SemanticCC, tmp_path: Path) -> None:
    picture, place = read(scene / "after.tif")
    four = np.dstack([picture[..., ::-1], picture[..., 1]])  # the fourth is infrared, no alpha
    swapped = write_raster(tmp_path / "swapped.tif", four, place, photometric="MINISBLACK", alpha="NO")
    mapped(scene / "before.tif", swapped, model, tmp_path / "swapped", bands=(None, (3, 2, 1)))
    assert agreement(plain, tmp_path / "swapped") == 1
    deep = write_raster(tmp_path / "deep.tif", picture.astype(np.uint16) * 40 + 300, place)
    notes = mapped(scene / "before.tif", deep, model, tmp_path / "deep")
    assert "stretched to 8 bits" in notes[0]
    assert agreement(plain, tmp_path / "deep") > 0.75


def test_a_scene_without_a_place(scene: Path, plain: Path, model: SemanticCC, tmp_path: Path) -> None:
    bare = [
        write_raster(tmp_path / name, read(scene / name)[0], None, None)
        for name in ("before.tif", "after.tif")
    ]
    mapped(*bare, model, tmp_path / "out")
    np.testing.assert_array_equal(read(tmp_path / "out" / "mask.tif")[0], read(plain / "mask.tif")[0])


def test_changes_across_a_border_of_windows_are_whole_and_no_seam_shows(
    scene: Path, plain: Path, model: SemanticCC, tmp_path: Path
) -> None:
    """Windows elsewhere, of which none has a border where the others have one, find the same; and where windows
    begin or end the probability jumps no more than elsewhere."""
    place = read(scene / "after.tif")[1] @ Affine.translation(96, 96)
    moved = [
        write_raster(tmp_path / name, read(scene / name)[0][96:, 96:], place)
        for name in ("before.tif", "after.tif")
    ]
    mapped(*moved, model, tmp_path / "out")
    assert agreement(plain, tmp_path / "out") > 0.7
    probability = read(plain / "probability.tif")[0][..., 0].astype(float)
    with rasterio.open(scene / "after.tif") as file:
        tiling = scene_tiling(Grid(SIDE, SIDE, file.transform, file.crs))
    for axis, image in ((1, probability), (0, probability.T)):
        starts = tiling.starts(SIDE, axis)
        borders = sorted(
            border for start in starts for border in (start, start + tiling.tile) if 0 < border < SIDE
        )
        jumps = np.abs(np.diff(image, axis=1)).mean(axis=0)  # of each pair of neighbouring columns
        at = np.array([jumps[border - 1] for border in borders])
        elsewhere = np.delete(jumps, [border - 1 for border in borders])
        assert at.mean() < elsewhere.mean() + 2 * elsewhere.std() / np.sqrt(len(at))


def part(
    scene: Path, folder: Path, top: int, left: int, side: int, moved: tuple[int, int] = (0, 0)
) -> list[Path]:
    """A square of both images, at its place or moved by so many columns and rows."""
    folder.mkdir()
    paths = []
    for name in ("before.tif", "after.tif"):
        picture, place = read(scene / name)
        here = place @ Affine.translation(left + moved[0], top + moved[1])
        paths.append(write_raster(folder / name, picture[top : top + side, left : left + side], here))
    return paths


def changed(out: Path) -> np.ndarray:
    return read(out / "mask.tif")[0][..., 0] > 1


def check_alike(first: np.ndarray, second: np.ndarray) -> None:
    """At most a hundredth of the pixels differs, and the areas by at most 3 %."""
    assert first.sum() > 1000 and (first != second).mean() <= 0.01
    assert second.sum() == pytest.approx(first.sum(), rel=0.03)


@pytest.mark.parametrize("cut", [1, 10, 63])
def test_a_place_keeps_its_answer_where_the_origin_is_cut(
    cut: int, scene: Path, plain: Path, model: SemanticCC, tmp_path: Path
) -> None:
    mapped(*part(scene, tmp_path / "in", cut, cut, SIDE - cut), model, tmp_path / "out")
    check_alike(changed(plain)[cut:, cut:], changed(tmp_path / "out"))


def test_a_place_keeps_its_answer_in_twice_the_extent(model: SemanticCC, tmp_path: Path) -> None:
    """Whether the scene is small or large: 1280 pixels, and two of its quarters."""
    large = tmp_path / "large"
    write_scene(large, 2 * SIDE, UTM, seed=5)
    mapped(large / "before.tif", large / "after.tif", model, tmp_path / "whole")
    whole = changed(tmp_path / "whole")
    for top, left in ((0, 0), (0, SIDE)):
        images = part(large, tmp_path / f"in{left}", top, left, SIDE)
        mapped(*images, model, tmp_path / f"out{left}")
        check_alike(whole[top : top + SIDE, left : left + SIDE], changed(tmp_path / f"out{left}"))


def test_the_mask_of_a_small_scene_does_not_depend_on_where_its_windows_lie(
    scene: Path, model: SemanticCC, tmp_path: Path
) -> None:
    found = []
    for number, moved in enumerate([(0, 0), (37, 1), (120, 64)]):
        images = part(scene, tmp_path / f"in{number}", 100, 120, 400, moved)
        mapped(*images, model, tmp_path / f"out{number}")
        found.append(changed(tmp_path / f"out{number}"))
    for other in found[1:]:
        assert (other != found[0]).mean() <= 0.01


@pytest.mark.skipif(not REAL.exists(), reason="needs the shared data")
def test_the_area_of_a_real_scene_does_not_depend_on_where_its_windows_lie(
    model: SemanticCC, tmp_path: Path
) -> None:
    pictures = [np.array(Image.open(REAL / date / "test_10.jpg").convert("RGB")) for date in "AB"]
    areas = []
    for number, moved in enumerate([(0, 0), (37, 1), (120, 64)]):
        place = Affine(0.5, 0, 620_000 + moved[0] / 2, 0, -0.5, 3_350_000 + moved[1] / 2)
        images = [
            write_raster(tmp_path / f"{number}{date}.tif", picture[256:768, 256:768], place)
            for date, picture in zip("ab", pictures, strict=True)
        ]
        mapped(*images, model, tmp_path / f"out{number}")
        areas.append(changed(tmp_path / f"out{number}").sum())
    assert areas[1:] == pytest.approx([areas[0]] * 2, rel=0.02)


REAL_NEIGHBOURS = [(10, 3), (11, 12), (1, 17)]
"""Numbers of a real pair, and of the one to its right."""


def beside(folder: Path, numbers: tuple[int, int], levels=lambda picture, right: picture) -> list[list[Path]]:
    """A real pair by itself, and as the left half of a scene of which another pair is the right half."""
    paths: list[list[Path]] = [[], []]
    for date in "AB":
        halves = [
            levels(np.array(Image.open(REAL / date / f"test_{number}.jpg").convert("RGB")), right)
            for number, right in zip(numbers, (False, True), strict=True)
        ]
        paths[0].append(write_raster(folder / f"single{date}.tif", halves[0]))
        paths[1].append(write_raster(folder / f"double{date}.tif", np.concatenate(halves, axis=1)))
    return paths


@pytest.mark.skipif(not REAL.exists(), reason="needs the shared data")
@pytest.mark.parametrize("numbers", REAL_NEIGHBOURS)
def test_a_real_pair_keeps_its_answer_beside_another(
    numbers: tuple[int, int], model: SemanticCC, tmp_path: Path
) -> None:
    """Other ground beyond an edge changes what the model sees there, and so the last pixels before it."""
    found = []
    for number, images in enumerate(beside(tmp_path, numbers)):
        (tmp_path / str(number)).mkdir()
        mapped(*images, model, tmp_path / str(number))
        found.append(changed(tmp_path / str(number))[:, :1024])
    assert found[1].sum() == pytest.approx(found[0].sum(), rel=0.03) and found[0].sum() > 1000
    assert (found[1] != found[0])[:, :-64].mean() < 1e-4


@pytest.mark.skipif(not REAL.exists(), reason="needs the shared data")
@pytest.mark.parametrize(("gain", "limit"), [(14, 0.03), (30, 0.06)])
def test_a_real_pair_of_16_bits_keeps_its_answer_beside_another(
    gain: int, limit: float, model: SemanticCC, tmp_path: Path
) -> None:
    """Half a scene that is twice as bright doubles the full scale, and the rest gets half of its levels."""
    found = []
    deep = beside(
        tmp_path, (10, 3), lambda picture, right: picture.astype(np.uint16) * (gain if right else 14) + 100
    )
    for number, images in enumerate(deep):
        (tmp_path / str(number)).mkdir()
        mapped(*images, model, tmp_path / str(number))
        found.append(changed(tmp_path / str(number))[:, :1024])
    assert found[1].sum() == pytest.approx(found[0].sum(), rel=limit)
    assert (found[1] != found[0]).mean() < limit

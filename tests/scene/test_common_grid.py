"""Two images, however placed, on one grid."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.enums import Resampling
from rasterio.warp import calculate_default_transform, reproject
from scenes import PLACE, UTM, landscape, noise, write_raster

from semantic_cc.errors import ImageError, InputError
from semantic_cc.scene import common_grid
from semantic_cc.scene.common_grid import open_pair
from semantic_cc.scene.gdal_files import read_crs
from semantic_cc.scene.geodesy import ground_sampling
from semantic_cc.scene.grid import Grid, Window

SCENE = landscape(200, 240)


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """200 x 240 pixels of half a metre."""
    return write_raster(tmp_path / "before.tif", SCENE)


def everything(pair: common_grid.AlignedPair) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return pair.read(Window(0, 0, pair.grid.height, pair.grid.width))


def warped(path: Path, picture: np.ndarray, crs: str, resolution: float | None = None) -> Path:
    """`picture` of `PLACE` in another coordinate system or resolution; what it does not cover is nodata 0."""
    height, width = picture.shape[:2]
    right, bottom = PLACE @ (width, height)
    transform, width, height = calculate_default_transform(
        UTM, crs, width, height, PLACE.c, bottom, right, PLACE.f, resolution=resolution
    )
    out = np.zeros((3, height, width), np.uint8)
    reproject(
        np.ascontiguousarray(picture.transpose(2, 0, 1)), out, src_transform=PLACE, src_crs=UTM,
        dst_transform=transform, dst_crs=crs, resampling=Resampling.cubic,
    )  # fmt: skip
    return write_raster(path, out.transpose(1, 2, 0), transform, crs, nodata=0)


def test_images_on_one_grid_keep_their_pixels(before: Path, tmp_path: Path) -> None:
    after = write_raster(tmp_path / "after.tif", SCENE[::-1])
    with open_pair(before, after) as pair:
        assert (pair.grid, pair.shared) == (Grid(240, 200, PLACE, read_crs(UTM)), 1.0)
        first, second, known = everything(pair)
        np.testing.assert_array_equal(first, SCENE)
        np.testing.assert_array_equal(second, SCENE[::-1])
        assert known.all()
        beyond = pair.read(Window(-5, 230, 20, 30))
        np.testing.assert_array_equal(beyond[0][5:, :10], SCENE[:15, 230:])
        assert beyond[2][5:, :10].all() and beyond[2].sum() == 150 and not beyond[0][:5].any()


def test_half_an_overlap_is_cut_to_what_both_show(before: Path, tmp_path: Path) -> None:
    after = write_raster(tmp_path / "after.tif", noise(200, 240), PLACE @ Affine.translation(120, -40))
    with open_pair(before, after) as pair:
        assert pair.grid == Grid(120, 160, PLACE @ Affine.translation(120, 0), read_crs(UTM))
        first, second, known = everything(pair)
        np.testing.assert_array_equal(first, SCENE[:160, 120:])
        np.testing.assert_array_equal(second, noise(200, 240)[40:, :120])
        assert known.all()


@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:4326", "EPSG:32613"])
def test_another_coordinate_system_shows_the_same(crs: str, before: Path, tmp_path: Path) -> None:
    with open_pair(before, warped(tmp_path / "after.tif", SCENE, crs)) as pair:
        assert pair.grid.crs == UTM
        first, second, known = everything(pair)
        assert known.mean() > 0.98 and pair.shared > 0.98
        off = [
            np.abs(np.roll(first, step, axis=1).astype(float) - second)[known].mean() for step in (-1, 0, 1)
        ]
        assert off[1] < 0.7 * min(off[0], off[2])


def test_the_finer_grid_is_taken_and_resolution_overrides_it(before: Path, tmp_path: Path) -> None:
    coarse = warped(tmp_path / "coarse.tif", SCENE, UTM, 0.6)
    for pair_of in ((before, coarse), (coarse, before)):
        with open_pair(*pair_of) as pair:
            assert (pair.grid.transform.a, pair.grid.transform.e) == (0.5, -0.5)
            first, second, known = everything(pair)
            assert np.abs(first.astype(float) - second)[known].mean() < 8
    with open_pair(before, coarse, resolution=1.0) as pair:
        assert (pair.grid.transform.a, pair.grid.transform.e) == (1.0, -1.0)
        assert (pair.grid.width, pair.grid.height) == (120, 100)
        assert ground_sampling(pair.grid) == pytest.approx((1, 1), rel=1e-3)


@pytest.mark.parametrize("turned", ["before", "after"])
def test_rotated_images(turned: str, before: Path, tmp_path: Path) -> None:
    """A turned image of the same ground, rendered by hand: its content falls on the plain one's."""
    rotated = PLACE @ Affine.translation(100, -10) @ Affine.rotation(25)
    rows, columns = np.mgrid[0:150, 0:150]
    there = ~PLACE @ rotated
    x = there.a * (columns + 0.5) + there.b * (rows + 0.5) + there.c
    y = there.d * (columns + 0.5) + there.e * (rows + 0.5) + there.f
    inside = (x >= 0) & (x < 240) & (y >= 0) & (y < 200)
    picture = np.zeros((150, 150, 3), np.uint8)
    picture[inside] = SCENE[y[inside].astype(int), x[inside].astype(int)]
    other = write_raster(tmp_path / "rotated.tif", picture, rotated, nodata=0)
    with open_pair(*((other, before) if turned == "before" else (before, other))) as pair:
        assert (pair.grid.transform.b != 0) == (turned == "before")  # of equal ones the earlier image's grid
        first, second, known = everything(pair)
        assert known.mean() > 0.3 and known.mean() == pytest.approx(pair.shared, abs=0.02)
        assert np.abs(first.astype(float) - second)[known].mean() < 9


def test_a_nodata_wedge_is_unknown_in_the_pair(before: Path, tmp_path: Path) -> None:
    wedge = np.tri(200, 240, dtype=bool)
    for place in (PLACE, PLACE @ Affine.translation(0.4, 0.3)):
        after = write_raster(tmp_path / "after.tif", np.where(wedge[..., None], 0, SCENE), place, nodata=0)
        with open_pair(before, after) as pair:
            known = everything(pair)[2]
            assert np.abs(known.astype(int) - ~wedge[: known.shape[0], : known.shape[1]]).mean() < 0.01


def test_a_shift_is_taken_back(before: Path, tmp_path: Path) -> None:
    after = write_raster(tmp_path / "after.tif", np.roll(SCENE, (2, -3), axis=(0, 1)))
    with open_pair(before, after) as pair:
        pair.shift_after(-3, 2)
        first, second, known = everything(pair)
        np.testing.assert_array_equal(second[10:-10, 10:-10], first[10:-10, 10:-10])
        assert not known[-2:].any() and not known[:, :3].any()
        pair.shift_after(-2.5, 2)
        assert 0 < np.abs(everything(pair)[1].astype(float) - first)[10:-10, 10:-10].mean() < 8


def test_windows_of_a_warped_image_are_cut_out_of_one_picture(before: Path, tmp_path: Path) -> None:
    with open_pair(before, warped(tmp_path / "after.tif", SCENE, "EPSG:3857")) as pair:
        whole = everything(pair)[1]
        for window in (Window(0, 0, 64, 64), Window(100, 77, 33, 90), Window(pair.grid.height - 5, 3, 5, 40)):
            part = np.s_[window.top : window.top + window.height, window.left : window.left + window.width]
            np.testing.assert_array_equal(pair.read(window)[1], whole[part])


def test_pixel_grids_must_be_of_one_size(tmp_path: Path) -> None:
    bare = {"transform": None, "crs": None}
    first = write_raster(tmp_path / "first.tif", SCENE, **bare)
    with open_pair(first, write_raster(tmp_path / "second.tif", SCENE, **bare)) as pair:
        assert pair.grid == Grid(240, 200, Affine.identity(), None)
        assert ground_sampling(pair.grid) is None
    other = write_raster(tmp_path / "other.tif", SCENE[1:], **bare)
    with pytest.raises(ImageError, match=r"sizes differ \(240x200 and 240x199\)"), open_pair(first, other):
        pass
    with (
        pytest.raises(InputError, match="--resolution has no meaning"),
        open_pair(first, first, resolution=1.0),
    ):
        pass


def test_one_side_without_a_place_is_refused(before: Path, tmp_path: Path) -> None:
    bare = write_raster(tmp_path / "bare.tif", SCENE, crs=None)
    for pair_of in ((before, bare), (bare, before)):
        with (
            pytest.raises(InputError, match=r"bare.tif: has no coordinate.*EPSG:32614.*--crs"),
            open_pair(*pair_of),
        ):
            pass
    with open_pair(before, bare, crs=read_crs(UTM)) as pair:
        assert everything(pair)[2].all()


@pytest.mark.parametrize("place", [PLACE @ Affine.translation(240, 0), PLACE @ Affine.translation(10**6, 0)])
def test_no_common_ground_is_said_with_both_places(place: Affine, before: Path, tmp_path: Path) -> None:
    away = write_raster(tmp_path / "away.tif", SCENE, place)
    with (
        pytest.raises(InputError, match=r"do not overlap: .*before.tif is centred at 30.2\d+, -97.7"),
        open_pair(before, away),
    ):
        pass


def test_other_sides_of_the_world_have_no_common_ground(before: Path, tmp_path: Path) -> None:
    far = write_raster(tmp_path / "far.tif", SCENE, Affine(5e-6, 0, 100.0, 0, -5e-6, -30.0), "EPSG:4326")
    with pytest.raises(InputError, match="do not overlap"), open_pair(before, far):
        pass


def test_sizes_out_of_range_are_refused(
    before: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strip = write_raster(tmp_path / "strip.tif", SCENE, PLACE @ Affine.translation(230, 0))
    with (
        pytest.raises(ImageError, match=r"overlap of .* 10x200 pixels are too few"),
        open_pair(before, strip),
    ):
        pass
    monkeypatch.setattr(common_grid, "MAX_SIDE", 239)
    with (
        pytest.raises(ImageError, match="240x200 pixels are too many; cut it to 239 a side"),
        open_pair(before, before),
    ):
        pass


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    top=st.integers(-30, 220), left=st.integers(-30, 260), height=st.integers(1, 80), width=st.integers(1, 80),
    offset=st.tuples(st.integers(-9, 9), st.integers(-9, 9)),
)  # fmt: skip
def test_any_window_anywhere(
    top: int, left: int, height: int, width: int, offset: tuple[int, int], before: Path, tmp_path: Path
) -> None:
    after = write_raster(tmp_path / "after.tif", SCENE, PLACE @ Affine.translation(*offset))
    with open_pair(before, after) as pair:
        first, second, known = pair.read(Window(top, left, height, width))
        rows, columns = np.mgrid[top : top + height, left : left + width]
        inside = (rows >= 0) & (rows < pair.grid.height) & (columns >= 0) & (columns < pair.grid.width)
        assert known[inside].all()
        start = max(offset[0], 0), max(offset[1], 0)
        np.testing.assert_array_equal(
            first[inside], SCENE[rows[inside] + start[1], columns[inside] + start[0]]
        )
        np.testing.assert_array_equal(
            second[inside],
            SCENE[rows[inside] + start[1] - offset[1], columns[inside] + start[0] - offset[0]],
        )


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("hiding", ["nodata", "alpha", "mask"])
def test_what_a_resampled_image_does_not_know(kind: str, hiding: str, tmp_path: Path) -> None:
    """Nodata, alpha and mask bands of any type survive the way onto another grid."""
    hidden = np.zeros((200, 240), bool)
    hidden[60:120, 80:] = True
    bands, profile = np.maximum(SCENE, 1).astype(kind), {}
    if hiding == "nodata":
        bands[hidden], profile = 0, {"nodata": 0}
    elif hiding == "alpha":
        opaque = {"uint8": 255, "uint16": 65535, "int16": 32767, "float32": 255}[kind]
        alpha = np.where(hidden, 0, opaque).astype(kind)
        bands, profile = np.dstack([bands, alpha]), {"photometric": "RGB", "alpha": "YES"}
    after = write_raster(tmp_path / "after.tif", bands, PLACE @ Affine.translation(0.5, 0.5), **profile)
    if hiding == "mask":
        with rasterio.open(after, "r+") as file:
            file.write_mask(~hidden)
    before = write_raster(tmp_path / "before.tif", SCENE)
    with open_pair(before, after) as pair:
        first, second, known = everything(pair)
        assert np.abs(known.astype(int) - ~hidden[: len(known), : known.shape[1]]).mean() < 0.01
        if kind == "uint8":
            assert np.abs(first.astype(float) - second)[known].mean() < 12
        else:
            assert np.corrcoef(first[known].ravel(), second[known].ravel())[0, 1] > 0.9

"""Images that are placed in unusual ways lie where they should, on square pixels."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from drawn_pairs import drawn_pair
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.rpc import RPC
from rasterio.transform import array_bounds
from rasterio.warp import calculate_default_transform, reproject
from scenes import PLACE, UTM, read_window, write_raster

from semantic_cc.errors import ImageError, InputError
from semantic_cc.scene.common_grid import AlignedPair, open_pair
from semantic_cc.scene.geo_detection import is_scene
from semantic_cc.scene.geodesy import ground_sampling
from semantic_cc.scene.grid import Window
from semantic_cc.scene.raster import Raster

BEFORE, AFTER = drawn_pair(160)
SPHERE = "+proj=tmerc +lat_0=0 +lon_0=-99 +k=0.9996 +x_0=500000"
DATES = (("a", BEFORE), ("b", AFTER))


def whole(pair: AlignedPair) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return pair.read(Window(0, 0, pair.grid.height, pair.grid.width))


def points(transform: Affine, side: int = 160, bend: float = 0.0) -> list[GroundControlPoint]:
    """A lattice of control points; `bend` moves them off any straight transform, in pixels at the far corner."""
    found = []
    for row in np.linspace(0, side, 5):
        for column in np.linspace(0, side, 5):
            x, y = transform @ (column + bend * (row / side) ** 2, row)
            found.append(GroundControlPoint(row=row, col=column, x=x, y=y))
    return found


def with_points(path: Path, picture: np.ndarray, found: list[GroundControlPoint]) -> Path:
    write_raster(path, picture, transform=None, crs=None)
    with rasterio.open(path, "r+") as file:
        file.gcps = (found, CRS.from_string(UTM))
    return path


def test_control_points_that_fit_a_transform_are_one(tmp_path: Path) -> None:
    with Raster(with_points(tmp_path / "a.tif", BEFORE, points(PLACE))) as image:
        assert image.grid.transform.almost_equals(PLACE, 1e-6) and image.grid.crs == UTM
        np.testing.assert_array_equal(read_window(image, Window(0, 0, 160, 160))[0], BEFORE)


def test_control_points_that_bend_are_warped(tmp_path: Path) -> None:
    """The picture is bent by 12 pixels at its foot; warped back, it falls on the plain one."""
    rows, columns = np.mgrid[0:160, 0:160]
    source = (columns + 12 * ((rows + 0.5) / 160) ** 2).clip(0, 159)
    bent = BEFORE[rows, source.round().astype(int)]
    plain = write_raster(tmp_path / "plain.tif", BEFORE)
    with open_pair(plain, with_points(tmp_path / "bent.tif", bent, points(PLACE, bend=12))) as pair:
        first, second, known = whole(pair)
        assert known.mean() > 0.85
        inner = known.copy()
        inner[:, -14:] = False
        assert np.abs(first.astype(float) - second)[inner].mean() < 9
        assert np.abs(first.astype(float) - bent[: len(first), : first.shape[1]])[inner].mean() > 9
        assert any("rectified" in note for note in pair.notes)


def test_a_sensor_model_places_an_image(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", BEFORE, transform=None, crs=None)
    linear = [0.0] * 17
    with rasterio.open(path, "r+") as file:
        file.rpcs = RPC(
            height_off=0, height_scale=100, lat_off=30.27, lat_scale=0.00036, long_off=-97.74, long_scale=0.00042,
            line_off=80, line_scale=80, samp_off=80, samp_scale=80, err_bias=0, err_rand=0,
            line_num_coeff=[0, 0, -1, *linear], line_den_coeff=[1, 0, 0, *linear],
            samp_num_coeff=[0, 1, 0, *linear], samp_den_coeff=[1, 0, 0, *linear],
        )  # fmt: skip
    with Raster(path) as image:
        assert image.grid.crs.to_epsg() == 32614
        across, down = ground_sampling(image.grid)
        assert across == pytest.approx(0.5, abs=0.02) and down == pytest.approx(0.5, abs=0.02)
        known = read_window(image, Window(0, 0, image.grid.height, image.grid.width))[1]
        assert known.mean() > 0.9 and any("sensor model" in note for note in image.notes)


@pytest.mark.parametrize("resolution", [None, 1.0])
@pytest.mark.parametrize("stretch", [(1, 2), (2, 1)])
def test_oblong_pixels_become_square(
    stretch: tuple[int, int], resolution: float | None, tmp_path: Path
) -> None:
    across, down = stretch
    place = PLACE @ Affine.scale(across, down)
    paths = []
    for name, picture in DATES:
        size = (160 // across, 160 // down)
        small = np.array(Image.fromarray(picture).resize(size, Image.Resampling.BOX))
        paths.append(write_raster(tmp_path / f"{name}.tif", small, place))
    with open_pair(*paths, resolution=resolution) as pair:
        side = resolution or 0.5
        assert ground_sampling(pair.grid) == pytest.approx((side, side), rel=2e-3)
        assert (pair.grid.width, pair.grid.height) == (round(80 / side), round(80 / side))
        first = whole(pair)[0]
        factor = round(side / 0.5)
        plain = np.array(Image.fromarray(BEFORE).resize(first.shape[1::-1], Image.Resampling.BOX))
        assert np.abs(first.astype(float) - plain).mean() < 8, factor


def test_degrees_far_from_the_equator_become_square_metres(tmp_path: Path) -> None:
    place = Affine(1e-5, 0, 10.0, 0, -1e-5, 60.0)
    paths = [write_raster(tmp_path / f"{name}.tif", picture, place, "EPSG:4326") for name, picture in DATES]
    with open_pair(*paths) as pair:
        across, down = ground_sampling(pair.grid)
        assert across == pytest.approx(down, rel=0.01) and across == pytest.approx(0.557, rel=0.01)


def test_south_up_images_become_north_up(tmp_path: Path) -> None:
    place = Affine(0.5, 0, PLACE.c, 0, 0.5, PLACE.f - 80)
    paths = [write_raster(tmp_path / f"{name}.tif", picture[::-1].copy(), place) for name, picture in DATES]
    with open_pair(*paths) as pair:
        assert pair.grid.transform.almost_equals(PLACE)
        first, second, known = whole(pair)
        np.testing.assert_array_equal(first, BEFORE)
        np.testing.assert_array_equal(second, AFTER)
        assert known.all()


def test_heights_in_feet_change_no_area(tmp_path: Path) -> None:
    compound = CRS.from_string("EPSG:32614+6360")
    paths = [write_raster(tmp_path / f"{name}.tif", picture, crs=compound) for name, picture in DATES]
    with open_pair(*paths) as pair:
        assert ground_sampling(pair.grid) == pytest.approx((0.5, 0.5), rel=1e-3)


def world_file(path: Path, left: float) -> None:
    path.write_text(f"0.5\n0\n0\n-0.5\n{left + 0.25}\n3349999.75\n")


@pytest.mark.parametrize("how", ["world files", "transforms"])
def test_world_coordinates_without_a_system_are_used(how: str, tmp_path: Path) -> None:
    paths = []
    for name, picture, left in (("a", BEFORE[:, :-30], 620000), ("b", AFTER[:, 30:], 620015)):
        if how == "transforms":
            place = Affine.translation(left, 3350000) @ Affine.scale(0.5, -0.5)
            paths.append(write_raster(tmp_path / f"{name}.tif", picture, place, None))
        else:
            Image.fromarray(picture).save(tmp_path / f"{name}.png")
            world_file(tmp_path / f"{name}.pgw", left)
            paths.append(tmp_path / f"{name}.png")
    with open_pair(*paths) as pair:
        first, second, known = whole(pair)
        np.testing.assert_array_equal(first, BEFORE[:, 30:-30])
        np.testing.assert_array_equal(second, AFTER[:, 30:-30])
        assert known.all() and pair.grid.crs is None
        assert any("need --crs" in note for note in pair.notes)


def test_a_prj_file_names_the_system_of_a_world_file(tmp_path: Path) -> None:
    for name, picture in DATES:
        Image.fromarray(picture).save(tmp_path / f"{name}.JPG", format="JPEG")
        (tmp_path / f"{name}.JGW").write_text("0.5\n0\n0\n-0.5\n620000.25\n3349999.75\n")
        (tmp_path / f"{name}.prj").write_text(CRS.from_string(UTM).to_wkt(version="WKT1_ESRI"))
    assert is_scene(tmp_path / "a.JPG")
    with open_pair(tmp_path / "a.JPG", tmp_path / "b.JPG") as pair:
        assert pair.grid.crs == CRS.from_string(UTM) and pair.grid.transform.almost_equals(PLACE)


def test_a_world_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    Image.fromarray(BEFORE).save(tmp_path / "a.png")
    (tmp_path / "a.pgw").write_text("0.5\n0\n")
    with pytest.raises(ImageError, match=r"world file a\.pgw cannot be read"):
        Raster(tmp_path / "a.png")


def test_world_coordinates_of_one_image_alone_are_refused(tmp_path: Path) -> None:
    for name, picture in DATES:
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    world_file(tmp_path / "a.pgw", 620000)
    for names in (("a", "b"), ("b", "a")):
        with (
            pytest.raises(InputError, match=r"a.png: has world coordinates .*b.png has none"),
            open_pair(*(tmp_path / f"{name}.png" for name in names)),
        ):
            pass


LOCAL = 'ENGCRS["site",EDATUM["site"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["metre",1]]'


@pytest.mark.parametrize(
    ("system", "words"),
    [
        (LOCAL, "'site' is local and has no place on Earth"),
        ("EPSG:4978", "geocentric"),
        (
            f"{SPHERE} +a=6370000 +b=6370000",
            "PROJ cannot transform",
        ),  # as UTM, which PROJ does not know on a sphere
        ("+proj=stere +lat_0=90 +a=3396190 +b=3376200", "PROJ cannot transform"),  # Mars
    ],
)
def test_systems_without_a_place_on_the_map_are_refused(system: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=words) as caught:
        Raster(write_raster(tmp_path / "a.tif", BEFORE, crs=CRS.from_user_input(system)))
    assert "a.tif" in str(caught.value)


@pytest.mark.parametrize(
    "transform",
    [
        Affine(0.5, 0, np.nan, 0, -0.5, 3_350_000), Affine(0.5, 0, 620_000, np.inf, -0.5, 3_350_000),
        Affine(1e200, 0, 620_000, 0, -1e200, 3_350_000), Affine(0.5, 0, 1e300, 0, -0.5, 3_350_000),
        Affine(0.5, 0, 1e17, 0, -0.5, 3_350_000),
    ],
)  # fmt: skip
@pytest.mark.parametrize("system", [UTM, None])
def test_a_transform_that_cannot_be_inverted_is_refused(
    transform: Affine, system: str | None, tmp_path: Path
) -> None:
    path = write_raster(tmp_path / "a.tif", BEFORE, transform, system)
    with pytest.raises(ImageError, match=r"a\.tif: its transform \(.*\) cannot be inverted; correct it$"):
        Raster(path)


def test_a_pair_across_the_antimeridian(tmp_path: Path) -> None:
    """Grids in EPSG:32660 and 32601 meet there."""
    here = Affine(0.5, 0, 832_000, 0, -0.5, 1_000_000)
    paths = [write_raster(tmp_path / f"{name}.tif", picture, here, "EPSG:32660") for name, picture in DATES]
    with open_pair(*paths) as pair:
        np.testing.assert_array_equal(whole(pair)[1], AFTER)


@pytest.mark.parametrize("turns", [(0, 360), (0, -360), (360, 360)])
@pytest.mark.parametrize("west", [-97.74, 179.9996])
def test_longitudes_that_differ_by_a_turn_are_one_place(
    west: float, turns: tuple[int, int], tmp_path: Path
) -> None:
    here = Affine(5.2e-6, 0, west, 0, -5.2e-6, 1)
    paths = [
        write_raster(tmp_path / f"{name}.tif", picture, Affine.translation(turn, 0) @ here, "EPSG:4326")
        for (name, picture), turn in zip(DATES, turns, strict=True)
    ]
    with open_pair(*paths) as pair:
        np.testing.assert_array_equal(whole(pair)[:2], [BEFORE, AFTER])


@pytest.mark.parametrize("turned", [0, 1])
def test_degrees_across_the_antimeridian_meet_metres(turned: int, tmp_path: Path) -> None:
    """One date in longitudes of 179.9996 to 180.0004 or 360 less, the other in UTM."""
    here = Affine(5.2e-6, 0, 179.9996 - 360 * turned, 0, -5.2e-6, 1)
    plain = write_raster(tmp_path / "a.tif", BEFORE, here, "EPSG:4326")
    place, width, height = calculate_default_transform(
        "EPSG:4326",
        "EPSG:32660",
        160,
        160,
        *array_bounds(160, 160, Affine(5.2e-6, 0, 179.9996, 0, -5.2e-6, 1)),
    )
    picture = np.zeros((3, height, width), np.uint8)
    reproject(
        np.ascontiguousarray(AFTER.transpose(2, 0, 1)), picture,
        src_transform=Affine(5.2e-6, 0, 179.9996, 0, -5.2e-6, 1), src_crs="EPSG:4326",
        dst_transform=place, dst_crs="EPSG:32660", resampling=Resampling.cubic,
    )  # fmt: skip
    metres = write_raster(tmp_path / "b.tif", picture.transpose(1, 2, 0), place, "EPSG:32660", nodata=0)
    for paths in ((plain, metres), (metres, plain)):
        with open_pair(*paths) as pair:
            assert whole(pair)[2].mean() > 0.9


@pytest.mark.parametrize("shape", [(1, 1), (1, 10_000), (15, 400)])
def test_images_too_small_are_refused(shape: tuple[int, int], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = write_raster(tmp_path / "a.tif", rng.integers(0, 255, (*shape, 3), dtype=np.uint8))
    with pytest.raises(ImageError, match=r"pixels are too few|one value only"), open_pair(path, path):
        pass

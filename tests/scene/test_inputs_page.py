"""Every row of docs/inputs.md is an input that is written, read, and compared with the plain pair."""

import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from drawn_pairs import collar, drawn_pair
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, Resampling
from rasterio.rpc import RPC
from rasterio.shutil import copy
from rasterio.warp import calculate_default_transform, reproject
from scenes import PLACE, UTM, write_raster

from semantic_cc.errors import InputError
from semantic_cc.images import read_pair
from semantic_cc.scene.common_grid import open_pair
from semantic_cc.scene.geo_detection import is_scene
from semantic_cc.scene.grid import Window
from semantic_cc.scene.input_checks import inspect_pair

PAGE = Path(__file__).parents[2] / "docs" / "inputs.md"
SIDE = 160
PAIR = drawn_pair(SIDE)
RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
NOTHING = np.zeros((SIDE, SIDE), bool)
BARE = {"transform": None, "crs": None}


@dataclass
class Expected:
    """What reading must give.

    Attributes:
        names: the files.
        differ: mean difference of levels from the plain pair, where the pixels are the same.
        unknown: where the pair is unknown; None = not compared.
        says: words of a finding or a note.
        refused: words of the refusal.
        shape: of the common grid, if it is not the plain pair's; pixels are not compared then.
    """

    names: tuple[str, str] = ("a.tif", "b.tif")
    differ: float = 1.0
    unknown: np.ndarray | None = field(default_factory=lambda: NOTHING)
    says: str = ""
    refused: str = ""
    shape: tuple[int, int] | None = None


Make = Callable[[Path], Expected]
KINDS: dict[str, list[Make]] = {}


def kind(title: str) -> Callable[[Make], Make]:
    """Registers an example of the row `title`."""

    def add(make: Make) -> Make:
        KINDS.setdefault(title, []).append(make)
        return make

    return add


def both(
    folder: Path, change: Callable = lambda image: image, suffix: str = ".tif", **profile: object
) -> None:
    """Writes a and b, changed alike."""
    for name, image in zip("ab", PAIR, strict=True):
        write_raster(folder / f"{name}{suffix}", np.ascontiguousarray(change(image)), **profile)


def after(folder: Path, picture: np.ndarray, **profile: object) -> None:
    """Writes the plain a, and another b."""
    write_raster(folder / "a.tif", PAIR[0])
    write_raster(folder / "b.tif", picture, **profile)


def edit(folder: Path, change: Callable) -> None:
    for name in ("a.tif", "b.tif"):
        with rasterio.open(folder / name, "r+") as file:
            change(file)


def near_infrared(image: np.ndarray) -> np.ndarray:
    band = image[..., 1] // 2
    return np.where(band < 40, 0, band)


def bgrn(image: np.ndarray) -> np.ndarray:
    return np.dstack([image[..., ::-1], near_infrared(image)])


@kind("GeoTIFF, COG, JPEG 2000, VRT, Erdas Imagine, ENVI, NITF")
def _formats(folder: Path) -> Expected:
    both(folder)
    copy(folder / "a.tif", folder / "a.img", driver="HFA")
    copy(folder / "b.tif", folder / "b.vrt", driver="VRT")
    return Expected(("a.img", "b.vrt"), differ=0)


@kind("PNG or JPEG with a world file")
@kind("world coordinates without a coordinate system")
def _world_files(folder: Path) -> Expected:
    for name, image, left in (("a", PAIR[0][:, :-20], 620000), ("b", PAIR[1][:, 20:], 620010)):
        Image.fromarray(image).save(folder / f"{name}.png")
        (folder / f"{name}.pgw").write_text(f"0.5\n0\n0\n-0.5\n{left + 0.25}\n3349999.75\n")
    return Expected(("a.png", "b.png"), unknown=None, says="need --crs", shape=(SIDE, SIDE - 40))


@kind("world coordinates in one image only")
def _one_world_file(folder: Path) -> Expected:
    _world_files(folder)
    (folder / "b.pgw").unlink()
    return Expected(("a.png", "b.png"), refused="has world coordinates")


@kind("a `.zip` of one image")
def _zip(folder: Path) -> Expected:
    both(folder)
    for name in "ab":
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
            archive.write(folder / f"{name}.tif", "x.tif")
    return Expected(("a.zip", "b.zip"), differ=0)


@kind("plain images")
def _plain(folder: Path) -> Expected:
    for name, image, mode in (("a", PAIR[0], "CMYK"), ("b", PAIR[1], "RGB")):
        Image.fromarray(image).convert(mode).save(folder / f"{name}.tif")
    assert not any(is_scene(folder / f"{name}.tif") for name in "ab")
    before, later, notes = read_pair(folder / "a.tif", folder / "b.tif")
    np.testing.assert_array_equal([before, later], PAIR)
    assert "CMYK converted to RGB" in notes[0]
    return Expected(says="")


@kind("16-bit or transparent images")
def _deep_pictures(folder: Path) -> Expected:
    both(folder, lambda image: image.astype("uint16") * 257, ".png", driver="PNG", **BARE)
    return Expected(("a.png", "b.png"), says="uint16 stretched")


@kind("16-bit or transparent images")
def _transparent_pictures(folder: Path) -> Expected:
    hidden = collar((SIDE, SIDE), "sides")
    both(
        folder,
        lambda image: np.dstack([image, np.where(hidden, 0, 255).astype("uint8")]),
        ".png",
        driver="PNG",
        **BARE,
    )
    return Expected(("a.png", "b.png"), unknown=hidden, differ=0)


@kind("a file that is cut off, or no image")
def _cut_off(folder: Path) -> Expected:
    both(folder)
    (folder / "b.tif").write_bytes((folder / "b.tif").read_bytes()[:-9000])
    return Expected(refused="b.tif: is truncated")


@kind("a file that is cut off, or no image")
def _no_image(folder: Path) -> Expected:
    both(folder)
    (folder / "b.tif").write_text("<html>403 Forbidden</html>")
    return Expected(refused="b.tif: cannot be read")


@kind("an image of one value (99.9% of its pixels), or without a known pixel")
def _one_value(folder: Path) -> Expected:
    after(folder, PAIR[1] * 0)
    return Expected(refused="b.tif: has one value only (0)")


@kind("an image of one value (99.9% of its pixels), or without a known pixel")
def _all_nodata(folder: Path) -> Expected:
    after(folder, PAIR[1] * 0, nodata=0)
    return Expected(refused="b.tif: no pixel of it is known")


@kind("an image whose values are all nearly black or white")
def _nearly_black(folder: Path) -> Expected:
    after(folder, PAIR[1] // 128)
    return Expected(refused="b.tif: all of it is nearly black")


@kind("one file given twice, or one picture in two encodings")
def _twice(folder: Path) -> Expected:
    both(folder)
    return Expected(("a.tif", "a.tif"), says="the same file", shape=(SIDE, SIDE))


@kind("one file given twice, or one picture in two encodings")
def _two_encodings(folder: Path) -> Expected:
    both(folder)
    write_raster(folder / "c.tif", PAIR[0], compress="jpeg", photometric="ycbcr")
    return Expected(("a.tif", "c.tif"), says="show one picture", shape=(SIDE, SIDE))


@kind("dates the wrong way round")
def _dates(folder: Path) -> Expected:
    both(folder)
    for name, year in (("a.tif", 2024), ("b.tif", 2019)):
        with rasterio.open(folder / name, "r+") as file:
            file.update_tags(TIFFTAG_DATETIME=f"{year}:05:01 10:00:00")
    return Expected(says="the dates look swapped")


@kind("bands tagged red, green and blue")
def _tags(folder: Path) -> Expected:
    both(folder, lambda image: bgrn(image).astype("uint16") * 16)
    edit(folder, lambda file: setattr(file, "colorinterp", (*RGB[::-1], ColorInterp.undefined)))
    return Expected()


@kind("bands described as red, B4, Red (665 nm)")
def _described(folder: Path) -> Expected:
    both(folder, lambda image: bgrn(image).astype("uint16") * 16)
    edit(folder, lambda file: setattr(file, "descriptions", ("B2", "B3", "B4", "B8")))
    return Expected()


@kind("four bands without tags")
def _four(folder: Path) -> Expected:
    both(folder, lambda image: np.dstack([image, near_infrared(image)]).astype("uint16") * 16)
    return Expected(says="4 as near infrared")


@kind("a fourth band tagged as transparency")
def _false_alpha(folder: Path) -> Expected:
    both(folder, lambda image: np.dstack([image, near_infrared(image)]))
    return Expected(says="tagged as transparency", differ=0)


@kind('bands with wavelengths (ENVI header, GDAL\'s IMAGERY tags, "665 nm")')
def _wavelengths(folder: Path) -> Expected:
    both(folder, lambda image: bgrn(image).astype("uint16") * 16)
    edit(folder, lambda file: setattr(file, "descriptions", ("490 nm", "560 nm", "665 nm", "842 nm")))
    return Expected()


@kind("one band")
def _grey(folder: Path) -> Expected:
    both(folder, lambda image: image[..., 1])
    return Expected(says="one band converted", differ=25)


@kind("a colour table")
def _palette(folder: Path) -> Expected:
    for name, image in zip("ab", PAIR, strict=True):
        indexed = Image.fromarray(image).quantize(255)
        table = np.array(indexed.getpalette("RGB")).reshape(-1, 3)
        write_raster(folder / f"{name}.tif", np.array(indexed), photometric="palette")
        with rasterio.open(folder / f"{name}.tif", "r+") as file:
            file.write_colormap(1, {i: (*map(int, c), 255) for i, c in enumerate(table)})
    return Expected(says="colour table", differ=4)


@kind("12 or 16 bits")
def _bits(folder: Path) -> Expected:
    both(folder, lambda image: image.astype("uint16") * 16)
    return Expected(says="0 to 4095 (full scale)")


@kind("reflectance from 0 to 1, or times 10,000")
def _reflectance(folder: Path) -> Expected:
    both(folder, lambda image: image.astype("float32") / 255)
    return Expected(says="0 to 1 (full scale)", differ=0.01)


@kind("reflectance from 0 to 1, or times 10,000")
def _reflectance_10000(folder: Path) -> Expected:
    both(folder, lambda image: image.astype("int16") * 30, nodata=-9999)
    return Expected(differ=10)


@kind("values with scale and offset tags")
def _scaled(folder: Path) -> Expected:
    both(folder, lambda image: np.round(image / 255 / 1e-4 + 1000).astype("uint16"))
    edit(folder, lambda file: (setattr(file, "scales", (1e-4,) * 3), setattr(file, "offsets", (-0.1,) * 3)))
    return Expected()


@kind("values with a haze offset")
def _haze(folder: Path) -> Expected:
    both(folder, lambda image: image.astype("uint16") * 5 + 3000)
    return Expected(says="(percentiles)", differ=30)


@kind("clouds or a bright neighbour")
def _cloud(folder: Path) -> Expected:
    def clouded(image: np.ndarray) -> np.ndarray:
        deep = image.astype("uint16") * 16
        deep[:40, :40] = 60000
        return deep

    both(folder, clouded)
    return Expected(differ=15, says="0 to 4095")  # 1/16 of it is cloud


@kind("dates of different gain")
def _gain(folder: Path) -> Expected:
    write_raster(folder / "a.tif", PAIR[0].astype("uint16") * 16)
    write_raster(folder / "b.tif", PAIR[1].astype("uint16") * 48)
    return Expected(says="radiometry matched", differ=6)


@kind("nodata tag, NaN, mask band, transparency")
def _nan(folder: Path) -> Expected:
    hidden = collar((SIDE, SIDE), "notch")
    both(folder, lambda image: np.where(hidden[..., None], np.nan, image / 255).astype("float32"))
    return Expected(unknown=hidden)


@kind("nodata tag, NaN, mask band, transparency")
def _mask(folder: Path) -> Expected:
    hidden = collar((SIDE, SIDE), "wedge")
    both(folder)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False):  # a .msk file
        edit(folder, lambda file: file.write_mask(~hidden))
    return Expected(unknown=hidden, differ=0)


@kind("a sparse TIFF")
def _sparse(folder: Path) -> Expected:
    hidden = np.zeros((SIDE, SIDE), bool)
    hidden[:64, 64:] = True
    both(
        folder, lambda image: np.where(hidden[..., None], np.uint8(0), np.maximum(image, 1)), nodata=0,
        SPARSE_OK=True, tiled=True, blockxsize=32, blockysize=32,
    )  # fmt: skip
    return Expected(unknown=hidden, differ=0)


@kind("a collar without a tag")
def _collar(folder: Path) -> Expected:
    hidden = collar((SIDE, SIDE), "slanted")
    after(folder, np.where(hidden[..., None], np.uint8(255), PAIR[1]))
    return Expected(unknown=hidden, differ=0, says="collar without a nodata tag")


@kind("dark water, white roofs")
def _water(folder: Path) -> Expected:
    picture = PAIR[1].copy()
    picture[30:120, 40:130] = np.random.default_rng(0).integers(0, 10, (90, 90, 3))
    picture[130:150, 60:90] = 255
    after(folder, picture)
    return Expected(differ=60)  # another picture, but all of it is known


@kind("a fill value without a tag")
def _fill(folder: Path) -> Expected:
    hidden = np.zeros((SIDE, SIDE), bool)
    hidden[50:90, 20:70] = True
    both(folder, lambda image: np.where(hidden[..., None], -9999, image.astype("int16") * 16))
    return Expected(unknown=hidden, says="taken for nodata")


@kind("pixels that are not square")
def _oblong(folder: Path) -> Expected:
    both(
        folder,
        lambda image: image.reshape(SIDE // 2, 2, SIDE, 3).mean(1).astype("uint8"),
        transform=PLACE @ Affine.scale(1, 2),
    )
    return Expected(says="are resampled to 0.5 m", differ=9)


@kind("south up")
def _south_up(folder: Path) -> Expected:
    both(folder, lambda image: image[::-1], transform=Affine(0.5, 0, PLACE.c, 0, 0.5, PLACE.f - SIDE / 2))
    return Expected(differ=0)


@kind("rotated images")
def _turned(folder: Path) -> Expected:
    both(folder, transform=PLACE @ Affine.rotation(10))
    return Expected(differ=0)


@kind("longitudes that differ by 360 degrees, or cross the antimeridian")
def _turns(folder: Path) -> Expected:
    for name, image, west in (("a", PAIR[0], 179.9996), ("b", PAIR[1], -180.0004)):
        place = Affine(5.2e-6, 0, west, 0, -5.2e-6, 1)
        write_raster(folder / f"{name}.tif", image, place, "EPSG:4326")
    return Expected(differ=0)


@kind("control points")
def _points(folder: Path) -> Expected:
    both(folder, **BARE)
    corners = [(r, c, PLACE @ (c, r)) for r in (0, SIDE) for c in (0, SIDE)]
    found = [GroundControlPoint(row=r, col=c, x=x, y=y) for r, c, (x, y) in corners]
    edit(folder, lambda file: setattr(file, "gcps", (found, CRS.from_string(UTM))))
    return Expected(says="placed by 4 control points", differ=0)


@kind("a sensor model (RPCs)")
def _rpcs(folder: Path) -> Expected:
    both(folder, **BARE)
    rest = [0.0] * 17
    model = RPC(
        height_off=0, height_scale=100, lat_off=30.27, lat_scale=0.00036, long_off=-97.74, long_scale=0.00042,
        line_off=80, line_scale=80, samp_off=80, samp_scale=80, err_bias=0, err_rand=0,
        line_num_coeff=[0, 0, -1, *rest], line_den_coeff=[1, 0, 0, *rest],
        samp_num_coeff=[0, 1, 0, *rest], samp_den_coeff=[1, 0, 0, *rest],
    )  # fmt: skip
    edit(folder, lambda file: setattr(file, "rpcs", model))
    return Expected(says="by its sensor model", unknown=None, shape=(0, 0))


@kind("other coordinate systems, grids or extents")
def _other_crs(folder: Path) -> Expected:
    right, bottom = PLACE @ (SIDE, SIDE)
    place, width, height = calculate_default_transform(
        UTM, "EPSG:4326", SIDE, SIDE, PLACE.c, bottom, right, PLACE.f
    )
    out = np.zeros((3, height, width), "uint8")
    reproject(
        np.ascontiguousarray(PAIR[1].transpose(2, 0, 1)), out, src_transform=PLACE, src_crs=UTM,
        dst_transform=place, dst_crs="EPSG:4326", resampling=Resampling.cubic,
    )  # fmt: skip
    after(folder, out.transpose(1, 2, 0), transform=place, crs="EPSG:4326", nodata=0)
    return Expected(differ=12, unknown=None)


@kind("a local coordinate system, or one of another planet")
def _local(folder: Path) -> Expected:
    local = (
        'ENGCRS["site",EDATUM["site"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["metre",1]]'
    )
    both(folder, crs=CRS.from_wkt(local))
    return Expected(refused="is local and has no place on Earth")


@kind("a transform with numbers that cannot be computed with (NaN, 1e300)")
def _no_transform(folder: Path) -> Expected:
    after(folder, PAIR[1], transform=Affine(0.5, 0, 1e300, 0, -0.5, 3_350_000))
    return Expected(refused="b.tif: its transform (0.5, 0, 1e+300, 0, -0.5, 3.35e+06) cannot be inverted")


@kind("a coordinate system in one image only")
def _one_crs(folder: Path) -> Expected:
    after(folder, PAIR[1], crs=None)
    return Expected(refused="has no coordinate reference system")


@pytest.mark.parametrize("title", KINDS)
def test_a_kind_is_read_as_the_page_says(title: str, tmp_path: Path) -> None:
    for number, make in enumerate(KINDS[title]):
        folder = tmp_path / str(number)
        folder.mkdir()
        expected = make(folder)
        paths = [folder / name for name in expected.names]
        if expected.refused:
            with pytest.raises(InputError, match=re.escape(expected.refused)), open_pair(*paths):
                pass
            continue
        with open_pair(*paths) as pair:
            messages = [*pair.notes, *(finding.message for finding in inspect_pair(pair).findings)]
            *images, known = pair.read(Window(0, 0, pair.grid.height, pair.grid.width))
        assert expected.says in "\n".join(messages)
        if expected.shape:
            assert expected.shape in ((0, 0), known.shape)
            continue
        unknown = expected.unknown
        if unknown is not None:
            np.testing.assert_array_equal(known, ~unknown)
        shown = known[:SIDE, :SIDE]
        for image, plain in zip(images, PAIR, strict=True):
            gap = np.abs(image[:SIDE, :SIDE].astype(float) - plain[: shown.shape[0], : shown.shape[1]])
            assert gap[shown].mean() <= expected.differ, make.__name__


def test_the_page_has_a_row_for_each_kind_and_no_other() -> None:
    text = PAGE.read_text()
    text = text[: text.index("## Common products")]
    rows = {line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")}
    assert rows - {"kind", "---"} == set(KINDS)

"""Which bands are taken for red, green and blue, and which for transparency."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from drawn_pairs import drawn_pair
from PIL import Image
from rasterio.enums import ColorInterp
from scenes import read_window, write_raster

from semantic_cc.errors import ImageError, InputError
from semantic_cc.scene.grid import Window
from semantic_cc.scene.raster import Raster

PICTURE = drawn_pair(80)[1]
RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
UNDEFINED = ColorInterp.undefined


def bands(path: Path, order: str, kind: str = "uint16", tags: tuple = (), names: tuple = ()) -> Path:
    """Writes bands by letter: r, g, b, n near infrared, x something else."""
    infrared = PICTURE[..., 1] // 2
    infrared[infrared < 40] = 0
    values = {
        **{letter: PICTURE[..., i] for i, letter in enumerate("rgb")},
        "n": infrared,
        "x": 255 - infrared,
    }
    write_raster(path, np.dstack([values[letter] for letter in order]).astype(kind))
    with rasterio.open(path, "r+") as file:
        if tags:
            file.colorinterp = tags
        for number, name in enumerate(names, 1):
            file.set_band_description(number, name)
    return path


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize(
    ("order", "tags", "names"),
    [
        ("rgb", (), ()),
        ("rgbn", (), ()),
        ("bgrn", (*RGB[::-1], UNDEFINED), ()),
        ("bgrn", (*RGB[::-1], ColorInterp.nir), ()),
        ("ngrb", (ColorInterp.nir, RGB[1], RGB[0], RGB[2]), ()),
        ("bgrn", (), ("blue", "green", "red", "nir")),
        ("bgrn", (), ("B2", "B3", "B4", "B8")),
        ("xbgrn", (), ("B01", "B02", "B03", "B04", "B08")),
        ("bgrnxx", (), ("SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B7")),
        ("xbxgxrxn", (), ("coastal_blue", "blue", "green_i", "green", "yellow", "red", "rededge", "nir")),
        ("bgrn", (), ("Blue (490 nm)", "Green (560 nm)", "Red (665 nm)", "Near infrared (842 nm)")),
        ("bgrn", (), ("490 nm", "560 nm", "665 nm", "842 nm")),
        (
            "xbgrn",
            (),
            ("Band 1 (0.443 um)", "Band 2 (0.482 um)", "Band 3 (0.561 um)", "Band 4 (0.655 um)", "0.865 um"),
        ),
        ("bgr", (), ("blue", "", "red")),
        ("rgbn", (), ("Band 1", "Band 2", "Band 3", "Band 4")),
    ],
)
def test_red_green_and_blue_are_found(
    order: str, tags: tuple, names: tuple, kind: str, tmp_path: Path
) -> None:
    path = bands(tmp_path / "a.tif", order, kind, tags, names)
    with Raster(path) as image:
        assert image.bands == tuple(order.index(letter) + 1 for letter in "rgb")
        assert read_window(image, Window(0, 0, 80, 80))[1].all()  # zeros of the near infrared hide nothing


def test_what_is_assumed_is_said(tmp_path: Path) -> None:
    with Raster(bands(tmp_path / "a.tif", "rgbn")) as image:
        assert any(
            "4 bands without colour tags" in n and "choose others with --bands" in n for n in image.notes
        )
    with Raster(bands(tmp_path / "b.tif", "rgbn", "uint8")) as image:
        assert any("band 4 is tagged as transparency" in n and "near infrared" in n for n in image.notes)
    with Raster(bands(tmp_path / "c.tif", "g")) as image:
        assert image.bands == (1, 1, 1) and any("panchromatic" in n for n in image.notes)


def test_the_user_comes_first(tmp_path: Path) -> None:
    path = bands(
        tmp_path / "a.tif", "rgbn", "uint8", (*RGB[::-1], UNDEFINED), ("blue", "green", "red", "nir")
    )
    with Raster(path, bands=(4, 2, 1)) as image:
        assert image.bands == (4, 2, 1) and image.band_source == "asked for"
        assert read_window(image, Window(0, 0, 80, 80))[1].all()
    with pytest.raises(InputError, match="no band 5, only 4"):
        Raster(path, bands=(5, 2, 1))


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
@pytest.mark.parametrize("tag", [ColorInterp.alpha, UNDEFINED])
@pytest.mark.parametrize("feathered", [False, True])
def test_transparency_is_what_looks_like_it(
    feathered: bool, tag: ColorInterp, kind: str, tmp_path: Path
) -> None:
    full = np.iinfo(kind).max
    alpha = np.full((80, 80), full, kind)
    alpha[:, :20] = 0
    if feathered:
        alpha[:, 20] = full // 3
    path = write_raster(tmp_path / "a.tif", np.dstack([PICTURE.astype(kind), alpha]))
    with rasterio.open(path, "r+") as file:
        file.colorinterp = (*RGB, tag)
    with Raster(path) as image:
        known = read_window(image, Window(0, 0, 80, 80))[1]
    assert known[:, 20:].all() and not known[:, :20].any()


def test_a_band_called_near_infrared_is_no_transparency(tmp_path: Path) -> None:
    mask = np.zeros((80, 80), np.uint8)
    mask[:, 40:] = 255
    path = write_raster(tmp_path / "a.tif", np.dstack([PICTURE, mask]))
    with rasterio.open(path, "r+") as file:
        file.set_band_description(4, "NIR")
    with Raster(path) as image:
        assert read_window(image, Window(0, 0, 80, 80))[1].all()


def test_grey_with_transparency(tmp_path: Path) -> None:
    alpha = np.full((80, 80), 255, np.uint8)
    alpha[:30] = 0
    stacked = np.dstack([PICTURE[..., 0], alpha])
    path = write_raster(tmp_path / "a.png", stacked, driver="PNG", transform=None, crs=None)
    with Raster(path) as image:
        pixels, known = read_window(image, Window(0, 0, 80, 80))
        assert image.bands == (1, 1, 1) and not known[:30].any() and known[30:].all()
    np.testing.assert_array_equal(pixels[..., 2], PICTURE[..., 0])


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    ink = np.dstack([255 - PICTURE, np.full((80, 80), 20, np.uint8)])
    with Raster(write_raster(tmp_path / "a.tif", ink, photometric="CMYK")) as image:
        pixels, known = read_window(image, Window(0, 0, 80, 80))
    assert known.all() and np.abs(pixels - PICTURE * (235 / 255)).max() <= 1.5


def test_a_palette_is_expanded(tmp_path: Path) -> None:
    indexed = Image.fromarray(PICTURE).quantize(64)
    table = np.array(indexed.getpalette("RGB"), np.uint8).reshape(-1, 3)
    path = write_raster(tmp_path / "palette.tif", np.array(indexed), photometric="palette", nodata=3)
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {i: (*map(int, c), 255) for i, c in enumerate(table)})
    with Raster(path) as image:
        pixels, known = read_window(image, Window(0, 0, 80, 80))
    np.testing.assert_array_equal(known, np.array(indexed) != 3)
    np.testing.assert_array_equal(pixels[known], table[np.array(indexed)][known])


def test_the_wavelengths_of_an_envi_header_choose_the_bands(tmp_path: Path) -> None:
    infrared = PICTURE[..., :1] // 2
    path = tmp_path / "a.dat"
    write_raster(path, np.dstack([PICTURE[..., ::-1], infrared]).astype("uint16"), driver="ENVI")
    header = path.with_suffix(".hdr")
    header.write_text(
        header.read_text() + "wavelength units = Nanometers\nwavelength = {490, 560, 665, 842}\n"
    )
    with Raster(path) as image:
        assert image.bands == (3, 2, 1) and image.band_source == "wavelengths"


def test_two_bands_are_not_called_one(tmp_path: Path) -> None:
    with Raster(write_raster(tmp_path / "a.tif", PICTURE[..., :2].astype("float32"))) as image:
        assert "one band, band 1 of 2, converted to RGB" in image.notes[0]


def test_colours_that_are_not_rgb_are_refused_or_said(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="is CIELAB"):
        Raster(write_raster(tmp_path / "a.tif", PICTURE, photometric="cielab"))
    with Raster(write_raster(tmp_path / "b.tif", PICTURE[..., 1], photometric="miniswhite")) as image:
        assert "read as a negative" in image.notes[0]

"""What a file is, and whether it can be read at all, is said before any work."""

import os
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from drawn_pairs import drawn_pair
from PIL import Image
from rasterio._env import get_gdal_config  # what GDAL itself says; rasterio has no public call
from rasterio.enums import ColorInterp
from rasterio.shutil import copy
from scenes import read_window, write_raster

from semantic_cc.errors import ImageError
from semantic_cc.scene.gdal_files import settings
from semantic_cc.scene.geo_detection import is_scene
from semantic_cc.scene.grid import Window
from semantic_cc.scene.image_sources import gdal_name
from semantic_cc.scene.raster import Raster

PICTURE = drawn_pair(120)[1]
WHOLE = Window(0, 0, 120, 120)
BARE = {"transform": None, "crs": None}


def pixels(path: Path | str) -> np.ndarray:
    with Raster(path) as image:
        return read_window(image, WHOLE)[0]


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("count", [1, 3, 4, 5])
def test_a_georeferenced_file_of_any_kind_is_a_scene(count: int, kind: str, tmp_path: Path) -> None:
    bands = np.dstack([PICTURE, PICTURE[..., :2]])[..., :count].astype(kind)
    assert is_scene(write_raster(tmp_path / "a.tif", bands))


def test_plain_pictures_are_none_and_all_else_is(tmp_path: Path) -> None:
    def saved(name: str, mode: str = "RGB", **options: object) -> Path:
        Image.fromarray(PICTURE).convert(mode).save(tmp_path / name, **options)
        return tmp_path / name

    for name, mode in (
        ("a.png", "RGB"), ("b.png", "P"), ("c.png", "L"), ("d.png", "RGBA"), ("e.jpg", "RGB"), ("f.jpg", "CMYK"),
        ("g.tif", "RGB"), ("h.tif", "RGBA"), ("i.bmp", "RGB"), ("j.webp", "RGB"), ("k.gif", "P"), ("l.tif", "CMYK"),
    ):  # fmt: skip
        assert not is_scene(saved(name, mode)), name
    alpha = np.full((120, 120, 1), 255, np.uint8)
    alpha[:20] = 0
    scenes = (
        write_raster(tmp_path / "deep.png", PICTURE.astype(np.uint16) * 257, driver="PNG", **BARE),
        write_raster(tmp_path / "float.tif", PICTURE / np.float32(255), **BARE),
        write_raster(tmp_path / "bands.tif", np.dstack([PICTURE, PICTURE[..., :2]]), **BARE),
        write_raster(tmp_path / "holes.png", np.dstack([PICTURE, alpha]), driver="PNG", **BARE),
    )
    for path in scenes:
        assert is_scene(path), path.name
    assert not is_scene(tmp_path / "absent.tif") and not is_scene(tmp_path)
    assert is_scene("https://example.org/a.tif") and is_scene("/vsizip/a.zip/b.tif")


@pytest.mark.parametrize(
    ("driver", "suffix", "options"),
    [
        ("HFA", ".img", {}), ("ENVI", ".dat", {}), ("NITF", ".ntf", {}), ("PCIDSK", ".pix", {}), ("GPKG", ".gpkg", {}),
        ("GTiff", ".tif", {"INTERLEAVE": "BAND", "TILED": "YES", "COMPRESS": "LZW", "PREDICTOR": 2}),
        ("GTiff", ".tif", {"COMPRESS": "ZSTD"}), ("GTiff", ".tif", {"COMPRESS": "LERC", "MAX_Z_ERROR": 0}),
        ("GTiff", ".tif", {"COMPRESS": "WEBP", "WEBP_LOSSLESS": "YES"}), ("COG", ".tif", {"BLOCKSIZE": 128}),
        ("VRT", ".vrt", {}),
    ],
)  # fmt: skip
def test_formats_give_the_same_pixels(driver: str, suffix: str, options: dict, tmp_path: Path) -> None:
    plain = write_raster(tmp_path / "plain.tif", PICTURE)
    path = tmp_path / f"a{suffix}"
    try:
        copy(plain, path, driver=driver, **options)
    except Exception as error:  # this build of GDAL lacks a codec
        pytest.skip(str(error))
    assert is_scene(path)
    np.testing.assert_array_equal(pixels(path), PICTURE)


def test_jpeg_in_tiff_and_overviews(tmp_path: Path) -> None:
    plain = write_raster(tmp_path / "plain.tif", PICTURE)
    path = tmp_path / "a.tif"
    copy(plain, path, driver="GTiff", COMPRESS="JPEG", PHOTOMETRIC="YCBCR", JPEG_QUALITY=95)
    with rasterio.open(path, "r+") as file:
        assert file.colorinterp == (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        file.build_overviews([2, 4])
    assert np.abs(pixels(path).astype(float) - PICTURE).mean() < 4


def zipped(folder: Path, *names: str) -> Path:
    path = folder / "scene (1).zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            source = folder / Path(name).name
            if not source.exists():
                write_raster(source, PICTURE) if source.suffix == ".tif" else source.write_text("about")
            archive.write(source, name)
    return path


def test_a_zip_of_one_image_is_read(tmp_path: Path) -> None:
    path = zipped(tmp_path, "product/l'été 1.tif", "product/readme.txt", "__MACOSX/._x.tif")
    assert is_scene(path)
    np.testing.assert_array_equal(pixels(path), PICTURE)
    np.testing.assert_array_equal(pixels(gdal_name(path)), PICTURE)


def test_other_zips_are_refused_with_what_they_hold(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"holds 2 images \(a.tif, b.tif, ...\); name one, such as /vsizip/"):
        Raster(zipped(tmp_path, "a.tif", "b.tif"))
    with pytest.raises(ImageError, match="holds no image"):
        Raster(zipped(tmp_path, "readme.txt"))
    (tmp_path / "broken.zip").write_bytes(b"PK no archive")
    with pytest.raises(ImageError, match=r"broken.zip: is not a readable archive"):
        Raster(tmp_path / "broken.zip")


@pytest.mark.parametrize(
    "name", ["före <b> 100%.tif", "l'après (1) #2.tif", "-dash.tif", "a b&c;d.tif", "a:b.tif"]
)
def test_odd_names(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_raster(tmp_path / name, np.dstack([PICTURE, PICTURE[..., :1]]))  # read by way of a VRT
    assert is_scene(name)
    np.testing.assert_array_equal(pixels(name), PICTURE)


@pytest.mark.parametrize("cut", [100, 3000, 20_000])
@pytest.mark.parametrize(
    "profile", [{}, {"tiled": True, "blockxsize": 16, "blockysize": 16}, {"interleave": "band"}]
)
def test_a_file_that_is_cut_off_is_refused_at_once(profile: dict, cut: int, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", PICTURE, **profile)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(ImageError, match=r"a.tif: (is truncated|cannot be read)"):
        Raster(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tif", b"<html><body>403 Forbidden</body></html>"),
        ("a.tif", b""),
        ("a.jp2", bytes.fromhex("0000000c6a5020200d0a870a") + bytes(200)),
        ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(40)),
        ("a.vrt", b"<VRTDataset rasterXSize='9'"),
    ],
)
def test_what_is_no_image_is_refused_in_one_line(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    is_scene(tmp_path / name)
    with pytest.raises(ImageError, match=name) as caught:
        Raster(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_jp2_broken_in_its_middle(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.jp2", PICTURE, driver="JP2OpenJPEG")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 3])
    with pytest.raises(ImageError, match=r"a.jp2"), Raster(path) as image:
        read_window(image, WHOLE)


@pytest.mark.parametrize("nothing", ["black", "white", "grey", "nodata", "nan", "transparent"])
def test_an_image_that_shows_nothing_is_refused(nothing: str, tmp_path: Path) -> None:
    value = {"white": 255, "grey": 90}.get(nothing, 0)
    picture = np.full(
        (120, 120, 3), np.nan if nothing == "nan" else value, "float32" if nothing == "nan" else "uint8"
    )
    profile: dict = {"nodata": 0} if nothing == "nodata" else {}
    if nothing == "transparent":
        picture = np.dstack([PICTURE, picture[..., :1]])
        picture[0, 0, 3] = 0
        profile = {"photometric": "RGB", "alpha": "YES"}
    with pytest.raises(ImageError, match=r"a.tif: (no pixel of it is known|has one value only)"):
        Raster(write_raster(tmp_path / "a.tif", picture, **profile))


def test_the_data_of_a_foreign_proj_is_not_used(tmp_path: Path) -> None:
    """In a process of its own, because rasterio reads the environment when it is imported."""
    path = write_raster(tmp_path / "a.tif", PICTURE)
    foreign = tmp_path / "proj"
    foreign.mkdir()
    with sqlite3.connect(foreign / "proj.db") as database:
        database.execute("CREATE TABLE metadata(key TEXT PRIMARY KEY, value TEXT)")
        rows = [("DATABASE.LAYOUT.VERSION.MAJOR", "1"), ("DATABASE.LAYOUT.VERSION.MINOR", "0")]
        database.executemany("INSERT INTO metadata VALUES(?, ?)", rows)
    code = (
        "import sys; from semantic_cc.scene.common_grid import open_pair\n"
        "from semantic_cc.scene.geodesy import ground_sampling\n"
        "with open_pair(sys.argv[1], sys.argv[1], resolution=1.0) as pair: print(ground_sampling(pair.grid))"
    )
    for early in ("", "import rasterio, pyproj\n"):
        names = ("PROJ_LIB", "PROJ_DATA", "GDAL_DATA")
        done = subprocess.run(
            [sys.executable, "-c", early + code, path],
            env=os.environ | dict.fromkeys(names, str(foreign)), capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("(1.000") and not done.stderr


def test_decoded_blocks_are_kept_in_a_cache_of_bounded_size() -> None:
    """GDAL's own count is in bytes: a cache of a few hundred of them decodes every block for each row that is read."""
    with settings():
        assert 1 << 26 <= get_gdal_config("GDAL_CACHEMAX") <= 1 << 28


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.tif")
    write_raster(tmp_path / "a.tif", PICTURE).rename(path)
    with pytest.raises(ImageError, match="its name is not UTF-8"):
        Raster(path)

"""Whatever a file holds, windows of it come out as 8-bit RGB, or one line says why not."""

import contextlib
import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp
from rasterio.shutil import copy
from scenes import PLACE, UTM, landscape, noise, read_window, write_raster

from semantic_cc.errors import ImageError, InputError
from semantic_cc.scene import gdal_files as module
from semantic_cc.scene.gdal_files import read_crs
from semantic_cc.scene.grid import Window
from semantic_cc.scene.image_sources import parse_bands
from semantic_cc.scene.radiometry import PERCENTILES, STRETCHED
from semantic_cc.scene.raster import Raster

PICTURE = noise(70, 90)
ALL = Window(0, 0, 70, 90)


def read_all(path: Path | str, **options: object) -> tuple[np.ndarray, np.ndarray]:
    with Raster(path, **options) as image:
        assert (image.grid.width, image.grid.height) == (90, 70)
        return read_window(image, ALL)


@pytest.mark.parametrize(
    ("name", "profile"),
    [
        ("plain.tif", {}),
        ("tiled.tif", {"tiled": True, "blockxsize": 32, "blockysize": 32, "compress": "deflate"}),
        ("planes.tif", {"interleave": "band"}),
        ("lossless.jp2", {"driver": "JP2OpenJPEG", "QUALITY": 100, "REVERSIBLE": "YES", "YCBCR420": "NO"}),
    ],
)
def test_formats_and_windows(name: str, profile: dict, tmp_path: Path) -> None:
    path = write_raster(tmp_path / name, PICTURE, **profile)
    with Raster(path) as image:
        assert (image.grid.transform, image.grid.crs) == (PLACE, UTM)
        assert image.notes == () and image.stretch is None
        for window in (ALL, Window(0, 0, 1, 1), Window(69, 89, 1, 1), Window(13, 40, 30, 37)):
            pixels, known = read_window(image, window)
            part = PICTURE[window.top : window.top + window.height, window.left : window.left + window.width]
            np.testing.assert_array_equal(pixels, part)
            assert known.all() and known.shape == part.shape[:2]


def test_cog_and_vrt(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "plain.tif", PICTURE)
    for driver, name in (("COG", "cog.tif"), ("VRT", "mosaic.vrt")):
        copy(path, tmp_path / name, driver=driver)
        np.testing.assert_array_equal(read_all(tmp_path / name)[0], PICTURE)


def test_png_with_a_world_file(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "picture.png", PICTURE, driver="PNG", transform=None, crs=None)
    (tmp_path / "picture.pgw").write_text(
        "0.5\n0\n0\n-0.5\n620000.25\n3349999.75\n"
    )  # centre of the first pixel
    with Raster(path) as image:
        assert (image.grid.transform, image.grid.crs) == (PLACE, None)
        assert "need --crs" in image.notes[0]
    with Raster(path, crs=read_crs(UTM)) as image:
        assert (image.grid.transform, image.grid.crs) == (PLACE, UTM)


def test_a_url_whose_server_refuses_head_and_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_raster(tmp_path / "far.tif", PICTURE)
    content = (tmp_path / "far.tif").read_bytes()

    failures, asked = iter([503, 503]), []

    class Ranges(SimpleHTTPRequestHandler):
        """Serves byte ranges, which the standard library's server does not; refuses HEAD, and fails at first."""

        def do_GET(self) -> None:
            if "far" not in self.path:
                asked.append(self.path)
                self.send_error(503 if "busy" in self.path else 404)
                return
            if code := next(failures, None):
                self.send_error(code)
                return
            first, _, last = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
            part = content[int(first or 0) : int(last) + 1 if last else None]
            self.send_response(206 if first else 200)
            self.send_header("Content-Length", str(len(part)))
            if first:
                span = f"{first}-{int(first) + len(part) - 1}"
                self.send_header("Content-Range", f"bytes {span}/{len(content)}")
            self.end_headers()
            self.wfile.write(part)

        def do_HEAD(self) -> None:
            self.send_error(501)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Ranges, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        root = f"http://127.0.0.1:{server.server_port}"
        np.testing.assert_array_equal(read_all(f"{root}/far.tif")[0], PICTURE)
        with pytest.raises(ImageError, match=r"nope.tif: cannot be read \(.*404"):
            Raster(f"{root}/nope.tif")
        asked.clear()
        monkeypatch.setitem(module.SETTINGS, "GDAL_HTTP_RETRY_DELAY", "0.01")
        with pytest.raises(ImageError, match=r"busy.tif: cannot be read \(.*503") as caught:
            Raster(f"{root}/busy.tif")
        assert "\n" not in str(caught.value) and len(asked) > int(module.SETTINGS["GDAL_HTTP_MAX_RETRY"])
        server.shutdown()
    with pytest.raises(ImageError, match=r"gone.tif: cannot be read \("):
        Raster(f"{root}/gone.tif")


def test_nodata_alpha_and_masks_are_unknown(tmp_path: Path) -> None:
    hidden = np.zeros((70, 90), bool)
    hidden[5:20, 30:] = True
    holed = np.where(hidden[..., None], 0, np.maximum(PICTURE, 1)).astype(np.uint8)
    holed[50, 50] = (0, 9, 9)  # one band alone at nodata is a colour
    pixels, known = read_all(write_raster(tmp_path / "nodata.tif", holed, nodata=0))
    np.testing.assert_array_equal(known, ~hidden)
    np.testing.assert_array_equal(pixels, holed)
    alpha = np.dstack([PICTURE, np.where(hidden, 0, 255).astype(np.uint8)])
    rgba = write_raster(tmp_path / "rgba.tif", alpha, photometric="RGB", alpha="YES")
    with rasterio.open(rgba) as file:
        assert file.colorinterp[3] == ColorInterp.alpha
    pixels, known = read_all(rgba)
    np.testing.assert_array_equal(known, ~hidden)
    np.testing.assert_array_equal(pixels, PICTURE)
    masked = write_raster(tmp_path / "masked.tif", PICTURE)
    with rasterio.open(masked, "r+") as file:
        file.write_mask(~hidden)
    np.testing.assert_array_equal(read_all(masked)[1], ~hidden)


@pytest.mark.parametrize(
    ("kind", "factor", "top"),
    [
        ("uint16", 16, 4095),
        ("uint16", 257, 65535),
        ("int16", 30, 8191),
        ("float32", 1 / 255, 1.0),
        ("float32", 1, 255),
    ],
)
def test_a_full_scale_gives_back_the_8_bit_image(
    kind: str, factor: float, top: float, tmp_path: Path
) -> None:
    path = write_raster(tmp_path / "deep.tif", (PICTURE * np.float64(factor)).astype(kind))
    with Raster(path) as image:
        pixels, _ = read_window(image, ALL)
        assert f"{kind} stretched to 8 bits, 0 to {top:g} (full scale)" in image.notes[0]
    assert np.abs(pixels - PICTURE * (factor * 255 / top)).max() <= 0.51


def test_a_haze_offset_is_taken_off_by_percentiles(tmp_path: Path) -> None:
    picture = PICTURE.astype(np.uint16) * 5 + 3000
    with Raster(write_raster(tmp_path / "haze.tif", picture)) as image:
        pixels, _ = read_window(image, ALL)
        assert "(percentiles)" in image.notes[0]
    low, high = np.percentile(picture.reshape(-1, 3), PERCENTILES, axis=0).mean(axis=1)
    expected = (picture - low) / (high - low) * (STRETCHED[1] - STRETCHED[0]) + STRETCHED[0]
    assert np.abs(pixels - expected.clip(0, 255)).max() <= 1.01


def test_unknown_pixels_do_not_count_in_the_stretch(tmp_path: Path) -> None:
    picture = PICTURE.astype(np.uint16) * 10 + 1000
    plain = read_all(write_raster(tmp_path / "plain.tif", picture))[0]
    half = picture.copy()
    half[::2] = 0
    pixels, known = read_all(write_raster(tmp_path / "half.tif", half, nodata=0))
    assert np.abs(pixels[known].astype(int) - plain[1::2].reshape(-1, 3)).max() <= 3
    broken = picture.astype(np.float32)
    broken[3, 4] = np.nan
    assert not read_all(write_raster(tmp_path / "nan.tif", broken))[1][3, 4]
    with pytest.raises(ImageError, match="no pixel of it is known"):
        Raster(write_raster(tmp_path / "none.tif", np.zeros((70, 90, 3), np.uint16), nodata=0))


def test_bands_are_chosen_by_the_user_else_by_the_file(tmp_path: Path) -> None:
    many = np.dstack([PICTURE, PICTURE[..., ::-1]])
    path = write_raster(tmp_path / "many.tif", many)
    with Raster(path) as image:
        assert image.bands == (1, 2, 3) and "6 bands, 1, 2, 3 taken as red, green, blue" in image.notes[0]
    np.testing.assert_array_equal(read_all(path, bands=(6, 5, 4))[0], PICTURE)
    with rasterio.open(path, "r+") as file:
        file.colorinterp = (ColorInterp.blue, ColorInterp.green, ColorInterp.red, *file.colorinterp[3:])
    with Raster(path) as image:
        assert image.bands == (3, 2, 1)
    with pytest.raises(InputError, match=r"many.tif: has no band 7, only 6; choose other --bands"):
        Raster(path, bands=(1, 2, 7))


def test_one_band_becomes_grey(tmp_path: Path) -> None:
    with Raster(write_raster(tmp_path / "grey.tif", PICTURE[..., 0])) as image:
        np.testing.assert_array_equal(read_window(image, ALL)[0], np.repeat(PICTURE[..., :1], 3, axis=2))
        assert "one band converted to RGB" in image.notes[0]


@pytest.mark.parametrize("text", ["3,2", "3,2,1,4", "a,b,c", "0,1,2", ""])
def test_bands_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="give the numbers of red, green and blue"):
        parse_bands(text)
    assert parse_bands("3,2, 1") == (3, 2, 1)


def test_an_unknown_coordinate_system_is_refused() -> None:
    with pytest.raises(InputError, match="'EPSG:1' is not a coordinate reference system"):
        read_crs("EPSG:1")


def test_what_is_no_image_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.tif").touch()
    (tmp_path / "text.tif").write_text("no image")
    for name, message in (
        ("absent.tif", "no such file"),
        ("", "is a directory"),
        ("empty.tif", "is empty"),
        ("text.tif", "not recognized"),
    ):
        with pytest.raises(ImageError, match=message) as caught:
            Raster(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="complex numbers"):
        Raster(write_raster(tmp_path / "radar.tif", PICTURE.astype(np.complex64)))
    with pytest.raises(ImageError, match="no position in it"):
        Raster(write_raster(tmp_path / "nowhere.tif", PICTURE, transform=Affine.identity()))


def test_an_image_of_nearly_one_value_is_refused(tmp_path: Path) -> None:
    flat = np.full((100, 100, 3), 128, np.uint8)
    flat[0, 0] = 130
    with pytest.raises(ImageError, match=r"99.99% of its pixels have one value \(128\)"):
        Raster(write_raster(tmp_path / "a.tif", flat))
    flat[:20] = noise(20, 100)
    with Raster(write_raster(tmp_path / "b.tif", flat)) as image:
        assert "80% of its pixels have one value (128); if it stands for nothing" in image.notes[0]


def test_an_image_of_nearly_black_values_is_refused_with_the_reason(tmp_path: Path) -> None:
    """A map of class numbers, say: all of it would be a collar."""
    classes = np.zeros((100, 100), np.uint8)
    classes[30:50, 30:60], classes[70:80, 10:90] = 1, 2
    with pytest.raises(ImageError, match=r"a\.tif: all of it is nearly black; stretch its values first$"):
        Raster(write_raster(tmp_path / "a.tif", classes[..., None]))


def test_bombs_are_refused_before_a_pixel_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = tmp_path / "bomb.tif"
    with rasterio.open(
        bomb, "w", driver="GTiff", width=60_000, height=60_000, count=3, dtype="uint8", crs=UTM, transform=PLACE,
        tiled=True, blockxsize=16_384, blockysize=16_384, compress="deflate", SPARSE_OK=True,
    ):  # fmt: skip
        pass
    assert bomb.stat().st_size < 100_000
    with pytest.raises(ImageError, match=r"one block of 16384x16384 pixels takes 0.8 GiB to decode"):
        Raster(bomb)
    monkeypatch.setattr(module, "MAX_SEQUENTIAL_PIXELS", 90 * 70 - 1)
    with pytest.raises(ImageError, match="90x70 pixels are too many for PNG"):
        Raster(write_raster(tmp_path / "long.png", PICTURE, driver="PNG", transform=None, crs=None))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_broken_bytes_give_pixels_or_one_line(data: st.DataObject, tmp_path: Path) -> None:
    name = data.draw(st.sampled_from(["a.tif", "b.tif", "c.png", "d.vrt"]))
    whole = tmp_path / f"whole-{name}"
    if not whole.exists():
        plain = write_raster(tmp_path / "plain.tif", landscape(70, 90))
        profile = {
            "a.tif": {},
            "b.tif": {"compress": "lzw", "tiled": True, "blockxsize": 16, "blockysize": 16},
        }
        if name in profile:
            write_raster(whole, landscape(70, 90), **profile[name])
        else:
            copy(plain, whole, driver="PNG" if name.endswith("png") else "VRT")
    content = bytearray(whole.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    for _ in range(data.draw(st.integers(0, 4))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / name).write_bytes(content)
    with contextlib.suppress(InputError), Raster(tmp_path / name) as image:
        window = Window(0, 0, min(70, image.grid.height), min(90, image.grid.width))
        assert read_window(image, window)[0].shape == (window.height, window.width, 3)

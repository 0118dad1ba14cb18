"""A simple picture is found without GDAL, and GDAL agrees."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from semantic_cc.scene.geo_detection import _gdal_finds_a_scene, _is_simple_picture, is_scene

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "A.JPEG"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_simple_picture(name: str, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / name
    Image.fromarray(GREY).convert(mode).save(path)
    assert not _gdal_finds_a_scene(path)
    monkeypatch.setattr("semantic_cc.scene.geo_detection._gdal_finds_a_scene", None)
    assert not is_scene(path)


@pytest.mark.parametrize("mode", ["P", "RGBA", "LA", "1", "I;16"])
def test_other_pictures_are_for_gdal(mode: str, tmp_path: Path) -> None:
    image = Image.fromarray(GREY.astype(np.uint16) if mode == "I;16" else GREY)
    image.convert(mode).save(tmp_path / "a.png")
    assert not _is_simple_picture(tmp_path / "a.png")


def test_deep_transparent_and_broken_files_are_for_gdal(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    deep = tmp_path / "deep.png"
    with rasterio.open(deep, "w", driver="PNG", width=8, height=8, count=3, dtype="uint16") as file:
        file.write(np.ones((3, 8, 8), np.uint16))
    (tmp_path / "deep.png.aux.xml").unlink(missing_ok=True)
    clear = tmp_path / "clear.png"
    Image.fromarray(GREY).save(clear, transparency=0)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n")
    for path in (deep, clear, broken):
        assert not _is_simple_picture(path)


@pytest.mark.parametrize("beside", ["a.png.aux.xml", "a.png.ovr", "a.png.msk", "a.tab"])
def test_a_file_of_metadata_is_for_gdal(beside: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(GREY).save(path)
    assert _is_simple_picture(path)
    (tmp_path / beside).touch()
    assert not _is_simple_picture(path)


@pytest.mark.parametrize("name", ["a.png", "a.gif"])
@pytest.mark.parametrize("index", [5, 200])
def test_a_clear_colour_counts_where_it_is_used(name: str, index: int, tmp_path: Path) -> None:
    image = Image.fromarray(GREY).convert("P")
    image.putpalette([value for grey in range(256) for value in (grey, grey, 255 - grey)])
    image.save(tmp_path / name, transparency=index)
    assert is_scene(tmp_path / name) == (index < GREY.size)


def test_a_clear_colour_of_rgb_is_for_gdal(tmp_path: Path) -> None:
    Image.fromarray(GREY).convert("RGB").save(tmp_path / "a.png", transparency=(5, 5, 5))
    assert is_scene(tmp_path / "a.png")


def test_a_place_counts_where_gdal_cannot_open_the_file(tmp_path: Path) -> None:
    pytest.importorskip("rasterio")
    from semantic_cc.scene.gdal_files import use_drivers

    path = tmp_path / "a.tif"
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[33550], tags.tagtype[33550] = (0.5, 0.5, 0.0), 12
    Image.fromarray(GREY).save(path, tiffinfo=tags)
    with use_drivers(("PNG",)):  # as GDAL_SKIP=GTiff
        assert is_scene(path)


@pytest.mark.parametrize("ending", [".pgw", ".PGW", ".wld"])
def test_a_world_file_makes_a_scene(ending: str, tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    assert not is_scene(tmp_path / "a.png")
    (tmp_path / f"a{ending}").write_text("0.5\n0\n0\n-0.5\n0\n0\n")
    assert is_scene(tmp_path / "a.png")

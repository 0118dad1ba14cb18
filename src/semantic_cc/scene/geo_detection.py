"""Whether an image needs the raster reader of scenes, or is a plain picture.

GDAL is asked first. Where rasterio is not installed, Pillow's view of the file decides.
"""

from __future__ import annotations

import os
import warnings
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from semantic_cc.errors import ImageError, InputError
from semantic_cc.images import FORMATS, MAX_SIDE

WORLD_FILES = {
    ".png": (".pgw", ".pngw"), ".jpg": (".jgw", ".jpgw"), ".jpeg": (".jgw", ".jpegw"),
    ".tif": (".tfw", ".tifw"), ".tiff": (".tfw", ".tiffw"),
}  # fmt: skip
"""Endings of the file beside a picture that says where it lies."""

RASTER_SUFFIXES = frozenset({".vrt", ".jp2", ".j2k", ".zip", ".img"})
"""Files that Pillow does not open: scenes, also where they cannot be opened."""

PLAIN_DRIVERS = frozenset({"PNG", "JPEG", "GTiff", "COG", "BMP", "WEBP", "GIF"})
"""GDAL drivers of files that Pillow reads as well."""

_GEOTIFF_TAGS = frozenset({33550, 33922, 34264, 34735})
"""Pixel scale, tie points, transformation and keys."""


def is_scene(path: str | Path) -> bool:
    """Whether an image is read as a raster: it lies on a map, is a URL, or is no plain 8-bit picture.

    A plain picture has no georeference, at most `MAX_SIDE` pixels a side, 8 bits, the colours grey or RGB, and no
    transparent pixel. False for a path at which there is no file.
    """
    if "://" in str(path) or str(path).startswith("/vsi"):
        return True
    path = Path(path)
    if not os.path.isfile(path):  # False also where the system does not say; the next reader says why
        return False
    if path.suffix.lower() in RASTER_SUFFIXES:
        return True
    if world_file(path) is not None:
        return True
    if _is_simple_picture(path):
        return False
    if find_spec("rasterio") is None:
        return _pillow_finds_a_scene(path)
    return _gdal_finds_a_scene(path)


def world_file(path: Path) -> Path | None:
    """The world file beside a picture, in lower or upper case."""
    endings = (*WORLD_FILES.get(path.suffix.lower(), ()), ".wld")
    names = (path.with_suffix(way(ending)) for ending in endings for way in (str.lower, str.upper))
    return next((name for name in names if os.path.isfile(name)), None)


def need_libraries() -> None:
    """Raises `InputError` where the libraries of the extra `scene` are not installed."""
    if any(find_spec(name) is None for name in ("rasterio", "affine", "pyproj", "shapely")):
        raise InputError("images on a map need more libraries: pip install 'semantic-cc[scene]'")


def _is_simple_picture(path: Path) -> bool:
    """Whether an image is certainly a plain picture, without asking GDAL, which takes half a second to load.

    A PNG or JPEG of 8 bits, grey or RGB, without transparency, and without a file of metadata beside it.
    """
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        return False
    if any(path.with_name(path.name + ending).exists() for ending in (".aux.xml", ".ovr", ".msk")):
        return False
    if path.with_suffix(".tab").exists() or path.with_suffix(".aux").exists():
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=("PNG", "JPEG")) as image:  # reads only the header
                raw = image.tile[0][3]  # the mode in the file: Pillow turns 16 bits into 8
                modes = {image.mode, raw[0] if isinstance(raw, tuple) else raw}
                is_opaque = "transparency" not in image.info
                return modes <= {"L", "RGB"} and is_opaque and max(image.size) <= MAX_SIDE
    except Exception:  # Pillow raises almost anything on broken bytes; the next reader says what is wrong
        return False


def _gdal_finds_a_scene(path: Path) -> bool:
    from semantic_cc.scene.gdal_files import is_plain_picture, one_line_errors, open_dataset, settings

    try:
        with one_line_errors(str(path)), settings(), open_dataset(path) as dataset:
            return dataset.driver not in PLAIN_DRIVERS or not is_plain_picture(dataset)
    except ImageError:  # Pillow may read it, but not its place; if not, its reader says what is wrong
        return _pillow_finds_a_scene(path)


def _pillow_finds_a_scene(path: Path) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS) as image:  # reads only the header
                tags = getattr(image, "tag_v2", {})
                return max(image.size) > MAX_SIDE or bool(_GEOTIFF_TAGS & set(tags))
    except Image.DecompressionBombError:
        return True
    except Exception:  # Pillow raises almost anything on broken bytes; the reader will say what is wrong
        return False

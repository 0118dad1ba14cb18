"""Whether a pair is a scene or two plain pictures, found without the libraries that scenes need."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from semantic_cc.errors import InputError
from semantic_cc.images import FORMATS, MAX_SIDE

SUFFIXES = frozenset({".vrt", ".jp2", ".j2k"})
"""What no reader of pictures opens."""

WORLD_FILES = {
    ".png": (".pgw", ".pngw"), ".jpg": (".jgw", ".jpgw"), ".jpeg": (".jgw", ".jpegw"),
    ".tif": (".tfw", ".tifw"), ".tiff": (".tfw", ".tiffw"),
}  # fmt: skip
"""Endings of the file beside a picture that says where it lies."""

_GEOTIFF_TAGS = frozenset({33550, 33922, 34264, 34735})
"""Pixel scale, tie points, transformation and keys."""


def is_scene(path: str | Path) -> bool:
    """Whether an image lies on a map, is a URL, or is too large to be read whole; False for what is not there."""
    if "://" in str(path) or str(path).startswith("/vsi"):
        return True
    path = Path(path)
    if "\0" in str(path) or not path.is_file():
        return False
    if path.suffix.lower() in SUFFIXES:
        return True
    endings = (*WORLD_FILES.get(path.suffix.lower(), ()), ".wld")
    return any(path.with_suffix(ending).is_file() for ending in endings) or _has_place_or_is_large(path)


def need_libraries() -> None:
    """Raises `InputError` where the libraries of the extra `scene` are not installed."""
    if any(find_spec(name) is None for name in ("rasterio", "affine", "pyproj", "shapely")):
        raise InputError("images on a map need more libraries: pip install 'semantic-cc[scene]'")


def _has_place_or_is_large(path: Path) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS) as image:  # reads the header alone
                tags = getattr(image, "tag_v2", {})
                return max(image.size) > MAX_SIDE or bool(_GEOTIFF_TAGS & set(tags))
    except Image.DecompressionBombError:
        return True
    except Exception:  # Pillow raises almost anything on broken bytes; the reader will say what is wrong
        return False

"""Where an image comes from, before GDAL opens it: path, archive or URL, and the bands that a user names."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path, PurePosixPath
from typing import TypedDict

from semantic_cc.errors import ImageError, InputError
from semantic_cc.images import check_exists

_REMOTE = re.compile(r"(https?|s3|gs|az)://|/vsi", re.IGNORECASE)
_NETWORK = re.compile(
    r"(https?|s3|gs|az)://|/vsi(zip|tar|gzip)?/*vsi(curl|s3|gs|az)|/vsi(curl|s3|gs|az)", re.IGNORECASE
)

_IMAGES = frozenset({".tif", ".tiff", ".jp2", ".j2k", ".vrt", ".img", ".png", ".jpg", ".jpeg", ".ntf"})
"""Endings of what is taken for an image in an archive."""


def is_remote(source: str | Path) -> bool:
    """Whether `source` is a URL, or a path of GDAL's own file systems."""
    return bool(_REMOTE.match(str(source)))


def is_over_network(source: str | Path) -> bool:
    """Whether reading `source` takes a network."""
    return bool(_NETWORK.match(str(source)))


def gdal_name(source: str | Path) -> str:
    """The name under which GDAL finds an image: the one image within a .zip, and else `source` itself.

    Raises:
        ImageError: the archive is broken, or does not hold exactly one image.
    """
    name = str(source)
    if is_remote(source) or not name.lower().endswith(".zip"):
        return name
    try:
        with zipfile.ZipFile(name) as archive:
            members = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
    except (OSError, zipfile.BadZipFile) as error:
        raise ImageError(f"{name}: is not a readable archive ({error}); fetch or save it again") from error
    images = [member for member in members if PurePosixPath(member).suffix.lower() in _IMAGES]
    images = [member for member in images if not member.startswith("__MACOSX/")]
    if len(images) != 1:
        found = f"{len(images)} images ({', '.join(images[:4])}, ...)" if images else "no image"
        example = images[0] if images else "image.tif"
        raise ImageError(f"{name}: holds {found}; name one, such as /vsizip/{name}/{example}")
    return f"/vsizip/{os.path.abspath(name)}/{images[0]}"


def check_there(source: str | Path) -> None:
    """Refuses a path at which there is nothing to read; URLs are not asked.

    Raises:
        ImageError: no file, one that cannot be looked up, a directory, or an empty file.
    """
    if is_remote(source):
        return
    path = Path(source)
    if any("\ud800" <= letter <= "\udfff" for letter in str(path)):  # bytes that Python could not decode
        raise ImageError(f"{source}: its name is not UTF-8 in this locale; rename it, or set PYTHONUTF8=1")
    check_exists(path, str(source))
    if path.is_dir():
        raise ImageError(f"{source}: is a directory; give an image file")
    if path.stat().st_size == 0:
        raise ImageError(f"{source}: is empty (0 bytes); fetch or save it again")


class FileIdentity(TypedDict, total=False):
    """What distinguishes a file from another of its name; a URL has the name only.

    Keys:
        name: path or URL.
        bytes: its size.
        changed_ns: time of its last change, in nanoseconds.
    """

    name: str
    bytes: int
    changed_ns: int


def identity_of(source: str) -> FileIdentity:
    """Name, size and time of change of a file; of a URL the name.

    Raises:
        ImageError: there is no such file, or it is empty.
    """
    if is_remote(source):
        return {"name": source}
    check_there(source)
    stat = os.stat(source)
    return {"name": source, "bytes": stat.st_size, "changed_ns": stat.st_mtime_ns}


def parse_bands(text: str) -> tuple[int, int, int]:
    """Reads three band numbers such as 3,2,1.

    Raises:
        InputError: it is something else.
    """
    try:
        numbers = [int(word) for word in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 3 or min(numbers) < 1:
        raise InputError(f"bands {text!r}: give the numbers of red, green and blue, for example 3,2,1")
    return numbers[0], numbers[1], numbers[2]


def parse_bands_of_both(text: str) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Reads the bands of two images, such as 3,2,1 for both or 3,2,1/1,2,3.

    Raises:
        InputError: it is something else.
    """
    bands = [parse_bands(part) for part in text.split("/", 1)]
    return bands[0], bands[-1]

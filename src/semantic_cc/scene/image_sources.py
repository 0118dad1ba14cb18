"""Where an image comes from, before anything opens it: path or URL, and which bands are its colours."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from semantic_cc.errors import ImageError, InputError

_REMOTE = re.compile(r"(https?|s3|gs|az)://|/vsi", re.IGNORECASE)


def is_remote(source: str | Path) -> bool:
    """Whether `source` is a URL, or a path of GDAL's own file systems."""
    return bool(_REMOTE.match(str(source)))


def check_there(source: str | Path) -> None:
    """Refuses a path at which there is nothing to read; URLs are not asked.

    Raises:
        ImageError: no file, a directory, or an empty file.
    """
    if is_remote(source):
        return
    path = Path(source)
    if "\0" in str(path) or not path.exists():
        raise ImageError(f"{source}: no such file; check the path")
    if path.is_dir():
        raise ImageError(f"{source}: is a directory; give an image file")
    if path.stat().st_size == 0:
        raise ImageError(f"{source}: is empty (0 bytes); fetch or save it again")


def identity_of(source: str) -> dict[str, Any]:
    """What tells a file from another one of its name: name, size in bytes and time of change; of a URL the name.

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

"""Uploaded images on disk: what they are is read from their bytes, and what could do harm is refused."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import numpy as np
from PIL import Image

from semantic_cc.errors import ImageError
from semantic_cc.images import FORMATS
from semantic_cc.serve.serve_settings import MIB, ServeSettings

_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"II*\0", ".tif", "GTiff"),
    (b"MM\0*", ".tif", "GTiff"),
    (b"II+\0", ".tif", "GTiff"),
    (b"MM\0+", ".tif", "GTiff"),
    (b"\x89PNG\r\n\x1a\n", ".png", "PNG"),
    (b"\xff\xd8\xff", ".jpg", "JPEG"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", ".jp2", "JP2OpenJPEG"),
    (b"\xff\x4f\xff\x51", ".j2k", "JP2OpenJPEG"),
    (b"BM", ".bmp", "BMP"),
    (b"GIF87a", ".gif", "GIF"),
    (b"GIF89a", ".gif", "GIF"),
)
"""First bytes, suffix that the file gets, and GDAL's driver; WebP is RIFF....WEBP."""

DRIVERS = (*dict.fromkeys(driver for *_, driver in _SIGNATURES), "WEBP")
"""The only GDAL drivers that uploads reach; each reads one file and follows no reference to another."""

_SMALL = 64 * MIB
"""Decoded bytes up to which the ratio to the file's bytes does not matter."""

_COPY = MIB


@dataclass(frozen=True)
class Upload:
    """An uploaded image.

    Attributes:
        name: as the client calls it, shortened to harmless characters; for messages.
        path: where it lies.
        driver: of `DRIVERS`.
        pixels: width times height, as its header says.
    """

    name: str
    path: Path
    driver: str
    pixels: int


def safe_name(name: str | None, role: str) -> str:
    """A file name from a client, as letters, digits, dot, dash and underscore; without folder and suffix.

    Args:
        name: as sent.
        role: "before" or "after"; what a name without any harmless character becomes.
    """
    stem = re.split(r"[/\\]", name or "")[-1].rsplit(".", 1)[0]
    return re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_.-")[:60] or role


def save_upload(
    source: IO[bytes],
    name: str | None,
    role: Literal["before", "after"],
    folder: Path,
    settings: ServeSettings,
) -> Upload:
    """Copies an upload into ``folder/role/``, checked.

    Raises:
        ImageError: it is no image in one of `DRIVERS`, cannot be opened, or is beyond a limit.
    """
    head = source.read(16)
    source.seek(0)
    suffix, driver = _kind_of(head, name or role)
    shown = f"{safe_name(name, role)}{suffix}"
    path = folder / role / shown
    path.parent.mkdir(parents=True)
    with path.open("wb") as target:
        while block := source.read(_COPY):
            target.write(block)
        target.flush()
        os.fsync(target.fileno())
    return Upload(shown, path, driver, _check(path, shown, driver, settings))


def _kind_of(head: bytes, name: str) -> tuple[str, str]:
    """Suffix and driver of a file by its first bytes."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return ".webp", "WEBP"
    for signature, suffix, driver in _SIGNATURES:
        if head.startswith(signature):
            return suffix, driver
    shown = re.sub(r"[^\w. -]+", "_", name)[:60]
    state = "is empty (0 bytes)" if not head else "is not an image that this service takes"
    raise ImageError(f"{shown}: {state}; send a TIFF, PNG, JPEG, JPEG 2000, WebP, BMP or GIF")


def _check(path: Path, name: str, driver: str, settings: ServeSettings) -> int:
    """Compares what the header says with the limits, before any pixel is decoded.

    Returns:
        Width times height.
    """
    width, height, bands, size = _header(path, name, driver)
    if max(width, height) > settings.image_side:
        raise ImageError(
            f"{name}: {width}x{height} pixels; the service takes at most {settings.image_side:,} a side, cut it"
        )
    if width * height > settings.image_pixels:
        raise ImageError(
            f"{name}: {width}x{height} pixels; the service takes at most {settings.image_pixels:,} in all, cut it"
        )
    if bands > settings.image_bands:
        raise ImageError(
            f"{name}: {bands} bands; the service takes at most {settings.image_bands}, leave some out"
        )
    decoded, stored = width * height * bands * size, path.stat().st_size
    if decoded > _SMALL and decoded > settings.expansion * stored:
        raise ImageError(
            f"{name}: {stored:,} bytes that decode to {decoded:,}; the service takes at most "
            f"{settings.expansion:,} times as many, crop what is empty"
        )
    return width * height


def _header(path: Path, name: str, driver: str) -> tuple[int, int, int, int]:
    """Width, height, bands, and bytes of a band's pixel."""
    from semantic_cc.scene.gdal_files import one_line_errors, open_dataset, settings, use_drivers

    if driver in ("GTiff", "JP2OpenJPEG"):
        with (
            _shown_as(path, name), one_line_errors(name), settings(), use_drivers(DRIVERS),
            open_dataset(path) as dataset,
        ):  # fmt: skip
            return dataset.width, dataset.height, dataset.count, np.dtype(dataset.dtypes[0]).itemsize
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limits follow
            image = Image.open(path, formats=FORMATS)
        with image:
            return image.width, image.height, len(image.getbands()), 2 if "16" in image.mode else 1
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name}: too many pixels; cut it") from error
    except Exception as error:  # Pillow raises almost anything on broken bytes
        reason = " ".join(str(error).replace(str(path), name).split()) or type(error).__name__
        raise ImageError(f"{name}: damaged or truncated image ({reason}); fetch or save it again") from error


@contextlib.contextmanager
def _shown_as(path: Path, name: str) -> Iterator[None]:
    """Errors of the block call the file by the client's name."""
    try:
        yield
    except ImageError as error:
        raise ImageError(str(error).replace(str(path), name)) from error

"""Reads plain images: 8-bit RGB stays as it is; other kinds are converted with a note, or refused.

Converted are palette, grey (8 and 1 bit), CMYK, YCbCr and fully opaque RGBA images, files with several frames (the
first is used), and images that their EXIF tag rotates. All others are refused in one line (`ImageError`).
`semantic_cc.scene.raster` reads georeferenced images, and images with more bits, more bands or transparent pixels.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import EXTRASAMPLES, SAMPLESPERPIXEL, TiffImageFile

from semantic_cc.errors import ImageError
from semantic_cc.same_picture import PictureComparison, same_file_warning

MIN_SIDE = 16
"""Minimum side in pixels: one token of the encoder."""

MAX_SIDE = 8192
"""Maximum side in pixels of an image that is read as a whole; checked before the pixels are decoded."""

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF")
"""The only decoders that untrusted files may reach (EPS, for example, would start an interpreter)."""

ImageSource = str | Path | Image.Image | np.ndarray

_CONVERTED = {
    "P": "palette", "L": "8-bit grey", "LA": "opaque 8-bit grey", "1": "1-bit grey", "RGBA": "opaque RGBA",
    "CMYK": "CMYK", "YCbCr": "YCbCr",
}  # fmt: skip
_ORIENTATION = 0x0112  # EXIF and TIFF tag
_SAVE_AS = "save it as an 8-bit RGB PNG, TIFF or JPEG"
_AS_SCENE = f"describe the pair as a scene (with --out), or {_SAVE_AS}"


def read_image(image: ImageSource, where: str | None = None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Reads one image as 8-bit RGB.

    Args:
        image: a path to a PNG, JPEG, TIFF, BMP, WebP or GIF file, a PIL image, or a uint8 array ``(H, W, 3)`` RGB,
            ``(H, W, 4)`` opaque RGBA or ``(H, W)`` grey.
        where: the image's name in messages and notes; default: its path, or "the image".

    Returns:
        The image, ``(H, W, 3)`` uint8 in 0..255 and contiguous, and one note for each conversion. A contiguous RGB
        array is returned without a copy.

    Raises:
        ImageError: the file is missing, truncated, not an image or of another kind (16 bit, float, transparent,
            other band counts), or a side is below `MIN_SIDE` or above `MAX_SIDE` pixels.
    """
    if isinstance(image, np.ndarray):
        return _from_array(image, where or "the image")
    if isinstance(image, Image.Image):
        with _one_line_errors(where or "the image"):
            return _from_pil(image, where or "the image")
    return _from_file(image, where)


def read_pair(
    before: ImageSource, after: ImageSource, *, check: bool = False
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Reads the two images of a pair.

    Args:
        before, after: as in `read_image`.
        check: whether to refuse files of one colour, and to add a note if both are the same file or the same image.
            These are likely mistakes of a user, but a dataset may contain them on purpose.

    Returns:
        Before and after image, both ``(H, W, 3)`` uint8 RGB of equal size, and the notes on both.

    Raises:
        ImageError: as in `read_image`, the sizes differ, or, with `check`, a file holds only one colour.
    """
    first, first_notes = read_image(before, _name(before, "the before image"))
    second, second_notes = read_image(after, _name(after, "the after image"))
    if first.shape != second.shape:
        sizes = " and ".join(f"{array.shape[1]}x{array.shape[0]}" for array in (first, second))
        names = f"{_name(before, 'the before image')} and {_name(after, 'the after image')}"
        raise ImageError(f"{names}: sizes differ ({sizes}); crop or resample both to the same size")
    notes = first_notes + second_notes
    if check and isinstance(before, str | Path) and isinstance(after, str | Path):
        for source, array in ((before, first), (after, second)):
            if (array[0] == array[0, 0]).all() and (array == array[0, 0]).all():  # most fail the cheap test
                colour = ", ".join(map(str, array[0, 0]))
                raise ImageError(
                    f"{source}: has one value only ({colour}) and shows nothing; fetch or export it again"
                )
        comparison = PictureComparison()
        comparison.add(first, second)
        same = same_file_warning(before, after) or comparison.warning(before, after)
        notes += () if same is None else (same,)
    return first, second, notes


def check_exists(path: str | Path, where: str) -> None:
    """Checks that there is a file or a directory at `path`.

    Args:
        path: a path of this machine.
        where: its name in messages.

    Raises:
        ImageError: there is none, or the system does not say: a folder without permission, a name that is too long.
    """
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # ValueError: its name contains NUL
        raise ImageError(f"{where}: no such file; check the path") from error
    except OSError as error:
        raise ImageError(f"{where}: cannot be read ({error.strerror}); check the path") from error


def _name(image: ImageSource, role: str) -> str:
    return str(image) if isinstance(image, str | Path) else role


def _from_file(source: object, where: str | None) -> tuple[np.ndarray, tuple[str, ...]]:
    if not isinstance(source, str | Path):
        advice = "give a path, a PIL image or a uint8 array"
        raise ImageError(f"{where or 'the image'}: cannot read a {type(source).__name__}; {advice}")
    path, where = Path(source), where or str(source)
    check_exists(path, where)
    if path.is_dir():
        raise ImageError(f"{where}: is a directory; give an image file")
    with _one_line_errors(where), Image.open(path, formats=FORMATS) as image:
        return _from_pil(image, where)


def _from_pil(image: Image.Image, where: str) -> tuple[np.ndarray, tuple[str, ...]]:
    _check_size(image.width, image.height, where)
    _check_kind(image, where)
    notes = []
    if getattr(image, "n_frames", 1) > 1:
        notes.append(f"{where}: {image.n_frames} pages, the first was used")  # type: ignore[attr-defined]
    turned = image.getexif().get(_ORIENTATION, 1) not in (0, 1)
    image.load()  # for TIFF this already applies the orientation and drops the tag
    upright = ImageOps.exif_transpose(image)
    if turned:
        notes.append(f"{where}: turned as its EXIF orientation says")
    if upright.mode in _CONVERTED:
        notes.append(f"{where}: {_CONVERTED[upright.mode]} converted to RGB")
    if upright.has_transparency_data:
        rgba = np.array(upright.convert("RGBA"))
        _check_opaque(rgba[..., 3], where)
        return np.ascontiguousarray(rgba[..., :3]), tuple(notes)
    return np.array(upright.convert("RGB")), tuple(notes)


def _from_array(array: np.ndarray, where: str) -> tuple[np.ndarray, tuple[str, ...]]:
    if array.dtype != np.uint8:
        advice = "give uint8 values in 0..255 (scale floats in 0..1 by 255)"
        raise ImageError(f"{where}: the array is {array.dtype}; {advice}")
    grey = array.ndim == 2
    if not grey and (array.ndim != 3 or array.shape[2] not in (3, 4)):
        raise ImageError(f"{where}: the array has shape {array.shape}; give (H, W, 3) RGB, channels last")
    _check_size(array.shape[1], array.shape[0], where)
    if grey:
        return np.repeat(array[..., None], 3, axis=2), (f"{where}: {_CONVERTED['L']} converted to RGB",)
    if array.shape[2] == 4:
        _check_opaque(array[..., 3], where)
        return np.ascontiguousarray(array[..., :3]), (f"{where}: {_CONVERTED['RGBA']} converted to RGB",)
    return np.ascontiguousarray(array), ()


def _check_size(width: int, height: int, where: str) -> None:
    size = f"{width}x{height} pixels"
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"{where}: {size} is too small; give at least {MIN_SIDE} pixels a side")
    if max(width, height) > MAX_SIDE:
        raise ImageError(f"{where}: {size} is too large; cut it to at most {MAX_SIDE} pixels a side")


def _check_kind(image: Image.Image, where: str) -> None:
    if image.mode not in ("RGB", *_CONVERTED):
        raise ImageError(f"{where}: unsupported kind of image (mode {image.mode}); {_AS_SCENE}")
    if isinstance(image, TiffImageFile):
        _check_bands(image, where)
    # Pillow would cut 16-bit RGB to its upper byte without a word; only the raw mode tells.
    if any("16" in mode for tile in getattr(image, "tile", ()) for mode in _raw_modes(tile[3])):
        raise ImageError(f"{where}: has 16 bits a channel; {_AS_SCENE}")


def _check_bands(image: TiffImageFile, where: str) -> None:
    """Refuses a TIFF with more bands than colours; Pillow would drop them, or take infrared for alpha."""
    bands, alpha = image.tag_v2.get(SAMPLESPERPIXEL, 1), image.tag_v2.get(EXTRASAMPLES) in ((1,), (2,))
    if bands != len(image.getbands()) or (image.mode == "RGBA" and not alpha):
        raise ImageError(f"{where}: has {bands} bands that are not RGB or RGBA; {_AS_SCENE}")


def _raw_modes(decoder_args: Any) -> list[str]:
    args = decoder_args if isinstance(decoder_args, tuple) else (decoder_args,)
    return [arg for arg in args if isinstance(arg, str)]


def _check_opaque(alpha: np.ndarray, where: str) -> None:
    if alpha.min() < 255:
        raise ImageError(f"{where}: has transparent pixels; {_AS_SCENE}")


@contextmanager
def _one_line_errors(where: str) -> Iterator[None]:
    """Turns whatever Pillow raises into one `ImageError`, and keeps its warnings off the terminal.

    Pillow's decoders raise almost any builtin on broken bytes (OSError, SyntaxError, ValueError,
    struct.error, ...), hence the wide net; the cause stays attached.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"{where}: not an image in one of {', '.join(FORMATS)}; {_SAVE_AS}") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{where}: too large; cut it to at most {MAX_SIDE} pixels a side") from error
    except PermissionError as error:
        raise ImageError(f"{where}: no permission to read it; change its permissions") from error
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{where}: damaged or truncated image ({reason}); fetch or save it again") from error
